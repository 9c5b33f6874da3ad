"""A connection on which a test writes what it likes, byte for byte."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from multidict import CIMultiDict

END = b"--B--\r\n"
FORM = "multipart/form-data; boundary=B"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it stood on the wire."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["code"])


class Wire:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, limit_s: float = 10.0) -> RawAnswer:
        """Read one answer, past any `100 Continue`. Raises IncompleteReadError when the server closes without one."""
        async with asyncio.timeout(limit_s):
            while True:
                head = await self.reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                status = int(lines[0].split()[1])
                if status != 100:
                    break
            headers: CIMultiDict[str] = CIMultiDict()
            for line in lines[1:-2]:
                name, _, value = line.partition(":")
                headers.add(name, value.strip())
            size = int(headers.get("Content-Length", "0"))
            return RawAnswer(status, headers, await self.reader.readexactly(size))

    async def rest(self, *, limit_s: float = 10.0) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(limit_s):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def rest_or(self, limit_s: float) -> bytes:
        """Read until the server closes, or nothing more has come for `limit_s`."""
        got = b""
        try:
            while piece := await asyncio.wait_for(self.reader.read(65536), limit_s):
                got += piece
        except (TimeoutError, ConnectionResetError):
            pass
        return got

    def reset(self) -> None:
        """Break the connection as a pulled cable would show itself: with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def connect(base: str) -> AsyncIterator[Wire]:
    """Open a connection to the server at `base`."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def head(method: str, target: str, token: str = "", **headers: str | int) -> bytes:
    """Give the head of a request; underscores in names of headers stand for hyphens."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def field(name: str, value: str | bytes) -> bytes:
    """Give a text field of a form."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + raw + b"\r\n"


def file(content: bytes, name: str = "chr20.vcf.gz", field: str = "input_file") -> bytes:
    """Give a file of a form."""
    start = f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return start.encode("utf-8", "surrogateescape") + content + b"\r\n"


def chunk(data: bytes) -> bytes:
    """Frame a piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


def statuses(raw: bytes) -> list[int]:
    """Give the status of each answer in what came over a connection."""
    return [int(found) for found in _STATUS.findall(raw)]
