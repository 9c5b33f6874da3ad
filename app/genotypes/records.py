"""The records of a VCF, checked line by line at the speed of the inflater.

On one processor it takes 1.4 times as much a second as `bcftools index` (GT alone; 2.3 times with GT:AD:DP:GQ:PL), which parses
and checks little, and 0.7 and 1.15 times as much as `bcftools query` (bench/structure.py). What makes it fast: the tabs of a whole batch are found at once, only the line that straddles two batches is
copied, only the first columns are split, and what is usual is recognised by one comparison.
"""

import itertools

import numpy as np
import numpy.typing as npt
from numpy._core.multiarray import count_nonzero  # what np.count_nonzero wraps, in half the time

from app.genotypes.facts import MIB, InspectLimits
from app.genotypes.findings import Code, StructureError, clean, refuse, shell_word
from app.genotypes.record_checks import (
    MAX_POSITION,
    TAB,
    LineError,
    bad_position,
    check_alleles,
    check_chromosome,
    check_format,
    check_genotypes,
    has_missing,
    line_too_long,
    not_sorted,
    wrong_columns,
)

FIRST_COLUMNS_BYTES = 160
"""The nine fixed columns nearly always fit; where they do not, up to 1 MiB is split."""
MAX_RECORDS_AT_POSITION = 10_000
"""Records at one position whose alleles are remembered to find duplicates."""
CLOSE_LOOK_LINES = 16
CLOSE_LOOK_EVERY = 512
"""The genotypes of the first 16 records, and of every 512th, are parsed; a broken export breaks all its lines."""

_PASSED = frozenset((b"PASS", b"."))
_SNPS = frozenset(itertools.permutations((b"A", b"C", b"G", b"T"), 2))


class RecordScanner:
    """Feed it everything behind the header, then `finish`. The public fields are what it has learned."""

    def __init__(self, name: str, limits: InspectLimits, n_samples: int, header_lines: int) -> None:
        self.chromosome = ""
        self.n_variants = 0
        self.first_position = 0
        self.last_position = 0
        self.snp = 0
        self.multiallelic = 0
        self.no_alt = 0
        self.filtered = 0
        self.duplicate_sites = 0
        self.shared_positions = 0
        self.unphased = 0
        self.has_missing = False
        self._name = name
        self._limits = limits
        self._header_lines = header_lines
        self._tabs_wanted = 8 + n_samples
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._usual = (b"\n", b"\n")  # equal to no column
        self._gt_only = False
        self._alleles = (b"", b"")
        self._here: set[int] = set()
        self._here_position = 0

    def feed(self, content: bytes) -> None:
        """Checks every complete line. Raises: StructureError at the first line that is not right."""
        try:
            start = 0
            if self._rest_bytes:
                start = content.find(b"\n") + 1
                if not start:
                    self._keep(content)
                    return
                line = b"".join((*self._rest, content[:start]))
                self._rest, self._rest_bytes = [], 0
                self._scan(line, 0)
            self._keep(content[self._scan(content, start) :])
        except LineError as error:
            raise self._refuse(error.code, error.what, error.action) from error

    def finish(self) -> None:
        """To be called at the end of the content. Raises: StructureError."""
        if self._rest_bytes:
            self.n_variants += 1
            raise self._refuse(
                Code.LAST_LINE_CUT,
                "the last line has no end",
                "The rest of the file is missing: write it again, then upload it.",
            )
        if not self.n_variants:
            raise refuse(
                Code.NO_RECORDS,
                f"{clean(self._name)} has a header, but no variants.",
                "Check the filter or region that the file was made with.",
            )

    def _refuse(self, code: Code, what: str, action: str) -> StructureError:
        line = self._header_lines + self.n_variants
        action = action.replace("FILE", shell_word(self._name))
        return refuse(code, f"{clean(self._name)}, line {line}: {what}.", action)

    def _keep(self, rest: bytes) -> None:
        if rest:
            self._rest.append(rest)
            self._rest_bytes += len(rest)
        if self._rest_bytes > self._limits.max_line_bytes:
            self.n_variants += 1
            raise line_too_long(self._limits.max_line_bytes)

    def _scan(self, content: bytes, start: int) -> int:
        """Checks the complete lines of `content` from `start`; gives where the incomplete rest begins."""
        find = content.find
        octets = np.frombuffer(content, np.uint8)
        tabs = octets == TAB
        wanted, last, snp = self._tabs_wanted, self.last_position, 0
        try:
            while (end := find(b"\n", start)) >= 0:
                self.n_variants += 1
                if count_nonzero(tabs[start:end]) != wanted:
                    raise wrong_columns(content[start:end], wanted + 1)
                stop = min(end, start + FIRST_COLUMNS_BYTES)
                columns = content[start:stop].split(b"\t", 9)
                if len(columns) < 10:
                    stop, columns = _split_wide(content, start, end)
                chromosome, position, _, ref, alt, _, filtered, _, form, rest = columns
                if (chromosome, form) != self._usual:
                    self._enter(chromosome, position, form)
                if not position.isdigit() or not 0 < (at := int(position)) <= MAX_POSITION:
                    raise bad_position(position)
                if at <= last:
                    self._not_ascending(at, last, (ref, alt))
                last = at
                self._alleles = alleles = (ref, alt)
                if alleles in _SNPS:
                    snp += 1
                else:
                    self._count_other(ref, alt)
                if filtered not in _PASSED:
                    self.filtered += 1
                self._check_samples(content, octets, stop - len(rest), end)
                start = end + 1
        finally:
            self.last_position = last
            self.snp += snp
        return start

    def _check_samples(
        self, content: bytes, octets: npt.NDArray[np.uint8], start: int, end: int
    ) -> None:
        if content.find(b"/", start, end) >= 0:
            self.unphased += 1
        if not self.has_missing and content.find(b".", start, end) >= 0:
            self.has_missing = self._gt_only or has_missing(octets[start - 1 : end])
        number = self.n_variants
        if number <= CLOSE_LOOK_LINES or not number % CLOSE_LOOK_EVERY:
            check_genotypes(content[start:end])

    def _enter(self, chromosome: bytes, position: bytes, form: bytes) -> None:
        """Looks at a chromosome or FORMAT that the record before did not have; `position` is still unchecked."""
        if chromosome != self._usual[0]:
            self.chromosome = check_chromosome(chromosome, self.chromosome)
            self.first_position = int(position) if position.isdigit() else 0
        self._gt_only = check_format(form)
        self._usual = (chromosome, form)

    def _not_ascending(self, position: int, last: int, alleles: tuple[bytes, bytes]) -> None:
        """Takes a record at the position of the one before it."""
        if position < last:
            raise not_sorted(position, last)
        self.shared_positions += 1
        if self._here_position != position:
            self._here_position = position
            self._here = {hash(self._alleles)}
        key = hash(alleles)
        if key in self._here:
            self.duplicate_sites += 1
        elif len(self._here) < MAX_RECORDS_AT_POSITION:
            self._here.add(key)

    def _count_other(self, ref: bytes, alt: bytes) -> None:
        alternatives = check_alleles(ref, alt)
        self.multiallelic += alternatives > 1
        self.no_alt += alternatives == 0


def _split_wide(content: bytes, start: int, end: int) -> tuple[int, list[bytes]]:
    """The columns of a line whose fixed ones are long, and how far they were looked for."""
    stop = min(end, start + MIB)
    columns = content[start:stop].split(b"\t", 9)
    if len(columns) < 10:
        raise line_too_long(MIB, "what stands before the samples is")
    if len(columns[1]) > 10:
        raise bad_position(columns[1])
    return stop, columns
