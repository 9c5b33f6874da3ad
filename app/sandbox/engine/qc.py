"""The quality control of a file: which sites are dropped and why, counted as the servers count.

imputationserver-utils ``StatisticsTask.processLine`` and ``chunkSummary``, without chromosome X.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.sandbox.engine.inspection import CHUNK_BASES
from app.sandbox.engine.model import EngineFailure, Group
from app.sandbox.panels import Panel

_ACGT = frozenset(b"ACGT")
_COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")
_SWAP = bytes.maketrans(b"01", b"10")
_PALINDROMES = frozenset({(b"A", b"T"), (b"T", b"A"), (b"C", b"G"), (b"G", b"C")})


@dataclass(frozen=True, slots=True)
class Site:
    """A site of the panel."""

    ref: bytes
    alt: bytes
    alt_frequency: float


Sites = Mapping[int, tuple[Site, ...]]


@dataclass(slots=True)
class Counts:
    """What the QC message of the servers lists (``QualityControlCommand``)."""

    alternative_alleles: int = 0
    found: int = 0
    not_found: int = 0
    match: int = 0
    allele_switch: int = 0
    strand_flip: int = 0
    flip_and_switch: int = 0
    palindromic: int = 0
    filter_flag: int = 0
    invalid_alleles: int = 0
    multiallelic: int = 0
    duplicates: int = 0
    not_snp: int = 0
    monomorphic: int = 0
    mismatch: int = 0
    low_call_rate: int = 0
    filtered: int = 0
    remaining: int = 0


@dataclass(slots=True)
class Chunk:
    """Twenty million bases of one chromosome."""

    chromosome: str
    number: int
    found: int = 0
    not_found: int = 0
    snps: int = 0
    uncalled: dict[int, int] = field(default_factory=dict)
    verdict: str = ""

    @property
    def start(self) -> int:
        return self.number * CHUNK_BASES + 1

    @property
    def end(self) -> int:
        return self.start + CHUNK_BASES - 1

    @property
    def overlap(self) -> float:
        seen = self.found + self.not_found
        return self.found / seen if seen else 0.0

    def low_samples(self, call_rate: float) -> int:
        """How many samples are called at less than ``call_rate`` of the chunk's sites."""
        return sum(1 - missed / self.snps < call_rate for missed in self.uncalled.values())


@dataclass(slots=True)
class Variant:
    """The columns of a record that QC looks at; the genotypes stripped to GT."""

    chromosome: bytes
    position: int
    name: bytes
    ref: bytes
    alt: bytes
    filter: bytes
    genotypes: bytes

    @classmethod
    def parse(cls, line: bytes) -> "Variant":
        columns = line.split(b"\t", 9)
        keys = columns[8].split(b":")
        if b"GT" not in keys:
            raise EngineFailure(Group.QC, f"No GT field found in FORMAT column at {columns[1]!r}.")
        genotypes = columns[9]
        if len(keys) > 1:
            at = keys.index(b"GT")
            genotypes = b"\t".join(cell.split(b":", at + 1)[at] for cell in genotypes.split(b"\t"))
        return cls(
            chromosome=columns[0],
            position=int(columns[1]),
            name=columns[2],
            ref=columns[3].upper(),
            alt=columns[4].upper(),
            filter=columns[6],
            genotypes=genotypes,
        )

    @property
    def alt_frequency(self) -> float:
        ones = self.genotypes.count(b"1")
        called = ones + self.genotypes.count(b"0")
        return ones / called if called else 0.0

    def row(self) -> str:
        """Its line in the statistics files: ID CHROM POS REF ALT."""
        cells = (self.name, self.chromosome, b"%d" % self.position, self.ref, self.alt)
        return b"\t".join(cells).decode(errors="replace")

    def line(self, *, swap: bool) -> bytes:
        """The record with GT alone; with ``swap`` REF and ALT change places and so do 0 and 1."""
        ref, alt, genotypes = self.ref, self.alt, self.genotypes
        if swap:
            ref, alt, genotypes = alt, ref, genotypes.translate(_SWAP)
        head = (
            self.chromosome,
            b"%d" % self.position,
            self.name,
            ref,
            alt,
            b".",
            b".",
            b".",
            b"GT",
        )
        return b"\t".join((*head, genotypes)) + b"\n"


