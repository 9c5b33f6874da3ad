"""Unpacking result archives while they arrive: decrypted, checked, and never trusted.

The archive is neither kept nor held in memory: bytes go through a bounded pipe into a thread, where stream-unzip decrypts
(ZipCrypto and AES), inflates, and verifies each member's checksum, and from there into the `Sink`. Archives come from
outside, so each way in which one can do harm has a limit: member names that climb out of their folder, members without
number or end, and small archives that inflate without measure.

What goes wrong is sorted into the classes of `app.adapters.base`. A body that broke off on the way is the business of
whoever gives the bytes; their exception goes on unchanged. A body that came whole and yet cannot be opened (wrong password,
cut or damaged at the service) or breaks a limit is `Rejected`. A body that is no archive at all, as a proxy's page that came
with a 200, says nothing about the job: `ServiceUnavailable`. Exceptions of the sink pass unchanged.
"""

import hashlib
import unicodedata
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from app.adapters.base import Rejected, ServiceUnavailable, Sink
from app.adapters.pipe import Pipe, run_through

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
"""A local file header, an empty archive's end record, a spanning marker (APPNOTE.TXT §4.3.7, §4.3.16, §8.5.4)."""

_PIECE_BYTES = 256 * 1024
"""Decrypted, inflated and written at a time; a tenth less work than by stream-unzip's own 64 KiB (`bench.download`)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one download may bring.

    `max_ratio` is unpacked to packed bytes, counted once more than `ratio_from_bytes` were unpacked: imputed genotypes
    are compressed before they are packed (ratio 1), tables of text reach 20, deflate's own maximum is 1032.
    """

    max_members: int = 10_000
    max_total_bytes: int = 4 * 1024**4
    max_ratio: int = 200
    ratio_from_bytes: int = 64 * 1024 * 1024
    max_name_bytes: int = 240
    max_path_bytes: int = 1000


DEFAULT_LIMITS = Limits()


class UnsafeNameError(ValueError):
    """Raised for a name that must not become a file name; says why without repeating it."""


