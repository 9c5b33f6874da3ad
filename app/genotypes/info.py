"""Reading what an imputation says of its sites: Minimac4's sites-only VCF, the table of older servers, or the INFO of a dose VCF.

Which it is, the first bytes tell. A file that breaks off gives what could be read until there, and why it ended.
"""

import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from app.genotypes.bgzf import BLOCK_MAGIC, GZIP_MAGIC, READ_BYTES, BgzfError, BgzfReader
from app.genotypes.facts import MIB
from app.genotypes.tally import Chromosome, Tally

MAX_LINE_BYTES = 16 * MIB
MAX_UNCOMPRESSED_BYTES = 2 * 1024 * 1024 * MIB
MAX_POSITION = 2**31 - 1
"""The largest that VCF and its indexes know (SAM specification, §4.2)."""
MAX_INFO_FIELDS = 1000
"""Of one site; what comes after them is not looked at."""
_STEP_BYTES = 512 * 1024
_NAN = math.nan
_IMPUTED = re.compile(rb"IMPUTED;AF=([0-9.eE+-]+);MAF=([0-9.eE+-]+);AVG_CS=[^;]*;R2=([0-9.eE+-]+)$")
_OF_NAME = re.compile(r"(?:^|[._-])(?:chr_?)?([0-9]{1,2}|X|Y|MT)(?=[._-])", re.IGNORECASE)


class ReadingStopped(Exception):
    """A file could not be read to its end; `reason` says why, for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Deadline:
    """When reading has to stop, by the process's own clock; `tell` hears how many bytes of the file, as it is stored, were read."""

    def __init__(self, seconds: float, tell: Callable[[int], None] = lambda _: None) -> None:
        self._at = monotonic() + seconds
        self._tell = tell

    def check(self, read_bytes: int) -> None:
        """Raises ReadingStopped when the time is over."""
        self._tell(read_bytes)
        if monotonic() > self._at:
            raise ReadingStopped("reading took longer than is allowed")


def read_pieces(path: Path) -> Iterator[tuple[bytes, int]]:
    """Give the content of a file, whether bgzip, gzip or plain, a piece at a time, each with how many stored bytes were read.

    Raises ReadingStopped, OSError.
    """
    with path.open("rb") as file:
        head = file.read(18)
        file.seek(0)
        if head[:4] == BLOCK_MAGIC and head[12:14] == b"BC":
            try:
                reader = BgzfReader(file.fileno())
                for piece in reader.batches(_STEP_BYTES):
                    yield piece, reader.compressed_bytes
            except BgzfError as error:
                raise ReadingStopped(_broken(error.kind == "truncated")) from error
        elif head[:2] == GZIP_MAGIC:
            for piece in _gunzip(iter(lambda: file.read(READ_BYTES), b"")):
                yield piece, file.tell()
        else:
            while piece := file.read(_STEP_BYTES):
                yield piece, file.tell()


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(31)
    begun = False
    for chunk in chunks:
        rest = chunk
        while rest:
            try:
                yield member.decompress(rest, _STEP_BYTES)
            except zlib.error as error:
                raise ReadingStopped(_broken(is_short=False)) from error
            begun = True
            rest = member.unconsumed_tail
            if member.eof:
                rest = member.unused_data.lstrip(b"\0")
                member, begun = zlib.decompressobj(31), False
    if begun:
        raise ReadingStopped(_broken(is_short=True))


def _broken(is_short: bool) -> str:
    return "the file breaks off in the middle" if is_short else "the file is damaged"


def read_batches(path: Path, deadline: Deadline) -> Iterator[list[bytes]]:
    """Give the lines of a file, many at a time. Raises ReadingStopped, OSError."""
    rest = b""
    total = 0
    for piece, read_bytes in read_pieces(path):
        deadline.check(read_bytes)
        total += len(piece)
        if total > MAX_UNCOMPRESSED_BYTES:
            raise ReadingStopped("the file is larger than is read")
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ReadingStopped("a line is longer than is read")
        if lines:
            yield lines
    if rest:
        yield [rest]


def read_sites(path: Path, name: str, tally: Tally, deadline: Deadline) -> None:
    """Count the sites of one file into `tally`. Raises ReadingStopped, OSError; what was counted until then stays."""
    batches = read_batches(path, deadline)
    first = next(batches, None)
    if first is None:
        raise ReadingStopped("the file is empty")
    head = first[0]
    if head.startswith((b"##fileformat=VCF", b"#CHROM")):
        _read_vcf(first, batches, tally)
    elif head.split(b"\t")[0].strip() == b"SNP":
        _read_table(first, batches, name, tally)
    else:
        raise ReadingStopped("the file is neither a VCF nor a table of sites")


