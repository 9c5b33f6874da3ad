"""The tabix index of a bgzipped VCF that is there already, for services that fetch their input and expect one beside it."""

import tempfile
from pathlib import Path

import deflate

from app.genotypes.bgzf import BgzfError, find_block
from app.genotypes.tabix import TabixIndex

MAX_END = 2**29
"""A tabix index knows no position beyond it (hts-specs tabix.pdf: six levels of bins over 512 Mb)."""
_READ_BYTES = 4 * 1024 * 1024


class NotIndexable(Exception):
    """Raised for a file that has no tabix index: not sorted, not one chromosome, broken, or beyond `MAX_END`."""


def index_bytes(path: Path) -> bytes:
    """Give the index of a VCF of one chromosome, as a `.tbi` holds it. Raises NotIndexable, OSError."""
    try:
        index = _collect(path)
    except BgzfError as error:
        raise NotIndexable("the compression is broken") from error
    with tempfile.TemporaryDirectory(prefix="fip-index-") as folder:
        written = Path(folder, "index.tbi")
        index.write(written)
        return written.read_bytes()


def _collect(path: Path) -> TabixIndex:
    """Read the file block by block: a record's place is its block's and the offset in what that holds."""
    walker = _Lines()
    pending, base = b"", 0
    with path.open("rb") as file:
        while chunk := file.read(_READ_BYTES):
            view, at = memoryview(pending + chunk), 0
            while at < len(view) and (block := find_block(view, at, base)) is not None:
                walker.feed(_content(view, block, base + at), base + at, base + block[1])
                at = block[1]
            pending, base = bytes(view[at:]), base + at
    if pending or walker.rest or walker.index is None:
        raise NotIndexable("the file ends early, or holds no records")
    return walker.index


def _content(view: memoryview, block: tuple[int, int], offset: int) -> bytes:
    data_at, end = block
    length = int.from_bytes(view[end - 4 : end], "little")
    if length > 65536:
        raise BgzfError("corrupt", offset)
    try:
        return bytes(deflate.deflate_decompress(view[data_at : end - 8], length))
    except deflate.DeflateError as error:
        raise BgzfError("corrupt", offset) from error


class _Lines:
    """Puts lines together that begin in one block and end in another."""

    def __init__(self) -> None:
        self.index: TabixIndex | None = None
        self.rest = b""
        self._start = 0
        self._chromosome = b""
        self._last = 0

    def feed(self, content: bytes, here: int, after: int) -> None:
        """Take a block's content; it begins at the byte `here` of the file, the next one at `after`."""
        at = 0
        while (end := content.find(b"\n", at)) >= 0:
            if not self.rest:
                self._start = here << 16 | at
            line, self.rest = self.rest + content[at:end], b""
            at = end + 1
            place = here << 16 | at if at < len(content) else after << 16
            if not line.startswith(b"#"):
                self._add(line, place)
        if at < len(content):
            if not self.rest:
                self._start = here << 16 | at
            self.rest += content[at:]

    def _add(self, line: bytes, end_offset: int) -> None:
        columns = line.split(b"\t", 8)
        if len(columns) < 8 or not columns[1].isdigit():
            raise NotIndexable("a line is no record")
        chromosome, position, ref, info = columns[0], int(columns[1]), columns[3], columns[7]
        if self.index is None:
            self._chromosome = chromosome
            self.index = TabixIndex(chromosome.decode("ascii", "replace"))
        if chromosome != self._chromosome or position < self._last:
            raise NotIndexable("the records are not those of one chromosome in order")
        length = _length(position, ref, info)
        if not 0 < position <= MAX_END - length:
            raise NotIndexable("a position is beyond what an index can hold")
        self._last = position
        self.index.add(position, length, self._start, end_offset)


def _length(position: int, ref: bytes, info: bytes) -> int:
    """Give how many bases a record covers: INFO/END tells it for those with a symbolic allele (as htslib's tbx reads it)."""
    for entry in info.split(b";") if b"END=" in info else ():
        if entry.startswith(b"END=") and (text := entry[4:]).isdigit():
            return max(1, int(text) - position + 1)
    return len(ref)
