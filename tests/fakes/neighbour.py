"""A front before a real server that can turn into the worst of neighbours, on the level of TCP."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_BROKEN = b'{"state": \x00\xff\xfe<html>\x1b[2J[[[['
GARBAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n" + _BROKEN,
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>Nope</h1>",
    b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    b"HTTP/1.1 999 " + b"\xf0\x9f\x92\xa9" * 50 + b"\r\nContent-Length: -1\r\n\r\n",
)
"""One after the other: broken JSON, JSON of another shape, HTML, another protocol, a status that there is not."""
_RESET = struct.pack("ii", 1, 0)


class Neighbour:
    """Hands connections on to `target`, or does what `mode` says: `hang`, `garbage`, `reset`. `calls` counts what it did so."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._open: set[asyncio.StreamWriter] = set()
        self.mode = "pass"
        self.calls = 0
        self.base = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "pass":
            await self._hand_on(reader, writer)
            return
        self.calls += 1
        if self.mode == "reset":
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            return
        await reader.read(65_536)
        if self.mode == "garbage":
            writer.write(GARBAGE[self.calls % len(GARBAGE)])
            await writer.drain()
            return
        while await reader.read(65_536):
            pass  # until whoever asked gives up

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(*self._target)
        try:
            await asyncio.gather(_pour(reader, onward), _pour(there, writer))
        finally:
            onward.close()

    def turn(self, mode: str) -> None:
        """Behave so from now on; connections that are open end."""
        self.mode = mode
        for writer in [*self._open]:
            writer.transport.abort()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@asynccontextmanager
async def neighbour_of(target: str) -> AsyncIterator[Neighbour]:
    """Stand before a server, on a port of this machine."""
    neighbour = Neighbour(target)
    server = await asyncio.start_server(neighbour.serve, "127.0.0.1", 0)
    neighbour.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield neighbour
    finally:
        server.close()
        neighbour.turn("reset")
