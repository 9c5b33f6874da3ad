"""Reads a form with files from a request, in constant memory: what arrives is judged, hashed and written on the way.

`read_form` is all that handlers see. It tells a `Form` of each field and file in the order in which they come; whatever
the form refuses ends the reading there.

The event loop reads and looks for the boundary, at the speed of `bytes.find`, and a worker thread hashes and writes, one batch of
1 MiB behind the network; the connection is read on until 2 MiB wait, because to stop and begin again with each piece took an
eighth of the time. Measured by `bench.ingest`: of 2.1 s of CPU time per GiB the digest takes a third, and copying from the
socket and to the disk another. Reading the socket past aiohttp in a thread, into one buffer, would save some 0.7 s, but this way
would have to stay beside it for TLS, chunked bodies and forms of several files; a longer queue of batches saved nothing.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from aiohttp import ClientPayloadError, web

from app.core.errors import BrokenUpload, InvalidInput, TooLarge
from app.settings import Settings
from app.web.multipart import MultipartScanner, PartBegin, PartEnd, read_boundary

MAX_FIELDS = 64
MAX_FIELD_BYTES = 64 * 1024
HEAD_BYTES = 64 * 1024
"""As much of a file is judged before more of it is taken."""
_BATCH_BYTES = 1024 * 1024
_BATCH_PIECES = 512
_NICENESS = 5
_MAX_PLAIN_BYTES = 256 * 1024
_MAX_EPILOGUE_BYTES = 64 * 1024


def _give_way() -> None:
    """Let the event loop have the processor first: others wait for its answers, and nobody for these threads (Linux: by thread)."""
    with contextlib.suppress(OSError):  # where a sandbox forbids it, uploads must work all the same
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


_writers = ThreadPoolExecutor(8, thread_name_prefix="upload", initializer=_give_way)
"""Hash and write. Not the loop's own threads, which cannot become quick again: with them a call meanwhile took an eighth longer."""


class FilePart(Protocol):
    """A file being received. `judge` is called on the event loop, the others block and are called in a worker thread."""

    def judge(self, head: bytes) -> None:
        """Look at the first `HEAD_BYTES`, or the whole of a smaller file. Raises AppError."""

    def write(self, data: memoryview) -> None:
        """Append. Raises AppError."""

    def finish(self) -> None:
        """The file is whole. Raises AppError."""


