"""Small VCFs to upload."""

from collections.abc import Sequence
from pathlib import Path

from app.sandbox.engine.bgzf import BgzfWriter

COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
HETEROZYGOUS = ["0/1"] * 25
GENOTYPES = ("0/0", "0/1", "1/1", "./.")


def record(
    position: int,
    genotypes: Sequence[str],
    *,
    chromosome: str = "20",
    ref: str = "A",
    alt: str = "G",
    flag: str = "PASS",
    keys: str = "GT",
) -> str:
    head = [chromosome, str(position), f"rs{position}", ref, alt, ".", flag, ".", keys]
    return "\t".join([*head, *genotypes])


def records(count: int, samples: int, *, phased: bool = False, chromosome: str = "20") -> list[str]:
    """Records with every kind of genotype in them, 1000 bases apart."""
    mark = "|" if phased else "/"
    return [
        record(
            1_000_000 + 1000 * i,
            [GENOTYPES[(i + j) % 3].replace("/", mark) for j in range(samples)],
            chromosome=chromosome,
        )
        for i in range(count)
    ]


def write_vcf(
    path: Path,
    lines: Sequence[str] | None = None,
    *,
    samples: int = 25,
    names: Sequence[str] | None = None,
    chromosome: str = "20",
    phased: bool = False,
    count: int = 30,
) -> Path:
    """A bgzipped VCF of the given records, or of ordinary ones."""
    names = [f"S{i}" for i in range(samples)] if names is None else names
    if lines is None:
        lines = records(count, len(names), phased=phased, chromosome=chromosome)
    header = ["##fileformat=VCFv4.2", f"##contig=<ID={chromosome}>", "\t".join([*COLUMNS, *names])]
    with BgzfWriter(path) as file:
        file.write(("\n".join([*header, *lines]) + "\n").encode())
    return path