class QualityControl:
    """One pass over the records of a chromosome. Without ``sites`` every site counts as in the panel."""

    def __init__(self, samples: int, sites: Sites | None) -> None:
        self._samples = samples
        self._sites = sites
        self._last_position = 0
        self.counts = Counts()
        self.chunks: dict[int, Chunk] = {}
        self.excluded: list[str] = []
        self.typed_only: list[str] = []
        self.frequencies: list[tuple[float, float]] = []

    def judge(self, variant: Variant) -> bytes | None:
        """The record as it goes on to phasing, or None where the servers drop it."""
        number = (variant.position - 1) // CHUNK_BASES
        chunk = self.chunks.get(number)
        if chunk is None:
            name = variant.chromosome.decode(errors="replace")
            chunk = self.chunks[number] = Chunk(name, number)
        reason = self._own_fault(variant)
        if reason:
            self._exclude(variant, reason)
            return None
        known = self._sites.get(variant.position) if self._sites is not None else ()
        if known is None:
            self.counts.not_found += 1
            chunk.not_found += 1
            self.typed_only.append(variant.row())
            return variant.line(swap=False)
        self.counts.found += 1
        chunk.found += 1
        site = _best(variant, known)
        kind = "match" if site is None else _compare(variant, site)
        return self._judge_known(variant, chunk, site, kind)

    def _judge_known(
        self, variant: Variant, chunk: Chunk, site: Site | None, kind: str
    ) -> bytes | None:
        setattr(self.counts, kind, getattr(self.counts, kind) + 1)
        dropped = _DROPPED_KINDS.get(kind)
        if dropped and site is not None:
            self._exclude(variant, f"{dropped} (Ref:{site.ref.decode()}/{site.alt.decode()})")
            return None
        missing = variant.genotypes.count(b".")
        if missing / 2 / self._samples > 0.10:
            self.counts.low_call_rate += 1
            self._exclude(variant, "Low call rate")
            return None
        if missing:
            for i, genotype in enumerate(variant.genotypes.split(b"\t")):
                if b"." in genotype:
                    chunk.uncalled[i] = chunk.uncalled.get(i, 0) + 1
        self.counts.remaining += 1
        chunk.snps += 1
        swap = kind in {"allele_switch", "palindromic"}
        if site is not None:
            own = variant.alt_frequency
            self.frequencies.append((1 - own if swap else own, site.alt_frequency))
        return variant.line(swap=swap)

    def _own_fault(self, variant: Variant) -> str:
        """Why a record is dropped whatever the panel says; empty if it is not. The servers' order."""
        counts = self.counts
        if b"," in variant.alt:
            counts.multiallelic += 1
            return "Multiallelic Site"
        if not variant.ref or not _ACGT.issuperset(variant.ref + variant.alt):
            counts.invalid_alleles += 1
            return "Invalid Alleles"
        if variant.position == self._last_position:
            counts.duplicates += 1
            return "Duplicate"
        if variant.filter not in {b"PASS", b".", b""}:
            counts.filter_flag += 1
            return "Filter Other"
        self._last_position = variant.position
        frequency = variant.alt_frequency
        if frequency > 0.5:
            counts.alternative_alleles += 1
        if len(variant.ref) != 1 or len(variant.alt) != 1:
            counts.not_snp += 1
            return "InDel"
        if self._samples > 1 and frequency == 0.0:
            counts.monomorphic += 1
            return "Monomorphic"
        return ""

    def _exclude(self, variant: Variant, reason: str) -> None:
        self.counts.filtered += 1
        self.excluded.append(f"{variant.row()}\t{reason}")


_DROPPED_KINDS = {
    "strand_flip": "Strand flip",
    "flip_and_switch": "Strand flip and Allele switch",
    "mismatch": "Allele mismatch",
}


def _best(variant: Variant, known: tuple[Site, ...]) -> Site | None:
    """The panel's site at the position that fits the alleles best; None without any (no panel)."""
    exact = [s for s in known if {s.ref, s.alt} == {variant.ref, variant.alt}]
    return next(iter(exact or known), None)


def _compare(variant: Variant, site: Site) -> str:
    """How study and panel alleles relate, as a field of ``Counts`` (``GenomicTools``)."""
    study = (variant.ref, variant.alt)
    panel = (site.ref, site.alt)
    flipped = (variant.ref.translate(_COMPLEMENT), variant.alt.translate(_COMPLEMENT))
    if study == panel:
        return "match"
    if study in _PALINDROMES and study[::-1] == panel:
        return "palindromic"
    if study[::-1] == panel:
        return "allele_switch"
    if flipped == panel:
        return "strand_flip"
    if flipped[::-1] == panel:
        return "flip_and_switch"
    return "mismatch"


def judge_chunks(chunks: list[Chunk], panel: Panel) -> None:
    """Fill in each chunk's ``verdict``: why it is left out (``chunkSummary``), or empty."""
    for chunk in chunks:
        if chunk.overlap < panel.overlap:
            chunk.verdict = "overlap"
        elif min(chunk.found, chunk.snps) < panel.min_snps:
            chunk.verdict = "snps"
        elif chunk.low_samples(panel.sample_call_rate):
            chunk.verdict = "call_rate"