def safe_name(name: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """Give a remote file name back if it is a plain relative path. Raises `UnsafeNameError` otherwise.

    Folders are allowed. Refused: absolute paths, `.` and `..`, empty parts, backslashes, colons (drive letters,
    streams), control and other unprintable characters, and names too long for a file system.
    """
    if not name or name.startswith("/"):
        raise UnsafeNameError("an absolute or empty path")
    if any(c in "\\:" or unicodedata.category(c)[0] == "C" for c in name):
        raise UnsafeNameError("a character that names must not hold")
    parts = name.split("/")
    if any(part.strip() in {"", ".", ".."} for part in parts):
        raise UnsafeNameError("a path that leaves its folder")
    if len(name.encode()) > limits.max_path_bytes:
        raise UnsafeNameError("a path that is too long")
    if any(len(part.encode()) > limits.max_name_bytes for part in parts):
        raise UnsafeNameError("a name that is too long")
    return name


async def unpack(
    chunks: AsyncIterator[bytes],
    sink: Sink,
    *,
    password: str | None,
    limits: Limits = DEFAULT_LIMITS,
    md5: str | None = None,
) -> int:
    """Unpack a ZIP archive from a stream into the sink; give the number of files.

    Raises:
        Rejected: the archive is cut or damaged, packed in a way unknown here, the password is wrong or missing,
            or a limit is broken.
        ServiceUnavailable: the bytes are something else than an archive.
        Exception: whatever `chunks` and the sink raise, unchanged.
    """
    return await run_through(
        chunks, lambda pipe: _Unpacking(pipe, sink, password, limits, md5).run()
    )


async def store(
    chunks: AsyncIterator[bytes],
    sink: Sink,
    name: str,
    *,
    limits: Limits = DEFAULT_LIMITS,
    md5: str | None = None,
    sha1: str | None = None,
    size_bytes: int | None = None,
) -> int:
    """Write a stream into the sink as one file called `name`; give its size in bytes.

    Raises `Rejected` for an unsafe name, too many bytes, or a size or checksum that differs from the published one, and
    whatever `chunks` and the sink raise, unchanged.
    """
    checked = _checked_name(name, limits)

    def work(pipe: Pipe) -> int:
        received = _Received(pipe, md5, sha1, size_bytes)
        target = sink.open(checked)
        for piece in received:
            if received.count > limits.max_total_bytes:
                raise Rejected("A result file is larger than this platform accepts.")
            target.write(piece)
        received.verify()
        target.finish()
        return received.count

    return await run_through(chunks, work)


class _Received:
    """The incoming bytes, counted and summed."""

    def __init__(
        self,
        pipe: Pipe,
        md5: str | None,
        sha1: str | None = None,
        size_bytes: int | None = None,
    ) -> None:
        self._pipe = pipe
        self._sums = [
            (wanted.lower(), hashlib.new(name, usedforsecurity=False))
            for name, wanted in (("md5", md5), ("sha1", sha1))
            if wanted
        ]
        self._size = size_bytes
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pipe:
            self.count += len(piece)
            for _, found in self._sums:
                found.update(piece)
            yield piece

    def verify(self) -> None:
        """Raise `Rejected` if the service published another size or checksum."""
        if self._size is not None and self.count != self._size:
            raise Rejected("A result file is damaged: its size differs from the published one.")
        if any(found.hexdigest() != wanted for wanted, found in self._sums):
            raise Rejected("A result file is damaged: its checksum differs from the published one.")


class _Unpacking:
    """One archive on its way into one sink; runs in the worker thread."""

    def __init__(
        self, pipe: Pipe, sink: Sink, password: str | None, limits: Limits, md5: str | None
    ) -> None:
        self._pipe = pipe
        self._sink = sink
        self._password = password.encode() if password else None
        self._limits = limits
        self._received = _Received(pipe, md5)
        self._unpacked = 0
        self._names: set[str] = set()

    def run(self) -> int:
        """Unpack all members; give the number of files."""
        from app.adapters import unzipping  # noqa: PLC0415 - as it says

        source = _begins_like_zip(iter(self._received))
        members = 0
        archive = iter(unzipping.unzip(source, password=self._password, chunk_size=_PIECE_BYTES))
        while True:
            member = _next(archive)
            if member is None:
                break
            members += 1
            if members > self._limits.max_members:
                raise Rejected("A result archive holds more files than this platform accepts.")
            self._take(_text_of(member[0]), iter(member[2]))
        self._received.verify()
        return len(self._names)

    def _take(self, name: str, pieces: Iterator[bytes]) -> None:
        """Move one member into the sink; a folder's own entry is read and dropped."""
        folder = name.endswith("/")
        checked = _checked_name(name.rstrip("/") if folder else name, self._limits)
        target = None
        if not folder:
            # Some file systems do not tell case or Unicode forms apart.
            known_as = unicodedata.normalize("NFC", checked).casefold()
            if known_as in self._names:
                raise Rejected("A result archive holds two files of the same name.")
            self._names.add(known_as)
        while True:
            piece = _next(pieces)
            if piece is None:
                break
            self._pipe.check()
            self._count(len(piece))
            # Opened with the first bytes only: the password is known to be right by then.
            if target is None and not folder:
                target = self._sink.open(checked)
            if target is not None:
                target.write(piece)
        if target is None and not folder:
            target = self._sink.open(checked)
        if target is not None:
            target.finish()

    def _count(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self._limits.max_total_bytes:
            raise Rejected("A result archive unpacks to more than this platform accepts.")
        if (
            self._unpacked > self._limits.ratio_from_bytes
            and self._unpacked > self._limits.max_ratio * self._received.count
        ):
            raise Rejected("A result archive unpacks to far more than results do (a «zip bomb»).")


def _begins_like_zip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass the stream on if it begins as an archive does: a proxy's error page may come with a 200."""
    start = b""
    for piece in pieces:
        start += piece
        if len(start) >= 4:
            break
    if not start.startswith(_ZIP_STARTS):
        raise ServiceUnavailable("The service sent something that is not a result archive.")
    yield start
    yield from pieces


def _next(iterator: Iterator[Any]) -> Any:
    """Give the next item or None at the end; turn what stream-unzip raises into our classes."""
    from app.adapters import unzipping  # noqa: PLC0415 - it is loaded by now

    try:
        return next(iterator, None)
    except unzipping.MissingPasswordError as error:
        raise Rejected("A result archive is encrypted and no password is known.") from error
    except unzipping.PasswordError as error:
        raise Rejected("A result archive could not be opened: the password is wrong.") from error
    except unzipping.UnsupportedFeatureError as error:
        raise Rejected("A result archive is packed in a way that is unknown here.") from error
    except (
        unzipping.UnzipError,
        ValueError,
        LookupError,
    ) as error:  # the last two: its deflate64
        raise Rejected("A result archive is cut short or damaged.") from error


def _checked_name(name: str, limits: Limits) -> str:
    try:
        return safe_name(name, limits)
    except UnsafeNameError as error:
        raise Rejected(f"A result file was refused: its name is {error}.") from error


def _text_of(name: bytes) -> str:
    """Decode a member's name: UTF-8, else code page 437 (APPNOTE.TXT, appendix D)."""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("cp437")
