"""BGZF, the blocked gzip of bgzip and tabix (SAM specification, section 4.1): the little that is needed."""

import gzip
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

EOF_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_HEADER = struct.Struct("<4BI2BH2B2H")  # a block's header where BC is its only extra field
_BLOCK_BYTES = 0xFF00  # of text in a block, as bgzip makes them


def is_bgzf(path: Path) -> bool:
    """Whether the file begins with a BGZF block (and not with plain gzip or anything else)."""
    with path.open("rb") as file:
        return _block_length(file.read(_HEADER.size)) is not None


def is_whole(path: Path) -> bool:
    """Whether the file ends with BGZF's end-of-file block."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() < len(EOF_BLOCK):
            return False
        file.seek(-len(EOF_BLOCK), os.SEEK_END)
        return file.read() == EOF_BLOCK


class Lines:
    """The lines of a gzipped file without their ends; only whole ones within the first ``limit_bytes``.

    After iterating ``cut`` tells whether the limit ended it. Iterating raises OSError, EOFError or
    zlib.error where the file is not gzip, damaged, or cut off.
    """

    def __init__(self, path: Path, limit_bytes: int | None = None) -> None:
        self._path = path
        self._limit = limit_bytes
        self.cut = False

    def __iter__(self) -> Iterator[bytes]:
        left = self._limit
        with gzip.open(self._path, "rb") as file:
            for line in file:
                if left is not None:
                    left -= len(line)
                    if left < 0:
                        self.cut = True
                        return
                yield line.rstrip(b"\r\n")


class BgzfWriter:
    """Writes a BGZF file."""

    def __init__(self, path: Path, level: int = 6) -> None:
        self._file = path.open("wb")
        self._level = level
        self._text = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, text: bytes) -> None:
        self._text += text
        while len(self._text) >= _BLOCK_BYTES:
            self._file.write(_block(bytes(self._text[:_BLOCK_BYTES]), self._level))
            del self._text[:_BLOCK_BYTES]

    def close(self) -> None:
        if self._file.closed:
            return
        if self._text:
            self._file.write(_block(bytes(self._text), self._level))
        self._file.write(EOF_BLOCK)
        self._file.close()


def add_header_lines(
    source: Path, target: Path, lines: Iterable[str], limit_bytes: int | None = None
) -> bool:
    """Copy a BGZF VCF, putting ``lines`` before its ``#CHROM`` line; the rest is copied as it stands.

    Only the blocks of the header are opened. With a limit, blocks are copied until it is reached, and a
    record that is cut by that stays out. Returns whether the copy is whole.

    Raises:
        ValueError: no ``#CHROM`` line, or not BGZF.
    """
    with source.open("rb") as file, target.open("wb") as copy:
        head = bytearray()
        while (start := _start_of_columns(head)) is None:
            block = _read_block(file)
            if block is None:
                raise ValueError("no #CHROM line")
            head += zlib.decompress(block, wbits=31)
        extra = "".join(f"{line}\n" for line in lines).encode()
        _write_blocks(copy, bytes(head[:start]) + extra + bytes(head[start:]))
        if limit_bytes is None or source.stat().st_size <= limit_bytes:
            shutil.copyfileobj(file, copy, 1024 * 1024)
            return True
        _copy_some(file, copy, limit_bytes)
        return False


def _copy_some(file: BinaryIO, copy: BinaryIO, limit_bytes: int) -> None:
    """Copy blocks up to the limit and on to the next end of a line, so that no line is cut."""
    while block := _read_block(file):
        if file.tell() > limit_bytes:
            text = zlib.decompress(block, wbits=31)
            if b"\n" in text:
                _write_blocks(copy, text[: text.rfind(b"\n") + 1])
                break
        copy.write(block)
    copy.write(EOF_BLOCK)


def _start_of_columns(head: bytearray) -> int | None:
    if head.startswith(b"#CHROM"):
        return 0
    at = head.find(b"\n#CHROM")
    return None if at < 0 else at + 1


def _write_blocks(file: BinaryIO, text: bytes) -> None:
    pieces = (text[i : i + _BLOCK_BYTES] for i in range(0, len(text), _BLOCK_BYTES))
    file.writelines(_block(piece, 6) for piece in pieces)


def _block_length(header: bytes) -> int | None:
    if len(header) < _HEADER.size:
        return None
    magic1, magic2, method, flags, _, _, _, extra, sub1, sub2, _, length = _HEADER.unpack(header)
    if (magic1, magic2, method) != (0x1F, 0x8B, 8) or not flags & 4 or extra < 6:
        return None
    return int(length) + 1 if (sub1, sub2) == (66, 67) else None


def _read_block(file: BinaryIO) -> bytes | None:
    header = file.read(_HEADER.size)
    if not header:
        return None
    length = _block_length(header)
    if length is None:
        raise ValueError("not a BGZF block")
    return header + file.read(length - _HEADER.size)


def _block(text: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = packer.compress(text) + packer.flush()
    length = _HEADER.size + len(body) + 8 - 1
    header = _HEADER.pack(0x1F, 0x8B, 8, 4, 0, 0, 0xFF, 6, 66, 67, 2, length)
    return header + body + struct.pack("<II", zlib.crc32(text), len(text))
