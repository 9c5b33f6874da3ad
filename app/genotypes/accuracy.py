"""How good an imputation is, where the truth is known: squared correlation by allele frequency."""

import functools
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from app.genotypes.bgzf import read_lines
from app.genotypes.builds import same_chromosome

MAF_EDGES = (0.0, 0.001, 0.005, 0.01, 0.05, 0.5)
"""Upper edges belong to their bin; the usual bins of imputation reports."""

_R2 = re.compile(rb"(?:^|;)R2=([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?:;|$)")
_TYPED = re.compile(rb"(?:^|;)TYPED(?:;|$)")

Alleles = tuple[bytes, bytes]
Dosages = npt.NDArray[np.float64]


class MafBin(msgspec.Struct, frozen=True, kw_only=True):
    """The imputed sites with low < MAF <= high, by the truth. `mean_estimated_r2` is the mean of what the
    imputation itself claims (INFO R2), None where it claims nothing; `mean_r2` is None for an empty bin.
    """

    low: float
    high: float
    n_sites: int
    mean_r2: float | None
    mean_estimated_r2: float | None


def r2_by_maf(truth_vcf: Path, dose_vcf: Path, target_vcf: Path | None = None) -> list[MafBin]:
    """Squared Pearson correlation of imputed DS and true dosage, averaged over the sites of each MAF bin.

    Counts sites that are in both files with the same alleles, vary in the truth, and were imputed: neither
    flagged TYPED nor in `target_vcf`. A site whose imputed dosage does not vary counts as 0. Files are bgzipped,
    sorted, of one chromosome ("chr" or not does not matter); samples are matched by id. Streams; blocks for seconds.

    Raises: ValueError when they share fewer than two samples or are of different chromosomes, or DS is missing;
    BgzfError.
    """
    truth, dose = _VcfLines(truth_vcf), _VcfLines(dose_vcf)
    order = {name: column for column, name in enumerate(dose.samples)}
    shared = [(column, order[name]) for column, name in enumerate(truth.samples) if name in order]
    if len(shared) < 2:
        raise ValueError("truth and imputation have fewer than two samples in common")
    truth_columns, dose_columns = (list(columns) for columns in zip(*shared, strict=True))
    typed = {record.key for record in _VcfLines(target_vcf).records()} if target_vcf else set()
    sums = np.zeros((len(MAF_EDGES) - 1, 4))  # sites, r2, sites with an estimate, estimates
    for true, imputed in _matches(truth, dose):
        if imputed.key in typed or _TYPED.search(imputed.info):
            continue
        expected = true.genotype_dosages()[truth_columns]
        if expected.min() == expected.max():  # saves reading the doses; false with missing ones
            continue
        frequency, r2 = _squared_correlation(expected, imputed.dosages()[dose_columns])
        if r2 is None:
            continue
        row = sums[np.searchsorted(MAF_EDGES[1:], frequency)]
        row[:2] += (1, r2)
        if estimate := _R2.search(imputed.info):
            row[2:] += (1, float(estimate[1]))
    return [
        MafBin(
            low=low,
            high=high,
            n_sites=int(sites),
            mean_r2=total / sites if sites else None,
            mean_estimated_r2=claimed / claims if claims else None,
        )
        for (low, high), (sites, total, claims, claimed) in zip(
            itertools.pairwise(MAF_EDGES), sums.tolist(), strict=True
        )
    ]


class _Record(msgspec.Struct, frozen=True):
    chromosome: str
    position: int
    alleles: Alleles
    info: bytes
    form: bytes
    samples: bytes

    @property
    def key(self) -> tuple[int, Alleles]:
        return self.position, self.alleles

    def genotype_dosages(self) -> Dosages:
        """Copies of ALT per sample, not a number where the genotype is missing."""
        return np.array([_copies(each) for each in self.samples.split(b"\t")])

    def dosages(self) -> Dosages:
        """The field DS. Raises: ValueError when FORMAT has none."""
        keys = self.form.split(b":")
        index = keys.index(b"DS")
        n_samples = self.samples.count(b"\t") + 1
        if self.samples.count(b":") == n_samples * (len(keys) - 1):
            fields = self.samples.replace(b":", b"\t").split(b"\t")[index :: len(keys)]
        else:  # empty fields at the end may be left out
            columns = [each.split(b":") for each in self.samples.split(b"\t")]
            fields = [each[index] if index < len(each) else b"." for each in columns]
        if b"." in fields:
            fields = [b"nan" if each == b"." else each for each in fields]
        return np.fromiter(map(float, fields), np.float64, len(fields))


class _VcfLines:
    """The samples and, once, the records with a single ALT of a VCF."""

    def __init__(self, path: Path) -> None:
        self._lines = read_lines(path)
        header = next((line for line in self._lines if line.startswith(b"#CHROM")), b"")
        self.samples = header.split(b"\t")[9:]
        if not self.samples:
            raise ValueError(f"{path.name} has no samples")

    def records(self) -> Iterator[_Record]:
        for line in self._lines:
            chromosome, position, _, ref, alt, _, _, info, form, samples = line.split(b"\t", 9)
            if b"," not in alt:
                name = same_chromosome(chromosome.decode().removeprefix("chr"))
                yield _Record(name, int(position), (ref, alt), info, form, samples)


def _matches(truth: _VcfLines, dose: _VcfLines) -> Iterator[tuple[_Record, _Record]]:
    """The records of the same site and alleles in both, which are sorted by position."""
    true_groups = _by_position(truth)
    position, candidates = next(true_groups, (0, {}))
    for dose_position, imputed in _by_position(dose):
        while candidates and position < dose_position:
            position, candidates = next(true_groups, (0, {}))
        if position != dose_position:
            continue
        for alleles, record in imputed.items():
            if alleles in candidates:
                if candidates[alleles].chromosome != record.chromosome:
                    raise ValueError("truth and imputation are of different chromosomes")
                yield candidates[alleles], record


def _by_position(lines: _VcfLines) -> Iterator[tuple[int, dict[Alleles, _Record]]]:
    for position, group in itertools.groupby(lines.records(), lambda record: record.position):
        yield position, {record.alleles: record for record in group}


@functools.lru_cache(maxsize=4096)
def _copies(genotype: bytes) -> float:
    alleles = genotype.split(b":", 1)[0].replace(b"|", b"/").split(b"/")
    return math.nan if b"." in alleles else float(sum(allele != b"0" for allele in alleles))


def _squared_correlation(expected: Dosages, imputed: Dosages) -> tuple[float, float | None]:
    """The minor allele frequency in `expected`, and r2; None where `expected` does not vary."""
    called = ~np.isnan(expected) & ~np.isnan(imputed)
    true, dose = expected[called], imputed[called]
    if not true.size or true.min() == true.max():
        return 0.0, None
    frequency = float(true.mean()) / 2
    true, dose = true - true.mean(), dose - dose.mean()
    variances = float(true @ true) * float(dose @ dose)
    r2 = float(true @ dose) ** 2 / variances if variances else 0.0
    return min(frequency, 1 - frequency), r2