class Form(Protocol):
    """What takes the fields and files of a request. Its owner throws away what is half done."""

    def take_field(self, name: str, value: str) -> None:
        """Take a text field. Raises AppError."""

    async def open_file(self, name: str, file_name: str, expected_bytes: int | None) -> FilePart:
        """Begin a file in the field `name`. Raises AppError.

        `expected_bytes` is what of the declared body is still to come, the most that this file and those behind it can be;
        None where the request declares no length.
        """


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What a form may be. Sizes are bytes, times seconds."""

    total_bytes: int
    files: int
    idle_s: float

    @classmethod
    def of(cls, settings: Settings) -> "UploadLimits":
        """Give the limits that are set."""
        return cls(
            settings.max_upload_bytes, settings.max_files_per_job, settings.upload_idle_timeout_s
        )


async def read_form(request: web.Request, form: Form, limits: UploadLimits) -> None:
    """Read the whole form. Raises BrokenUpload, TooLarge, UnsupportedMedia, InvalidInput, and whatever the form raises.

    When it returns or raises, no thread touches the form any longer.
    """
    if request.content_type == "application/x-www-form-urlencoded":
        await _read_plain_form(request, form, limits)
        return
    boundary = read_boundary(request.headers.get("Content-Type", ""))
    scanner = MultipartScanner(boundary)
    if (request.content_length or 0) > limits.total_bytes:
        raise _over(limits.total_bytes)

    def expected_bytes() -> int | None:
        if request.content_length is None:
            return None
        closing = len(boundary) + len("\r\n----\r\n")
        return max(0, request.content_length - scanner.position - closing)

    request.content.set_read_chunk_size(_BATCH_BYTES)
    reader = _Reader(form, limits, expected_bytes)
    total = 0
    try:
        while chunk := await _next_chunk(request, limits.idle_s):
            total += len(chunk)
            if total > limits.total_bytes:
                raise _over(limits.total_bytes)
            for event in scanner.feed(chunk):
                await reader.take(event)
            if scanner.is_complete:
                break
        if not scanner.is_complete:
            raise BrokenUpload("The body ends before its closing boundary", action="Send it again.")
        await _read_epilogue(request, limits.idle_s)
    finally:
        await reader.settle()


async def read_file(request: web.Request, part: FilePart, idle_s: float) -> None:
    """Read a body that is one file. Raises BrokenUpload, and whatever the part raises.

    When it returns or raises, no thread touches the part any longer.
    """
    request.content.set_read_chunk_size(_BATCH_BYTES)
    writer = _FileWriter(part)
    try:
        while chunk := await _next_chunk(request, idle_s):
            await writer.put(memoryview(chunk))
        await writer.finish()
    finally:
        await writer.settle()


async def _read_plain_form(request: web.Request, form: Form, limits: UploadLimits) -> None:
    """Read a form without files, as clients send it that have only stored files to name."""
    body = bytearray()
    while chunk := await _next_chunk(request, limits.idle_s):
        body += chunk
        if len(body) > _MAX_PLAIN_BYTES:
            raise _over(_MAX_PLAIN_BYTES)
    text = _decode(bytes(body))
    if text.count("&") >= MAX_FIELDS:
        raise _too_many("field", MAX_FIELDS)
    # Escaped bytes that are no text become surrogates, and are refused as such.
    for name, value in parse_qsl(text, keep_blank_values=True, errors="surrogateescape"):
        form.take_field(_retold(name), _retold(value))


def _too_many(kind: str, limit: int) -> InvalidInput:
    return InvalidInput(
        f"The form has more than {limit} {kind}s",
        code=f"too_many_{kind}s",
        action="Send each field once, and more files in another request.",
    )


def _over(limit: int) -> TooLarge:
    return TooLarge(f"The upload is larger than {limit} bytes")


async def _next_chunk(request: web.Request, idle_s: float) -> bytes:
    """Give what has arrived, or b"" at the end of the body."""
    try:
        async with asyncio.timeout(idle_s):
            return await request.content.readany()
    except TimeoutError:
        raise BrokenUpload(f"Nothing more of the body arrived for {idle_s:g} seconds") from None
    except (ConnectionError, ClientPayloadError, web.RequestPayloadError) as error:
        raise BrokenUpload("The connection broke before the body was whole") from error


async def _read_epilogue(request: web.Request, idle_s: float) -> None:
    """Read what follows the closing boundary, so that the connection can be used again."""
    skipped = 0
    while skipped < _MAX_EPILOGUE_BYTES and (chunk := await _next_chunk(request, idle_s)):
        skipped += len(chunk)


class _Reader:
    """Hands the scanner's events to the form."""

    def __init__(
        self, form: Form, limits: UploadLimits, expected_bytes: Callable[[], int | None]
    ) -> None:
        self._form = form
        self._expected_bytes = expected_bytes
        self._limits = limits
        self._parts = {"field": 0, "file": 0}
        self._begin = PartBegin("", None)
        self._text = bytearray()
        self._file: _FileWriter | None = None

    async def take(self, event: PartBegin | memoryview | PartEnd) -> None:
        if isinstance(event, PartBegin):
            self._start(event)
            if event.file_name:
                await self._writer()  # what is refused is refused before a byte of the file
        elif isinstance(event, PartEnd):
            await self._end()
        elif self._begin.file_name is None:
            self._text += event
            if len(self._text) > MAX_FIELD_BYTES:
                raise TooLarge(
                    f"A text field is larger than {MAX_FIELD_BYTES} bytes",
                    action="Send a file as one: with curl, -F input_file=@chr20.vcf.gz",
                )
        else:
            await (await self._writer()).put(event)

    async def settle(self) -> None:
        """Wait until no thread writes any longer."""
        if self._file is not None:
            await self._file.settle()

    def _start(self, begin: PartBegin) -> None:
        self._begin = begin
        kind, limit = ("field", MAX_FIELDS)
        if begin.file_name is not None:
            kind, limit = ("file", self._limits.files)
        self._parts[kind] += 1
        if self._parts[kind] > limit:
            raise _too_many(kind, limit)

    async def _end(self) -> None:
        begin = self._begin
        if begin.file_name is None:
            raw, self._text = bytes(self._text), bytearray()
            self._form.take_field(begin.name, _decode(raw))
        elif begin.file_name or self._file is not None:
            await (await self._writer()).finish()
            self._file = None
        # Otherwise a browser's empty file field: no name, no content.

    async def _writer(self) -> "_FileWriter":
        if self._file is None:
            name, file_name = self._begin.name, self._begin.file_name or ""
            part = await self._form.open_file(name, file_name, self._expected_bytes())
            self._file = _FileWriter(part)
        return self._file


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _not_text("is not UTF-8") from None
    if "\0" in text:
        raise _not_text("holds a NUL character")
    return text


def _not_text(what: str) -> InvalidInput:
    return InvalidInput(
        f"A text field {what}",
        code="not_text",
        action="Send text in UTF-8; send a file as one: with curl, -F input_file=@chr20.vcf.gz",
    )


def _retold(text: str) -> str:
    return _decode(text.encode("utf-8", "surrogateescape"))


class _FileWriter:
    """Collects slices to batches; one batch is written in a thread while the next arrives."""

    def __init__(self, part: FilePart) -> None:
        self._part = part
        self._batch: list[memoryview] = []
        self._size = 0
        self._is_judged = False
        self._writing: asyncio.Future[None] | None = None

    async def put(self, piece: memoryview) -> None:
        self._batch.append(piece)
        self._size += len(piece)
        if (
            len(self._batch) >= _BATCH_PIECES
        ):  # a client that sends byte by byte costs no more memory
            self._batch = [memoryview(b"".join(self._batch))]
        if not self._is_judged and self._size >= HEAD_BYTES:
            self._judge()
        if self._size >= _BATCH_BYTES:
            await self._flush()

    async def finish(self) -> None:
        if not self._is_judged:
            self._judge()
        await self._flush()
        await self._in_thread(self._part.finish)
        await self._wait()

    async def settle(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
            self._writing.exception()  # it was told, or something else went wrong before

    def _judge(self) -> None:
        self._is_judged = True
        self._part.judge(b"".join(self._batch)[:HEAD_BYTES])

    async def _flush(self) -> None:
        batch, self._batch, self._size = self._batch, [], 0
        if batch:
            await self._in_thread(lambda: self._write(batch))

    def _write(self, batch: list[memoryview]) -> None:
        for piece in batch:
            self._part.write(piece)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await self._wait()
        self._writing = asyncio.get_running_loop().run_in_executor(_writers, work)

    async def _wait(self) -> None:
        if self._writing is not None:
            # Shielded: when the handler is cancelled, the thread goes on, and `settle` must see its end.
            await asyncio.shield(self._writing)
            self._writing = None
