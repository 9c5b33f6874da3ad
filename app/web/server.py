"""The server below the application: what is not even a request is answered here, in our shape, and is never repeated.

aiohttp by itself answers a malformed request in plain text with the offending line, under its own name and version, and logs that
line with a traceback: an `Authorization` header with one odd byte would stand in both. And it waits for ever for a first request.
"""

import asyncio
import contextlib
import ctypes
import secrets
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from app.web import problem
from app.web.middleware import secure

log = structlog.get_logger(__name__)

READ_BYTES = 64 * 1024
"""What is read from a connection at a time, where asyncio lets us say so: its sockets do, by an attribute that it does not document.

Its own 256 KiB keep the event loop busy for a third of a millisecond with each piece of an upload, and a small answer meanwhile
takes several turns of the loop: 64 KiB bring its p99 down by a quarter, and cost the upload nothing (`bench.ingest`).
"""

GREETING_TIMEOUT_S = 60.0
"""A new connection brings a whole request head within this time; later on, the keep-alive timeout counts."""


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_buffers() -> None:
    """Have the C library keep freed buffers for the next ones, where it is glibc.

    asyncio reads a socket into a new buffer each time, and aiohttp joins what has arrived meanwhile. By default glibc gives such
    memory back to the kernel, which clears it anew for the next: of an upload, 1.5 s of system time per GiB, and 1.15 s with this
    (`bench.ingest`, when 256 KiB were read at a time).
    """
    with contextlib.suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, 4 * 1024 * 1024)
        library.mallopt(_M_TRIM_THRESHOLD, 32 * 1024 * 1024)


class Runner(web.AppRunner):
    """Runs an application as `web.AppRunner` does, with connections of our kind."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            auto_decompress=False,  # a small body could unpack to gigabytes, and stop the event loop meanwhile
            loop=made._loop,  # noqa: SLF001 - the copy runs where the original would
            **made._kwargs,  # noqa: SLF001 - the settings of each connection, as they were given
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    _greeting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            cast("Any", transport).max_size = READ_BYTES
        self._greeting = self._loop.call_later(GREETING_TIMEOUT_S, self._hang_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
        super().connection_lost(exc)

    def _hang_up(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """Give the answer to what never reached the application, or broke outside its middlewares; the connection ends."""
        request_id = secrets.token_hex(16)
        if status == 400:
            log.info("request.malformed", kind=type(exc).__name__, request_id=request_id)
            response = problem.respond_to_malformed(request_id)
        else:
            log.error("request.crashed", exc_info=exc, request_id=request_id)
            response = problem.respond_to_crash(request_id)
        if request.writer.output_size > 0:
            raise ConnectionError("An answer has begun; another one cannot be sent")
        secure(response.headers, request_id)
        response.force_close()
        return cast("web.StreamResponse", response)
