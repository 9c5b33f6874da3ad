"""The analysis of a job's results: from its stored files to one small record that every plot and table is drawn from.

Constant memory, one pass over each file; it runs in a worker process. A file that cannot be read to its end makes the result a
partial one that says so; it never makes it fail.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from app.genotypes.info import Deadline, ReadingStopped, read_batches, read_sites
from app.genotypes.tally import (
    AF_BINS,
    ER2_BINS,
    MAF_EDGES,
    R2_BINS,
    Chromosome,
    Suspect,
    Tally,
    Window,
    plain_text,
)

VERSION = 1
"""Of the computation; a stored result of another one is computed anew."""
MAX_REASONS = 40
MAX_CHUNKS = 400
_MAX_CELLS = 20
"""Of a row of a short table; none has more columns."""
_OTHER = "Other reasons"
_TABLES = ("snps-excluded.txt", "snps-typed-only.txt", "typed-only.txt", "chunks-excluded.txt")


class ResultFile(msgspec.Struct, frozen=True):
    """A stored file of a job. `name` is its name there."""

    path: Path
    name: str
    file_id: int
    sha256: str | None


class Source(msgspec.Struct, kw_only=True):
    """A file that the analysis was made from; `problem` says what of it could not be read."""

    file_id: int
    name: str
    sha256: str | None
    sites: int = 0
    problem: str | None = None


class MafRow(msgspec.Struct, kw_only=True):
    """The imputed sites with low ≤ MAF < high (the last: ≤); without bounds, those whose frequency is not given."""

    low: float | None
    high: float | None
    sites: int
    n_r2: int
    mean_r2: float | None


class ChromosomeRow(msgspec.Struct, kw_only=True):
    """A chromosome. `mean_r2` is that of imputed sites."""

    name: str
    sites: int
    typed: int
    typed_only: int
    imputed: int
    mean_r2: float | None
    excluded: int


class Reason(msgspec.Struct):
    """Why the service left input sites out, and how many."""

    reason: str
    sites: int


class Chunk(msgspec.Struct):
    """A stretch of the input that the service left out."""

    name: str
    sites: str
    overlap: str
    low_call_rate: str


class Analysis(msgspec.Struct, kw_only=True):
    """What the results of a job say of their quality. Counts are of sites.

    `r2_by_maf` has a row for each MAF bin (`maf`, in its order) with 100 columns of R2, each 0.01 wide. `er2_by_r2` has a row for each
    ER2 bin with a column for each R2 bin, both 0.05 wide. `frequencies` are of ALT alleles at imputed sites, 20 bins.
    """

    version: int
    is_partial: bool
    problems: list[str]
    sources: list[Source]
    sites: int
    imputed: int
    typed: int
    typed_only: int
    multiallelic: int
    with_r2: int
    mean_r2: float | None
    r2_by_maf: list[list[int]]
    maf: list[MafRow]
    er2_by_r2: list[list[int]]
    with_er2: int
    mean_er2: float | None
    suspects_total: int
    suspects: list[Suspect]
    chromosomes: list[ChromosomeRow]
    windows: list[Window]
    frequencies: list[int]
    mean_frequency: float | None
    excluded: list[Reason]
    typed_only_listed: int
    chunks: list[Chunk]
    chunks_total: int


def choose_sources(names: Sequence[str]) -> list[int]:
    """Give which files tell of the sites: every info file, and the dose VCF of what has none."""
    plain = [name.rpartition("/")[2].lower() for name in names]
    infos = {
        name.partition(".info")[0]: place
        for place, name in enumerate(plain)
        if name.endswith((".info.gz", ".info"))
    }
    doses = [
        place
        for place, name in enumerate(plain)
        if name.endswith(".vcf.gz")
        and "empirical" not in name
        and name.partition(".dose")[0].removesuffix(".vcf.gz") not in infos
    ]
    if infos:  # beside info files, another VCF is a copy, an index or an input
        doses = [place for place in doses if ".dose." in plain[place]]
    return sorted([*infos.values(), *doses])


Tell = Callable[[int, float], None]
"""Hears which of the files is being read, by its place, and the share of all bytes that were."""


class _Way:
    """How far the reading of files has come."""

    def __init__(self, files: Sequence[ResultFile], places: Sequence[int], tell: Tell) -> None:
        self._sizes = {place: _size(files[place].path) for place in places}
        self._total = sum(self._sizes.values()) or 1
        self._tell = tell
        self._before = 0
        self._place = -1

    def begin(self, place: int) -> None:
        self._before += self._sizes.get(self._place, 0)
        self._place = place
        self.hear(0)

    def hear(self, read_bytes: int) -> None:
        self._tell(self._place, min((self._before + read_bytes) / self._total, 1.0))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def analyse(
    files: Sequence[ResultFile], timeout_s: float, tell: Tell = lambda *_: None
) -> Analysis:
    """Give the analysis of a job's result files. Blocks. Raises OSError never: a file that is gone is told as a problem."""
    tally = Tally()
    chosen = choose_sources([file.name for file in files])
    tables = [place for place, file in enumerate(files) if _base(file) in _TABLES]
    way = _Way(files, [*chosen, *tables], tell)
    deadline = Deadline(timeout_s, way.hear)
    sources = []
    for place in chosen:
        way.begin(place)
        sources.append(_read(files[place], tally, deadline))
    sources_missing = [] if sources else ["No file of the results tells of the sites"]
    reasons: Counter[str] = Counter()
    chunks: list[list[str]] = []
    listed = 0
    for place in tables:
        way.begin(place)
        file, base = files[place], _base(files[place])
        source = Source(file_id=file.file_id, name=file.name, sha256=file.sha256)
        try:
            if base == "snps-excluded.txt":
                source.sites = _read_excluded(file.path, tally, reasons, deadline)
            elif base == "chunks-excluded.txt":
                chunks += [cells[:4] for cells in _rows(file.path, deadline)]
            else:
                source.sites = listed = _read_listed(file.path, tally, deadline)
        except (ReadingStopped, OSError) as error:
            source.problem = _told(error)
        sources.append(source)
    return _sum_up(tally, sources, sources_missing, reasons, chunks, listed)


