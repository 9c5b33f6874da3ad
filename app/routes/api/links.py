"""Signed links: downloads that need no sign-in."""

from aiohttp import web

from app.routes.api.transfer import deliver
from app.usecases import files
from app.web.endpoint import Access, Call, Endpoint


async def follow(call: Call) -> web.StreamResponse:
    file = await files.follow_link(call.deps, call.path_text("token"))
    return await deliver(call, file, None, {"Referrer-Policy": "no-referrer"})


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/files/download/{token}/{name}",
        follow,
        "links.follow",
        "The bytes behind a signed link; ranges are honoured. Wrong, expired and revoked links answer alike",
        access=Access.PUBLIC,
        content="*/*",
        tag="files",
    ),
)
