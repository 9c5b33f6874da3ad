"""The files that pages load: style, scripts, typeface."""

from aiohttp import hdrs, web

from app.core.errors import NotFound
from app.web.assets import PREFIX, load
from app.web.endpoint import Access, Call, Endpoint


async def static(call: Call) -> web.Response:
    """Give a file. Its address changes with its content, so a browser asks for it once."""
    asset = load().files.get(call.path_text("name"))
    if asset is None:
        raise NotFound("There is no such file")
    headers = {
        hdrs.CACHE_CONTROL: "public, max-age=31536000, immutable",
        hdrs.CONTENT_TYPE: asset.content_type,
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    body = asset.body
    accepts = "gzip" in call.request.headers.get(hdrs.ACCEPT_ENCODING, "")
    if accepts and (packed := await asset.packed()) is not None:
        body = packed
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=body, headers=headers)


PAGES: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        f"{PREFIX}/{{version:[0-9a-f]{{12}}}}/{{name:[A-Za-z0-9._/-]+}}",
        static,
        "pages.static",
        "A file that pages load",
        access=Access.PUBLIC,
        content="application/octet-stream",
        tag="pages",
        unlimited=True,
        is_page=True,
    ),
)