def _base(file: ResultFile) -> str:
    return file.name.rpartition("/")[2].lower()


def _read(file: ResultFile, tally: Tally, deadline: Deadline) -> Source:
    source = Source(file_id=file.file_id, name=file.name, sha256=file.sha256)
    before = _count(tally)
    try:
        read_sites(file.path, file.name, tally, deadline)
    except (ReadingStopped, OSError) as error:
        source.problem = _told(error)
    source.sites = _count(tally) - before
    return source


def _count(tally: Tally) -> int:
    return sum(item.sites for item in tally.chromosomes.values())


def _told(error: ReadingStopped | OSError) -> str:
    if isinstance(error, ReadingStopped):
        return error.reason
    return (
        "the file is no longer stored" if isinstance(error, FileNotFoundError) else "cannot be read"
    )


def _rows(path: Path, deadline: Deadline) -> list[list[str]]:
    """Give the rows of a short table, without its head."""
    found: list[list[str]] = []
    for lines in read_batches(path, deadline):
        for line in lines:
            cells = (
                line.decode("utf-8", "replace").rstrip("\r").split("\t", _MAX_CELLS)[:_MAX_CELLS]
            )
            if _is_head(cells) or not cells[0].strip():
                continue
            found.append([plain_text(cell.strip(), 120) for cell in cells])
            if len(found) > 100 * MAX_CHUNKS:
                raise ReadingStopped("the list is longer than is read")
    return found


def _is_head(cells: Sequence[str]) -> bool:
    return cells[0].startswith("#") or cells[0].strip().upper() in (
        "ID",
        "CHUNK",
        "POSITION",
        "SNP",
    )


