"""Reading a multipart body to disk as it comes, in constant memory."""

import asyncio
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path, PurePosixPath

from aiohttp import BodyPartReader, web

_CHUNK = 1024 * 1024
_TEXT_BYTES = 1024 * 1024


class TooLarge(Exception):
    """The body is larger than the server takes: 413."""


class Malformed(Exception):
    """Not a multipart body, or one that ends too early: 400."""


@dataclass(slots=True)
class Form:
    """What came: text fields in their order, and per field the names of the files stored."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    stored_bytes: int = 0


async def read_form(request: web.Request, folder: Path, limit_bytes: int) -> Form:
    """Store the files of the body in ``folder``. Two files of one name overwrite each other.

    Raises:
        TooLarge, Malformed: see there.
        ConnectionError: the client went away.
    """
    if (request.content_length or 0) > limit_bytes:
        raise TooLarge
    form = Form()
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise Malformed
            if part.filename is None:
                form.texts.append((part.name, await _read_text(part)))
            else:
                name = PurePosixPath(part.filename.replace("\\", "/")).name
                if name in {"", ".", ".."}:
                    raise Malformed
                await _store(part, folder / name, form, limit_bytes)
                form.files.append((part.name, name))
    except (AssertionError, ValueError, web.RequestPayloadError) as error:
        raise Malformed from error
    return form


async def _read_text(part: BodyPartReader) -> str:
    text = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        text += chunk
        if len(text) > _TEXT_BYTES:
            raise TooLarge
    return text.decode(errors="replace")


async def _store(part: BodyPartReader, path: Path, form: Form, limit_bytes: int) -> None:
    """Write a file part, a mebibyte at a time in a thread while the next one comes in."""
    loop = asyncio.get_running_loop()
    file = path.open("wb", buffering=0)
    writing: asyncio.Future[None] = loop.create_future()
    writing.set_result(None)
    gathered = bytearray()
    try:
        while chunk := await part.read_chunk(_CHUNK):
            form.stored_bytes += len(chunk)
            if form.stored_bytes > limit_bytes:
                raise TooLarge
            gathered += chunk
            if len(gathered) >= _CHUNK:
                await writing
                writing = loop.run_in_executor(None, _write, file, gathered)
                gathered = bytearray()
        await writing
        await asyncio.to_thread(_write, file, gathered)
    finally:
        await asyncio.wait([writing])
        await asyncio.to_thread(file.close)


def _write(file: RawIOBase, data: bytearray) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]
