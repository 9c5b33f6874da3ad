"""Test files of three sizes, and a masked data set whose held-back genotypes tell how good an imputation is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from app.genotypes.example import (
    CHROMOSOME,
    CHROMOSOME_LENGTH,
    ExamplePaths,
    Site,
    read_merged_sites,
    read_samples,
    read_sites,
)
from app.genotypes.tabix import write_indexed_vcf

TEST_FILES = (
    ("test_tiny_100var.vcf.gz", 100),
    ("test_small_1000var.vcf.gz", 1_000),
    ("test_medium_10kvar.vcf.gz", 10_000),
)
COMMON_FREQUENCY = 0.05
"""Minor allele frequency from which a chip is likely to carry a SNP."""
TARGET_SPACING_BASES = 6_000
"""About the density of a chip with 500,000 SNPs."""

_SIMULATED_SAMPLES = 420
_FOUNDERS = 8
_SWITCH_RATE = 0.02
_FAST = 1  # compression level: brings the files to about 20 KB, 200 KB and 2 MB
_UNPHASED = bytes.maketrans(b"|", b"/")


class TestFile(msgspec.Struct, frozen=True, kw_only=True):
    """One written file; `simulated` when its genotypes are made up."""

    __test__: ClassVar[bool] = False  # or pytest takes it for a test

    path: Path
    index_path: Path
    n_variants: int
    n_samples: int
    size_bytes: int
    simulated: bool


class MaskedData(msgspec.Struct, frozen=True, kw_only=True):
    """`target_vcf` is what a chip would have measured, unphased; `truth_vcf` all other sites of the same samples."""

    target_vcf: Path
    truth_vcf: Path
    n_samples: int
    n_target_sites: int
    n_truth_sites: int


def write_test_files(
    directory: Path, example: ExamplePaths | None, seed: int = 20
) -> list[TestFile]:
    """Writes the three test files with their indexes: real genotypes of `example`, or simulated ones.

    Unphased SNPs of chromosome 20, hg19. A header line says which kind they are. Blocks for some seconds.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if example is None:
        return [_simulated(directory / name, count, seed) for name, count in TEST_FILES]
    frequencies = {
        site.key: site.minor_frequency for site in read_merged_sites(example) if site.is_snp
    }
    samples = [*read_samples(example.unphased), *read_samples(example.reference)]
    written = []
    for name, count in TEST_FILES:
        chosen = choose_sites(frequencies, count)
        sites = (site for site in read_merged_sites(example) if site.key in chosen)
        mark = "kind=real,source=shapeit4-example (1000 Genomes)"
        written.append(_write(directory / name, sites, samples, mark))
    return written


def choose_sites(
    frequencies: dict[tuple[int, str, str], float], count: int
) -> set[tuple[int, str, str]]:
    """`count` sites: evenly out of the common ones, or the most common where there are too few."""
    common = [key for key, frequency in frequencies.items() if frequency >= COMMON_FREQUENCY]
    if len(common) >= count:
        return {common[index * len(common) // count] for index in range(count)}
    return set(sorted(frequencies, key=lambda key: -frequencies[key])[:count])


def make_masked(example: ExamplePaths, directory: Path) -> MaskedData:
    """Splits the example's 203 samples into what a chip sees and what is held back to judge an imputation.

    The chip sees the common SNPs that are at least 6 kb apart (448), without phase. Blocks for some seconds.
    """
    directory.mkdir(parents=True, exist_ok=True)
    samples = read_samples(example.unphased)
    typed: set[tuple[int, str, str]] = set()
    last = -TARGET_SPACING_BASES
    for site in read_sites(example.unphased):
        far = site.position - last >= TARGET_SPACING_BASES
        if far and site.is_snp and site.minor_frequency >= COMMON_FREQUENCY:
            typed.add(site.key)
            last = site.position
    target, truth = directory / "masked_chr20.vcf.gz", directory / "truth_chr20.vcf.gz"
    target_sites = (site for site in read_sites(example.unphased) if site.key in typed)
    other_sites = (site for site in read_sites(example.unphased) if site.key not in typed)
    mark = "kind=real,source=shapeit4-example (1000 Genomes),"
    written = _write(target, target_sites, samples, mark + "content=typed sites")
    held_back = _write(truth, other_sites, samples, mark + "content=held-back truth", _as_it_is)
    return MaskedData(
        target_vcf=target,
        truth_vcf=truth,
        n_samples=len(samples),
        n_target_sites=written.n_variants,
        n_truth_sites=held_back.n_variants,
    )


def without_phase(genotypes: bytes) -> bytes:
    """Diploid genotypes as a chip gives them: which allele is on which copy is not known."""
    return genotypes.translate(_UNPHASED).replace(b"1/0", b"0/1")


def _as_it_is(genotypes: bytes) -> bytes:
    return genotypes


def _write(
    path: Path,
    sites: Iterator[Site],
    samples: list[str],
    mark: str,
    form: Callable[[bytes], bytes] = without_phase,
) -> TestFile:
    header = [
        "##fileformat=VCFv4.2",
        f"##testData=<{mark}>",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        f"##contig=<ID={CHROMOSOME},length={CHROMOSOME_LENGTH},assembly=b37>",
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="Copies of the alternative allele">',
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Called alleles">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join(["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT", *samples]),
    ]
    records = ((site.position, site.ref, _line(site, form)) for site in sites)
    count = write_indexed_vcf(path, header, CHROMOSOME, records, _FAST)
    return TestFile(
        path=path,
        index_path=Path(f"{path}.tbi"),
        n_variants=count,
        n_samples=len(samples),
        size_bytes=path.stat().st_size,
        simulated="simulated" in mark,
    )


def _line(site: Site, form: Callable[[bytes], bytes]) -> bytes:
    name = f"{CHROMOSOME}:{site.position}:{site.ref}:{site.alt}"
    info = f"AC={site.alt_count};AN={site.allele_count}"
    fixed = [CHROMOSOME, site.position, name, site.ref, site.alt, ".", "PASS", info, "GT"]
    return "\t".join(map(str, fixed)).encode() + b"\t" + form(site.genotypes)


def _simulated(path: Path, count: int, seed: int) -> TestFile:
    samples = [f"SIM{number:04d}" for number in range(1, _SIMULATED_SAMPLES + 1)]
    mark = f"kind=simulated,seed={seed}"
    return _write(path, simulate_sites(count, seed), samples, mark)


def simulate_sites(count: int, seed: int) -> Iterator[Site]:
    """Made-up SNPs of 420 people, each a mosaic of 8 founders, so that neighbours are correlated as in life."""
    rng = np.random.default_rng(seed)
    n_haplotypes = 2 * _SIMULATED_SAMPLES
    genotype_of = np.array([b"0|0", b"0|1", b"1|0", b"1|1"])
    founder = rng.integers(_FOUNDERS, size=n_haplotypes)
    position = 1_000_000
    while count:
        switch = rng.random(n_haplotypes) < _SWITCH_RATE
        founder[switch] = rng.integers(_FOUNDERS, size=int(switch.sum()))
        position += int(rng.integers(20, 580))
        carried = rng.random(_FOUNDERS) < rng.uniform(COMMON_FREQUENCY, 1 - COMMON_FREQUENCY)
        alleles = carried[founder].astype(np.int64)
        if alleles.min() == alleles.max():
            continue
        ref, alt = rng.choice(4, size=2, replace=False)
        genotypes = genotype_of[2 * alleles[::2] + alleles[1::2]]
        yield Site(position, "ACGT"[ref], "ACGT"[alt], b"\t".join(genotypes.tolist()))
        count -= 1