def _read_excluded(path: Path, tally: Tally, reasons: Counter[str], deadline: Deadline) -> int:
    """Today `ID CHROM POS REF ALT INFO`; before `#Position FilterType Info`, the position as `20:61098:C:T`."""
    n, titles = 0, [""]
    for lines in read_batches(path, deadline):
        for line in lines:
            cells = line.decode("utf-8", "replace").rstrip("\r").split("\t", _MAX_CELLS)
            if _is_head(cells):
                titles = [cell.strip().lstrip("#").lower() for cell in cells]
                continue
            if not cells[0].strip():
                continue
            n += 1
            if "filtertype" in titles or len(cells) < 6:
                name, reason = cells[0].partition(":")[0], cells[1] if len(cells) > 1 else ""
            else:
                name, reason = cells[1], cells[5]
            tally.chromosome(name.strip()).excluded += 1
            reason = plain_text(reason.strip(), 100) or "No reason given"
            if reason not in reasons and len(reasons) >= MAX_REASONS:
                reason = _OTHER
            reasons[reason] += 1
    return n


def _read_listed(path: Path, tally: Tally, deadline: Deadline) -> int:
    n = 0
    for lines in read_batches(path, deadline):
        for line in lines:
            cells = line.decode("utf-8", "replace").split("\t", 2)
            if _is_head(cells) or not cells[0].strip():
                continue
            n += 1
            name = cells[1] if len(cells) > 2 else cells[0].partition(":")[0]
            tally.chromosome(name.strip()).listed_typed_only += 1
    return n


def _sum_up(
    tally: Tally,
    sources: list[Source],
    missing: list[str],
    reasons: Counter[str],
    chunks: list[list[str]],
    listed: int,
) -> Analysis:
    order = sorted(tally.chromosomes.values(), key=_place_of)
    tally.chromosomes = {item.name: item for item in order}
    with_r2 = sum(item.n_r2 for item in order)
    grid = [tally.imputed[at : at + R2_BINS] for at in range(0, len(tally.imputed), R2_BINS)]
    bounds = [*zip(MAF_EDGES, (*MAF_EDGES[1:], 0.5), strict=True), (None, None)]
    problems = missing + [f"{item.name}: {item.problem}" for item in sources if item.problem]
    return Analysis(
        version=VERSION,
        is_partial=bool(problems),
        problems=problems,
        sources=sources,
        sites=_count(tally),
        imputed=sum(item.imputed for item in order),
        typed=sum(item.typed for item in order),
        typed_only=sum(item.typed_only for item in order),
        multiallelic=tally.multiallelic,
        with_r2=with_r2,
        mean_r2=_mean(sum(item.sum_r2 for item in order), with_r2),
        r2_by_maf=grid,
        maf=[
            MafRow(low=low, high=high, sites=sites, n_r2=sum(row), mean_r2=_mean(total, sum(row)))
            for (low, high), sites, total, row in zip(
                bounds, tally.maf_sites, tally.maf_r2, grid, strict=True
            )
        ],
        er2_by_r2=[tally.typed[at : at + ER2_BINS] for at in range(0, ER2_BINS**2, ER2_BINS)],
        with_er2=tally.n_er2,
        mean_er2=_mean(tally.sum_er2, tally.n_er2),
        suspects_total=tally.n_suspects,
        suspects=tally.suspects,
        chromosomes=[
            ChromosomeRow(
                name=item.name,
                sites=item.sites,
                typed=item.typed,
                typed_only=item.typed_only or item.listed_typed_only,
                imputed=item.imputed,
                mean_r2=_mean(item.sum_r2, item.n_r2),
                excluded=item.excluded,
            )
            for item in order
        ],
        windows=list(tally.close_windows()),
        frequencies=tally.frequencies[:AF_BINS],
        mean_frequency=_mean(tally.sum_frequency, tally.n_frequency),
        excluded=[Reason(reason, sites) for reason, sites in reasons.most_common()],
        typed_only_listed=listed,
        chunks=[Chunk(*[*cells, "", "", "", ""][:4]) for cells in chunks[:MAX_CHUNKS]],
        chunks_total=len(chunks),
    )


def _mean(total: float, n: int) -> float | None:
    return round(total / n, 6) if n else None


def _place_of(item: Chromosome) -> tuple[int, str]:
    return (int(item.name) if item.name.isascii() and item.name.isdigit() else 100, item.name)
