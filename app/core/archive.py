"""A stored (uncompressed) ZIP whose every byte is known before it is read: sizes and checksums of its members are.

The layout is a list of spans, each either bytes (headers, directory) or a member's stored file, so any range of the archive is
served by seeking, nothing is written, and the same members always give the same bytes. Structures are those of PKWARE's
APPNOTE.TXT 6.3.10; sections are named beside them. No data descriptors: checksums and sizes stand in the local headers, so
that readers of streams can open the archive too.
"""

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

_MAX32 = (
    0xFFFFFFFF  # this value in a 32-bit field sends readers to the ZIP64 one (4.4.8, 4.4.9, 4.4.16)
)
_MAX16 = 0xFFFF
_VERSION = 20  # 4.4.3.2: folders
_VERSION_ZIP64 = 45
_MADE_ON_UNIX = 3 << 8  # 4.4.2.2
_UTF8 = 1 << 11  # 4.4.4
_DATE = (
    0x0021  # 1980-01-01, the first day of the format: every archive of the same files is the same
)
_ATTRIBUTES = 0o100644 << 16  # a regular file, readable by all


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive. `name` is its relative path there, `key` says where its bytes are."""

    name: str
    size_bytes: int
    crc32: int
    key: str


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the archive: `size_bytes` of `data`, or of the stored file `key` from `offset`."""

    size_bytes: int
    data: bytes = b""
    key: str | None = None
    offset: int = 0

    def cut(self, start: int, stop: int) -> "Span":
        """Give the part [start, stop)."""
        if self.key is None:
            return Span(stop - start, self.data[start:stop])
        return Span(stop - start, key=self.key, offset=self.offset + start)


class ArchiveLayout:
    """Where every byte of the archive comes from."""

    def __init__(self, members: Sequence[Member]) -> None:
        spans: list[Span] = []
        directory: list[bytes] = []
        place = 0
        for member in members:
            header = _local_header(member)
            directory.append(_directory_entry(member, place))
            spans += [Span(len(header), header), Span(member.size_bytes, key=member.key)]
            place += len(header) + member.size_bytes
        tail = b"".join(directory)
        tail += _end(len(members), len(tail), place)
        spans.append(Span(len(tail), tail))
        self._spans = [span for span in spans if span.size_bytes]
        self._stops = list(accumulate(span.size_bytes for span in self._spans))
        self.size_bytes = self._stops[-1]

    def spans(self, start: int, stop: int) -> Iterator[Span]:
        """Give the pieces of the bytes [start, stop), in order."""
        for index in range(bisect_right(self._stops, start), len(self._spans)):
            span = self._spans[index]
            begin = self._stops[index] - span.size_bytes
            if begin >= stop:
                return
            yield span.cut(max(0, start - begin), min(span.size_bytes, stop - begin))


def fingerprint(members: Sequence[tuple[str, str]]) -> str:
    """Give a digest (64 hex) that names the archive of these (name, SHA-256) pairs, for its ETag."""
    digest = hashlib.sha256(b"stored zip, layout 1")
    for name, sha256 in members:
        digest.update(f"{len(name)}:{name}:{sha256};".encode())
    return digest.hexdigest()


def _name(member: Member) -> tuple[bytes, int]:
    encoded = member.name.encode()
    return encoded, 0 if member.name.isascii() else _UTF8


def _local_header(member: Member) -> bytes:
    """4.3.7, with the extra field of 4.5.3 holding both sizes when one does not fit."""
    name, flags = _name(member)
    big = member.size_bytes >= _MAX32
    extra = struct.pack("<HHQQ", 1, 16, member.size_bytes, member.size_bytes) if big else b""
    size = _MAX32 if big else member.size_bytes
    fixed = struct.pack(
        "<4sHHHHHLLLHH",
        b"PK\x03\x04",
        _VERSION_ZIP64 if big else _VERSION,
        flags,
        0,
        0,
        _DATE,
        member.crc32,
        size,
        size,
        len(name),
        len(extra),
    )
    return fixed + name + extra


def _directory_entry(member: Member, place: int) -> bytes:
    """4.3.12, with the extra field of 4.5.3 holding what does not fit."""
    name, flags = _name(member)
    big = member.size_bytes >= _MAX32
    far = place >= _MAX32
    values = ([member.size_bytes] * 2 if big else []) + ([place] if far else [])
    extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    size = _MAX32 if big else member.size_bytes
    version = _VERSION_ZIP64 if values else _VERSION
    fixed = struct.pack(
        "<4sHHHHHHLLLHHHHHLL",
        b"PK\x01\x02",
        _MADE_ON_UNIX | version,
        version,
        flags,
        0,
        0,
        _DATE,
        member.crc32,
        size,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _ATTRIBUTES,
        _MAX32 if far else place,
    )
    return fixed + name + extra


def _end(count: int, size: int, place: int) -> bytes:
    """4.3.16, before it 4.3.14 and 4.3.15 when a number does not fit."""
    zip64 = b""
    if count >= _MAX16 or size >= _MAX32 or place >= _MAX32:
        versions = (_MADE_ON_UNIX | _VERSION_ZIP64, _VERSION_ZIP64)
        zip64 = struct.pack(
            "<4sQHHLLQQQQ", b"PK\x06\x06", 44, *versions, 0, 0, count, count, size, place
        ) + struct.pack("<4sLQL", b"PK\x06\x07", 0, place + size, 1)
    entries = min(count, _MAX16)
    return zip64 + struct.pack(
        "<4sHHHHLLH",
        b"PK\x05\x06",
        0,
        0,
        entries,
        entries,
        min(size, _MAX32),
        min(place, _MAX32),
        0,
    )
