"""A multipart body that is read from disk while it is sent, of a length that is known beforehand.

Many Java servers refuse or buffer bodies of `Transfer-Encoding: chunked`; with every part's size known the request has an
exact `Content-Length`. Files are read in pieces of 1 MiB, one piece ahead of the network, in a thread: memory stays
constant and the event loop is never held up by the disk. Nothing is opened before the body is sent, so a body can be
made long before, and one object serves one attempt after another.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter

from app.adapters.base import Progress

CHUNK_BYTES = 1024 * 1024
_ESCAPES = str.maketrans({'"': "%22", "\\": "%5C"})


class InputChangedError(OSError):
    """Raised when an input file is missing or no longer has the size that was announced."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of the form; `filename` is what the service sees."""

    field: str
    filename: str
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class InlinePart:
    """One small file of the form that is not on disk."""

    field: str
    filename: str
    content: bytes


def quote_name(name: str) -> str:
    """Give a field or file name as it stands inside quotes in a part's header.

    `"` is percent-encoded as browsers do (WHATWG HTML §4.10.21.8), so is the backslash, which some servers read as an
    escape. Raises `ValueError` for control characters: they would begin a header of their own.
    """
    if not name.isprintable():
        raise ValueError("a form name must not hold control characters")
    return name.translate(_ESCAPES)


class MultipartUpload(payload.Payload):
    """A `multipart/form-data` body of text fields followed by files, small ones from memory first.

    `begun` says whether any byte was handed to the network, `local_error` what went wrong on our own side.
    """

    def __init__(
        self,
        fields: Sequence[tuple[str, str]],
        files: Sequence[FilePart],
        *,
        inline: Sequence[InlinePart] = (),
        progress: Progress | None = None,
        stall_s: float = 120.0,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """Prepare the body. `progress` is told the bytes of file content sent so far; a write that makes no headway
        for `stall_s` seconds ends the request. Raises `ValueError` for names with control characters.
        """
        boundary = "fip-" + secrets.token_hex(16)
        super().__init__(None, content_type=f"multipart/form-data; boundary={boundary}")
        self._head = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{quote_name(name)}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields
        ) + b"".join(_file_head(boundary, part) + part.content + b"\r\n" for part in inline)
        self._files = [(_file_head(boundary, part), part) for part in files]
        self._tail = f"--{boundary}--\r\n".encode()
        self._size = (
            len(self._head)
            + sum(len(head) + part.size_bytes + 2 for head, part in self._files)
            + len(self._tail)
        )
        self._progress = progress
        self._stall_s = stall_s
        self._chunk_bytes = chunk_bytes
        self.begun = False
        self.local_error: OSError | None = None

    @property
    def file_bytes(self) -> int:
        """The bytes of file content."""
        return sum(part.size_bytes for _, part in self._files)

    async def check(self) -> None:
        """Look whether every file is there with its announced size. Raises `InputChangedError`."""
        await asyncio.to_thread(self._check)

    def _check(self) -> None:
        for _, part in self._files:
            try:
                found = part.path.stat().st_size
            except OSError as error:
                raise InputChangedError(f"{part.filename} cannot be read") from error
            if found != part.size_bytes:
                raise InputChangedError(f"{part.filename} has changed")

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - aiohttp's signature
        """Refuse: the body is never held in memory. aiohttp asks for it only to repeat a request."""
        raise TypeError("a streamed body cannot be decoded")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the body. Called by aiohttp."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self,
        writer: AbstractStreamWriter,
        content_length: int | None,  # noqa: ARG002 - aiohttp's signature; the length is our own `size`
    ) -> None:
        """Send the body. Called by aiohttp."""
        sent = 0
        await self._send(writer, self._head)
        for head, part in self._files:
            await self._send(writer, head)
            async with aclosing(self._pieces(part)) as pieces:
                async for piece in pieces:
                    await self._send(writer, piece)
                    sent += len(piece)
                    if self._progress is not None:
                        self._progress(sent)
            await self._send(writer, b"\r\n")
        await self._send(writer, self._tail)

    async def _send(self, writer: AbstractStreamWriter, data: bytes) -> None:
        self.begun = True
        if data:
            async with asyncio.timeout(self._stall_s):
                await writer.write(data)

    async def _pieces(self, part: FilePart) -> AsyncGenerator[bytes, None]:
        """Yield the file's content, reading one piece ahead."""
        loop = asyncio.get_running_loop()
        try:
            descriptor = await _open(part.path)
        except OSError as error:
            self.local_error = error
            raise
        offset = 0
        ahead = loop.run_in_executor(None, os.pread, descriptor, self._chunk_bytes, 0)
        try:
            while offset < part.size_bytes:
                piece = (await asyncio.shield(ahead))[: part.size_bytes - offset]
                if not piece:
                    raise InputChangedError(f"{part.filename} became shorter")
                offset += len(piece)
                if offset < part.size_bytes:
                    ahead = loop.run_in_executor(
                        None, os.pread, descriptor, self._chunk_bytes, offset
                    )
                yield piece
        except OSError as error:
            self.local_error = error
            raise
        finally:
            # A descriptor closed under a read could meanwhile belong to another file.
            await asyncio.wait({ahead})
            ahead.exception()
            os.close(descriptor)


async def _open(path: Path) -> int:
    """Open for reading in a thread; a cancellation in between leaves no descriptor behind."""
    opening = asyncio.get_running_loop().run_in_executor(
        None, os.open, path, os.O_RDONLY | os.O_CLOEXEC
    )
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_opened)
        raise


def _close_opened(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


def _file_head(boundary: str, part: FilePart | InlinePart) -> bytes:
    return (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{quote_name(part.field)}"; '
        f'filename="{quote_name(part.filename)}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    ).encode()
