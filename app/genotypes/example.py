"""The real genotypes of Debian's package shapeit4-example: 1000 Genomes, chromosome 20, 1-4 Mb, hg19."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.genotypes.bgzf import read_lines

EXAMPLE_FOLDER = Path("/usr/share/doc/shapeit4/examples/test")
"""Where the package puts its files. It is a documentation folder, which slim images leave out."""
CHROMOSOME = "20"
CHROMOSOME_LENGTH = 63025520
"""Of chromosome 20 in hg19."""

_AFTER_GENOTYPE = re.compile(rb":[^\t]*")
_BASES = frozenset("ACGT")


class ExamplePaths(msgspec.Struct, frozen=True, kw_only=True):
    """`unphased` has 203 samples (one of them unphased), `reference` 300 others at the same 24,990 sites."""

    unphased: Path
    reference: Path
    genetic_map: Path


class Site(msgspec.Struct, frozen=True):
    """A record. `genotypes` are the bare GT values, joined by tabs."""

    position: int
    ref: str
    alt: str
    genotypes: bytes

    @property
    def key(self) -> tuple[int, str, str]:
        return self.position, self.ref, self.alt

    @property
    def is_snp(self) -> bool:
        return self.ref in _BASES and self.alt in _BASES

    @property
    def alt_count(self) -> int:
        """Copies of ALT; for records with one ALT."""
        return self.genotypes.count(b"1")

    @property
    def allele_count(self) -> int:
        return self.genotypes.count(b"0") + self.alt_count

    @property
    def minor_frequency(self) -> float:
        """0 where nothing is called."""
        share = self.alt_count / max(1, self.allele_count)
        return min(share, 1 - share)


def find_example(folder: Path = EXAMPLE_FOLDER) -> ExamplePaths | None:
    """The package's files, if all that are needed are there."""
    found = ExamplePaths(
        unphased=folder / "unphased.vcf.gz",
        reference=folder / "reference.vcf.gz",
        genetic_map=folder / "chr20.b37.gmap.gz",
    )
    paths = (found.unphased, found.reference, found.genetic_map)
    return found if all(path.is_file() for path in paths) else None


def read_samples(path: Path) -> list[str]:
    for line in read_lines(path):
        if line.startswith(b"#CHROM"):
            return line.decode().split("\t")[9:]
    return []


def read_sites(path: Path) -> Iterator[Site]:
    for line in read_lines(path):
        if not line.startswith(b"#"):
            _, position, _, ref, alt, _, _, _, _, samples = line.split(b"\t", 9)
            genotypes = _AFTER_GENOTYPE.sub(b"", samples)
            yield Site(int(position), ref.decode(), alt.decode(), genotypes)


def read_merged_sites(example: ExamplePaths) -> Iterator[Site]:
    """The sites of both files with the genotypes of all 503 samples, those of `unphased` first."""
    others = read_sites(example.reference)
    for site, other in zip(read_sites(example.unphased), others, strict=True):
        if site.key != other.key:
            raise ValueError(f"the example files differ at position {site.position}")
        yield Site(*site.key, site.genotypes + b"\t" + other.genotypes)
