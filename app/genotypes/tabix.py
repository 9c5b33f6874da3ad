"""Bgzipped VCF files of one chromosome, written together with their tabix index (.tbi).

The layout is that of the tabix format description (hts-specs tabix.pdf): bins of five levels, the smallest
16 kb wide, and for each 16 kb window the offset of the first record that reaches into it.
"""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.genotypes.bgzf import BgzfWriter

_FORMAT_VCF = 2
_WINDOW_BITS = 14
_FIRST_SMALLEST_BIN = 4681
_COUNT_BIN = 37450
"""A bin outside the five levels in which htslib keeps the number of records."""


class TabixIndex:
    """Collects the records of one chromosome in the order of the file."""

    def __init__(self, chromosome: str) -> None:
        self._chromosome = chromosome
        self._bins: dict[int, list[tuple[int, int]]] = {}
        self._windows: list[int] = []
        self._n_records = 0
        self._end_offset = 0

    def add(self, position: int, ref_bases: int, start_offset: int, end_offset: int) -> None:
        """One record: 1-based position, length of REF, virtual offsets of its line and of the next."""
        begin, end = position - 1, position - 1 + max(1, ref_bases)
        chunks = self._bins.setdefault(_bin_of(begin, end), [])
        if chunks and chunks[-1][1] == start_offset:
            chunks[-1] = (chunks[-1][0], end_offset)
        else:
            chunks.append((start_offset, end_offset))
        while len(self._windows) <= (end - 1) >> _WINDOW_BITS:
            self._windows.append(start_offset)
        self._n_records += 1
        self._end_offset = end_offset

    def write(self, path: Path) -> None:
        name = self._chromosome.encode("ascii") + b"\0"
        head = struct.pack(
            "<9i", 1, _FORMAT_VCF, 1, 2, 0, ord("#"), 0, len(name), len(self._bins) + 1
        )
        with BgzfWriter(path) as out:
            out.write(b"TBI\1" + head[:32] + name + head[32:])
            for number, chunks in sorted(self._bins.items()):
                out.write(struct.pack("<Ii", number, len(chunks)))
                out.write(b"".join(struct.pack("<QQ", *chunk) for chunk in chunks))
            first = self._windows[0] if self._windows else 0
            out.write(
                struct.pack("<IiQQQQ", _COUNT_BIN, 2, first, self._end_offset, self._n_records, 0)
            )
            out.write(struct.pack(f"<i{len(self._windows)}Q", len(self._windows), *self._windows))
            out.write(struct.pack("<Q", 0))


def _bin_of(begin: int, end: int) -> int:
    """The smallest bin that holds the half-open, 0-based interval (tabix.pdf, reg2bin)."""
    last = end - 1
    first_bin = _FIRST_SMALLEST_BIN
    for level in range(5):
        shift = _WINDOW_BITS + 3 * level
        if begin >> shift == last >> shift:
            return first_bin + (begin >> shift)
        first_bin = (first_bin - 1) // 8
    return 0


def write_indexed_vcf(
    path: Path,
    header: Sequence[str],
    chromosome: str,
    records: Iterable[tuple[int, str, bytes]],
    level: int = 6,
) -> int:
    """Writes a VCF and `path`.tbi beside it; gives the number of records.

    `header` is all its lines, `records` are (position, REF, the whole line without newline), sorted. Files appear
    under their names only when they are complete. `level` is the compression, 1 to 12.
    """
    index = TabixIndex(chromosome)
    count = 0
    part, index_part = Path(f"{path}.part"), Path(f"{path}.tbi.part")
    with BgzfWriter(part, level) as out:
        out.write("".join(f"{line}\n" for line in header).encode())
        for position, ref, line in records:
            start = out.tell()
            out.write(line + b"\n")
            index.add(position, len(ref), start, out.tell())
            count += 1
    index.write(index_part)
    part.replace(path)
    index_part.replace(f"{path}.tbi")  # newer than the data, or tabix warns
    return count