def _read_vcf(lines: list[bytes], batches: Iterator[list[bytes]], tally: Tally) -> None:  # noqa: C901 - one loop, for speed
    """The columns after INFO are not looked at."""
    marks_imputed = False  # Beagle flags what it imputed, and nothing else
    bad = 0
    seen, where = b"", Chromosome(name="?")
    quick = _IMPUTED.match
    while True:
        for line in lines:
            if line[:1] == b"#":
                marks_imputed |= line.startswith(b"##INFO=<ID=IMP,")
                continue
            try:
                chrom, at, _, ref, alt, _, _, info, *_ = line.split(b"\t", 8)
                position = place_of(at)
            except ValueError:
                bad += bool(line.strip())
                continue
            if chrom != seen:
                seen, where = chrom, tally.chromosome(chrom[:60].decode("ascii", "replace"))
            where.sites += 1
            if b"," in alt:
                tally.multiallelic += 1
            if found := quick(info.rstrip(b"\r")):
                try:
                    af, maf, r2 = map(float, found.groups())
                except ValueError:
                    af, maf, r2 = (number(text) for text in found.groups())
                tally.add_imputed(where, position, af, maf, r2)
            else:
                _add_other(tally, where, position, (ref, alt), info, marks_imputed)
        following = next(batches, None)
        if following is None:
            break
        lines = following
    if bad:
        raise ReadingStopped(f"{bad:,} lines are not sites and were passed over")


def _add_other(
    tally: Tally,
    where: Chromosome,
    position: int,
    alleles: tuple[bytes, bytes],
    info: bytes,
    marks_imputed: bool,
) -> None:
    values: dict[bytes, bytes] = {}
    for part in info.rstrip(b"\r").split(b";", MAX_INFO_FIELDS)[:MAX_INFO_FIELDS]:
        key, _, value = part.partition(b"=")
        values[key] = value
    imputed = b"IMPUTED" in values or b"IMP" in values
    typed = b"TYPED" in values or (marks_imputed and not imputed)
    r2 = number(values.get(b"R2") or values.get(b"DR2") or b"")
    if typed:
        er2 = number(values.get(b"ER2", b""))
        if not imputed and not marks_imputed and math.isnan(er2):
            where.typed_only += 1
        else:
            tally.add_typed(where, position, alleles, r2, er2)
        return
    af = number(values.get(b"AF", b""))
    maf = number(values.get(b"MAF", b""))
    tally.add_imputed(where, position, af, min(af, 1 - af) if math.isnan(maf) else maf, r2)


def place_of(text: bytes) -> int:
    """Read a position. Raises ValueError for what cannot be one."""
    position = int(text) if len(text) <= 12 else -1
    if not 0 <= position <= MAX_POSITION:
        raise ValueError("not a position")
    return position


def number(text: bytes) -> float:
    """Read a number; of several (one an ALT allele) the first. What is none gives not-a-number."""
    try:
        value = float(text.split(b",", 1)[0])
    except ValueError:
        return _NAN
    return value if math.isfinite(value) else _NAN


def _read_table(
    lines: list[bytes], batches: Iterator[list[bytes]], name: str, tally: Tally
) -> None:
    """The table of Minimac3 and 4.0: SNP REF(0) ALT(1) ALT_Frq MAF AvgCall Rsq Genotyped LooRsq EmpR EmpRsq …"""
    columns = {title.strip(): place for place, title in enumerate(lines[0].split(b"\t"))}
    try:
        places = [columns[b"SNP"], columns[b"Rsq"], columns[b"Genotyped"], columns[b"MAF"]]
    except KeyError:
        raise ReadingStopped("the table has not the columns SNP, MAF, Rsq and Genotyped") from None
    snp, rsq, genotyped, maf = places
    frequency, empirical = columns.get(b"ALT_Frq"), columns.get(b"EmpRsq")
    of_file = chromosome_of(name)
    bad = 0
    lines = lines[1:]
    while True:
        for line in lines:
            cells = line.split(b"\t", 16)
            if len(cells) <= max(places):
                bad += bool(line.strip())
                continue
            where, position, ref, alt = _place(tally, cells[snp], of_file)
            where.sites += 1
            kind = cells[genotyped].strip().lower()
            r2 = number(cells[rsq])
            if kind in (b"typed_only", b"typedonly"):
                where.typed_only += 1
            elif kind == b"genotyped":
                er2 = number(_cell(cells, empirical))
                tally.add_typed(where, position, (ref, alt), r2, er2)
            else:
                af = number(_cell(cells, frequency))
                tally.add_imputed(where, position, af, number(cells[maf]), r2)
        following = next(batches, None)
        if following is None:
            break
        lines = following
    if bad:
        raise ReadingStopped(f"{bad:,} lines are not sites and were passed over")


def _cell(cells: list[bytes], place: int | None) -> bytes:
    return cells[place] if place is not None and place < len(cells) else b""


def _place(tally: Tally, snp: bytes, of_file: str) -> tuple[Chromosome, int, bytes, bytes]:
    """`20:61098:C:T`, with or without alleles and `chr`; else the chromosome of the file's name."""
    parts = snp.split(b":", 4)
    try:
        position = place_of(parts[1])
    except (IndexError, ValueError):
        return tally.chromosome(of_file), 0, b"", b""
    ref, alt = (parts[2], parts[3]) if len(parts) > 3 else (b"", b"")
    return tally.chromosome(parts[0][:60].decode("ascii", "replace")), position, ref, alt


def chromosome_of(name: str) -> str:
    """Give the chromosome that the name of a file says, or «?»."""
    found = _OF_NAME.search(name.rpartition("/")[2])
    return found[1].upper() if found else "?"
