"""Signed links: downloads that need no sign-in, and what a job's remote reads and pushes."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from aiohttp import web

from app.core.archive import Span
from app.core.pushes import Checksums
from app.routes.api.transfer import deliver
from app.usecases import files, pushes, remote_links
from app.web.endpoint import Access, Call, Endpoint, json_response
from app.web.streaming import Download, send
from app.web.upload import read_file

_PRIVATE = {"Referrer-Policy": "no-referrer"}
_BINARY = "application/octet-stream"


class PushedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A result that is part of the job now; `size` in bytes."""

    name: str
    size: int
    sha256: Annotated[str, msgspec.Meta(description="Lower-case hexadecimal")]


async def follow(call: Call) -> web.StreamResponse:
    file = await files.follow_link(call.deps, call.path_text("token"))
    return await deliver(call, file, None, _PRIVATE)


async def read_input(call: Call) -> web.StreamResponse:
    deps, token, name = call.deps, call.path_text("token"), call.path_text("name")
    if name == remote_links.SHEET_NAME:
        sheet = await remote_links.open_sheet(deps, token)
        if sheet is None:
            raise remote_links.gone()
        return await _send_text(
            call, name, sheet.encode(), lambda: remote_links.note_sheet(deps, token)
        )
    found = await remote_links.open_input(deps, token, name)

    async def note() -> None:
        await remote_links.note_read(deps, found.link, call.address)

    download = Download(name, found.content_type, found.size_bytes, found.etag, found.spans)
    return await send(call.request, deps.store, download, headers=_PRIVATE, on_start=note)


async def _send_text(
    call: Call, name: str, text: bytes, on_start: Callable[[], Awaitable[None]]
) -> web.StreamResponse:
    whole = Span(len(text), data=text)
    download = Download(
        name,
        "text/plain; charset=utf-8",
        len(text),
        hashlib.sha256(text).hexdigest(),
        lambda start, stop: [whole.cut(start, stop)] if stop > start else [],
    )
    return await send(call.request, call.deps.store, download, headers=_PRIVATE, on_start=on_start)


async def push(call: Call) -> web.Response:
    request = call.request
    opened = await pushes.open_push(
        call.deps,
        call.path_text("token"),
        call.path_text("name"),
        request.content_length,
        Checksums.of(request.headers),
    )
    try:
        await read_file(request, opened.file, call.deps.settings.upload_idle_timeout_s)
        kept = await opened.keep(call.address)
    finally:
        await opened.close()
    shown = PushedOut(name=kept.name, size=kept.size_bytes, sha256=kept.sha256)
    return json_response(shown, 201 if kept.is_new else 200, _PRIVATE)


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
    Endpoint(
        "GET",
        "/files/remote/{token}/{name}",
        read_input,
        "links.read_input",
        "For services: an input file of a job, its index (the same name with .tbi), or the sample sheet. The link ends with the job",
        access=Access.PUBLIC,
        content="*/*",
        tag="files",
    ),
    Endpoint(
        "PUT",
        "/files/push/{token}/{name}",
        push,
        "links.push",
        "For services: one result of a job, created once; the same bytes again are answered 200. The address ends with the job",
        access=Access.PUBLIC,
        response=PushedOut,
        status=201,
        raw_body=_BINARY,
        tag="files",
    ),
)
