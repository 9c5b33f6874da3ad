"""BGZF, the blocked gzip of htslib: reading with every check, and writing.

The format is the SAM specification's section 4.1: gzip members of at most 64 KiB of content, each with
its own compressed length in an extra field "BC", and an empty member as end-of-file mark.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import deflate

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_MAGIC = b"\x1f\x8b\x08\x04"
"""gzip, deflate, with an extra field."""
EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
MAX_BLOCK_CONTENT = 65536
WRITTEN_BLOCK_CONTENT = 65280
"""Content of a full block as bgzip writes it: incompressible data must still fit into 64 KiB."""
BATCH_BYTES = 512 * 1024
"""Content handed on at a time. It stays in the processor's second-level cache; 8 MiB halves the speed."""
READ_BYTES = 1024 * 1024

_HEADER_BYTES = 18
_FOOTER = struct.Struct("<II")
_USUAL_EXTRA = b"\x06\x00BC\x02\x00"


class BgzfError(Exception):
    """The chain of blocks is broken at the compressed `offset` (bytes)."""

    def __init__(self, kind: Literal["truncated", "corrupt", "not_bgzf"], offset: int) -> None:
        super().__init__(kind, offset)
        self.kind = kind
        self.offset = offset


def has_eof_block(path: Path) -> bool:
    """Whether the file ends with the BGZF end-of-file block, as every completely written one does."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), len(EOF_BLOCK), max(0, size - len(EOF_BLOCK))) == EOF_BLOCK


def find_block(view: memoryview, at: int, offset: int = 0) -> tuple[int, int] | None:
    """Where the deflate data of the block at `at` begins and where the block ends; None if `view` is too short.

    Raises: BgzfError("not_bgzf") when no BGZF block begins there; its offset counts from `offset`.
    """
    head = bytes(view[at : at + _HEADER_BYTES])
    if not BLOCK_MAGIC.startswith(head[:4]):
        raise BgzfError("not_bgzf", offset + at)
    if len(head) < _HEADER_BYTES:
        return None
    extra_bytes = int.from_bytes(head[10:12], "little")
    data_at = at + 12 + extra_bytes
    if head[10:16] == _USUAL_EXTRA:
        block_bytes = int.from_bytes(head[16:18], "little") + 1
    else:
        if len(view) < data_at:
            return None
        block_bytes = _block_bytes(bytes(view[at + 12 : data_at]))
    if block_bytes < 12 + extra_bytes + _FOOTER.size:
        raise BgzfError("not_bgzf", offset + at)
    return (data_at, at + block_bytes) if at + block_bytes <= len(view) else None


def _block_bytes(extra: bytes) -> int:
    """The block's length out of an extra field with several entries; 0 if it is not among them."""
    at = 0
    while at + 4 <= len(extra):
        length = int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] == b"BC" and length == 2 and at + 6 <= len(extra):
            return int.from_bytes(extra[at + 4 : at + 6], "little") + 1
        at += 4 + length
    return 0


class BgzfReader:
    """The content of a BGZF file in batches, with the checksum and length of every block verified.

    Memory is constant: one read of 1 MiB, one batch of about 0.5 MiB. The caller keeps the descriptor open. Where the batches
    are cut depends on the blocks alone, so that a file that is read while it grows gives the same ones.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pieces: list[bytearray] = []
        self._filled = 0
        self.compressed_bytes = 0
        self.uncompressed_bytes = 0

    def batches(self, batch_bytes: int = BATCH_BYTES) -> Iterator[bytes]:
        """The whole content. Raises: BgzfError at the first block that is not right."""
        size = os.fstat(self._descriptor).st_size
        yield from self.advance(size, batch_bytes)
        yield from self.end(size)

    def advance(self, stop: int, batch_bytes: int = BATCH_BYTES) -> Iterator[bytes]:
        """The full batches of the blocks that end before byte `stop` of the file; to be called again when there is more.

        It may be left between two batches. Raises: BgzfError.
        """
        pending = b""
        while chunk := self._read(len(pending), stop):
            view = memoryview(pending + chunk)
            base, at = self.compressed_bytes, 0
            while at < len(view) and (block := find_block(view, at, base)):
                piece = _inflate(view, block, base + at)
                at = block[1]
                self.compressed_bytes = base + at
                if piece:
                    self._pieces.append(piece)
                    self._filled += len(piece)
                    self.uncompressed_bytes += len(piece)
                if self._filled >= batch_bytes:
                    yield self._take()
            pending = bytes(view[at:])

    def end(self, size: int) -> Iterator[bytes]:
        """The last batch, when `advance` has come to the end of the file of `size` bytes. Raises: BgzfError("truncated")."""
        if self._pieces:
            yield self._take()
        if self.compressed_bytes < size:
            raise BgzfError("truncated", self.compressed_bytes)

    def _read(self, pending_bytes: int, stop: int) -> bytes:
        start = self.compressed_bytes + pending_bytes
        return os.pread(self._descriptor, max(0, min(READ_BYTES, stop - start)), start)

    def _take(self) -> bytes:
        batch = b"".join(self._pieces)
        self._pieces.clear()
        self._filled = 0
        return batch


def _inflate(view: memoryview, block: tuple[int, int], offset: int) -> bytearray:
    data_at, end = block
    crc, length = _FOOTER.unpack_from(view, end - _FOOTER.size)
    if length > MAX_BLOCK_CONTENT:
        raise BgzfError("corrupt", offset)
    try:
        content = deflate.deflate_decompress(view[data_at : end - _FOOTER.size], length)
    except deflate.DeflateError as error:
        raise BgzfError("corrupt", offset) from error
    if len(content) != length or deflate.crc32(content) != crc:
        raise BgzfError("corrupt", offset)
    return content


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a BGZF text file, without their newlines.

    Raises: BgzfError.
    """
    with path.open("rb") as file:
        rest = b""
        for batch in BgzfReader(file.fileno()).batches():
            *lines, rest = (rest + batch).split(b"\n")
            yield from lines
        if rest:
            yield rest


class BgzfWriter:
    """Writes a BGZF file; use it as a context manager. The same input gives the same bytes on one machine."""

    def __init__(self, path: Path, level: int = 6) -> None:
        self._file = path.open("wb")
        self._level = level
        self._buffer = bytearray()
        self._written_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def tell(self) -> int:
        """The virtual file offset of the next byte: block start << 16 | offset in its content."""
        return self._written_bytes << 16 | len(self._buffer)

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= WRITTEN_BLOCK_CONTENT:
            self._write_block(bytes(self._buffer[:WRITTEN_BLOCK_CONTENT]))
            del self._buffer[:WRITTEN_BLOCK_CONTENT]

    def close(self) -> None:
        """Writes what is buffered and the end-of-file block."""
        if self._buffer:
            self._write_block(bytes(self._buffer))
            self._buffer.clear()
        self._file.write(EOF_BLOCK)
        self._file.close()

    def _write_block(self, content: bytes) -> None:
        packed = compress_block(content, self._level)
        self._file.write(packed)
        self._written_bytes += len(packed)


def compress_block(content: bytes, level: int = 6) -> bytes:
    """One BGZF block of at most 65,280 bytes of content."""
    packed = deflate.deflate_compress(content, level)
    block_bytes = _HEADER_BYTES + len(packed) + _FOOTER.size
    header = BLOCK_MAGIC + b"\0\0\0\0\0\xff" + _USUAL_EXTRA + struct.pack("<H", block_bytes - 1)
    return header + packed + _FOOTER.pack(deflate.crc32(content), len(content))
