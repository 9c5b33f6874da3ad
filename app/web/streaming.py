"""Sends stored bytes: whole, or the range that was asked for, from the disk to the socket without passing through Python.

Files and archives made on the fly are the same here: pieces whose place is known. aiohttp's own FileResponse is not used: its
ETag is made from the file's time, and it ignores an ETag in If-Range, which corrupts resumed downloads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from app.core.archive import Span
from app.core.errors import NotFound
from app.keys import REQUEST_ID
from app.storage import LocalStore
from app.web.problem import respond_to_http
from app.web.ranges import Verdict, select

log = structlog.get_logger(__name__)

_SLICE_BYTES = 8 * 1024 * 1024
_SLICE_TIMEOUT_S = 600.0
"""A client that takes less than a slice in this time (14 kB/s) is dropped."""

SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
"""For HTML that somebody else wrote: no script, no form, no origin of its own, nothing loaded from anywhere."""

_OF_EVERY_ANSWER = (
    hdrs.ETAG,
    hdrs.CACHE_CONTROL,
    "Content-Security-Policy",
    "X-Frame-Options",
)
"""What a 304 has too: a browser puts its headers in the place of those it has kept (RFC 9111 §3.2), and would refuse the frame."""


@dataclass(frozen=True, slots=True)
class Download:
    """Something that can be downloaded. `etag` changes whenever a byte does; `spans(start, stop)` gives the pieces of a range."""

    name: str
    content_type: str
    size_bytes: int
    etag: str
    spans: Callable[[int, int], Iterable[Span]]


def file_spans(key: str, size_bytes: int) -> Callable[[int, int], Iterable[Span]]:
    """Give the pieces of one stored file."""
    whole = Span(size_bytes, key=key)
    return lambda start, stop: [whole.cut(start, stop)] if stop > start else []


async def send(
    request: web.Request,
    store: LocalStore,
    download: Download,
    *,
    headers: Mapping[str, str] | None = None,
    on_start: Callable[[], Awaitable[None]] | None = None,
) -> web.StreamResponse:
    """Answer a GET or HEAD with the bytes, or with what the request's conditions ask for.

    `headers` join the answer's; `on_start` is called before bytes are sent. Raises NotFound when the stored file is gone.
    """
    chosen = select(request.method, request.headers, download.size_bytes, download.etag)
    headers = {**_headers(download), **(headers or {})}
    if chosen.verdict is not Verdict.SEND:
        return _decline(request, chosen.verdict, download, headers)
    spans = list(download.spans(chosen.start, chosen.stop))
    await asyncio.to_thread(_ensure_there, store, spans)
    response = web.StreamResponse(status=206 if chosen.is_part else 200, headers=headers)
    response.content_length = chosen.stop - chosen.start
    if chosen.is_part:
        place = f"bytes {chosen.start}-{chosen.stop - 1}/{download.size_bytes}"
        response.headers[hdrs.CONTENT_RANGE] = place
    if on_start is not None and request.method != hdrs.METH_HEAD:
        await on_start()
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        for span in spans:
            await _send_span(request, response, store, span)
    await response.write_eof()
    return response


def disposition(name: str) -> str:
    """Give a Content-Disposition (RFC 6266): an ASCII name for old clients, and the true one (RFC 8187)."""
    plain = "".join(char if " " <= char <= "~" and char not in '"\\%;/' else "_" for char in name)
    value = f'attachment; filename="{plain}"'
    return value if plain == name else f"{value}; filename*=UTF-8''{quote(name, safe='')}"


def _headers(download: Download) -> dict[str, str]:
    headers = {
        hdrs.CONTENT_TYPE: download.content_type,
        hdrs.CONTENT_DISPOSITION: disposition(download.name),
        hdrs.ETAG: f'"{download.etag}"',
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if download.content_type.startswith("text/html"):
        headers["Content-Security-Policy"] = SANDBOX
    return headers


def _decline(
    request: web.Request, verdict: Verdict, download: Download, headers: dict[str, str]
) -> web.Response:
    kept = {name: headers[name] for name in _OF_EVERY_ANSWER if name in headers}
    if verdict is Verdict.NOT_MODIFIED:
        return web.Response(status=304, headers=kept)
    unmet: web.HTTPException = web.HTTPPreconditionFailed()
    if verdict is Verdict.UNSATISFIABLE:
        unmet = web.HTTPRequestRangeNotSatisfiable()
        kept[hdrs.CONTENT_RANGE] = f"bytes */{download.size_bytes}"
    response = respond_to_http(unmet, request[REQUEST_ID])
    response.headers.update(kept)
    return response


def _ensure_there(store: LocalStore, spans: Iterable[Span]) -> None:
    """Raise NotFound while an error can still be told."""
    for span in spans:
        if span.key is None:
            continue
        path = store.path(span.key)
        if not path.exists() or path.stat().st_size < span.offset + span.size_bytes:
            log.error("storage.file_missing", key=span.key)
            raise NotFound("The stored file is gone", code="file_gone")


async def _send_span(
    request: web.Request, response: web.StreamResponse, store: LocalStore, span: Span
) -> None:
    if span.key is None:
        await response.write(span.data)
        return
    # Opened and closed here and not in a thread, where a cancelled handler would lose the descriptor.
    with _open(store.path(span.key)) as file:
        await _send_file(request, file, span)


def _open(path: Path) -> BinaryIO:
    return path.open("rb", buffering=0)


async def _send_file(request: web.Request, file: BinaryIO, span: Span) -> None:
    """Hand a piece of a file to the kernel, slice by slice. Raises ConnectionResetError."""
    loop = asyncio.get_running_loop()
    sent = 0
    while sent < span.size_bytes:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        size = min(_SLICE_BYTES, span.size_bytes - sent)
        try:
            async with asyncio.timeout(_SLICE_TIMEOUT_S):
                done = await loop.sendfile(transport, file, span.offset + sent, size)
        except TimeoutError:
            raise ConnectionResetError("the client takes nothing more") from None
        if done < size:
            log.error("storage.file_shorter_than_recorded", key=span.key)
            raise ConnectionResetError("the stored file ended early")
        sent += done
