"""Small genotype files, whole and broken, as bytes."""

import gzip
from collections.abc import Iterable
from pathlib import Path

from app.genotypes.bgzf import EOF_BLOCK, compress_block
from app.genotypes.facts import InspectLimits, VcfFacts
from app.genotypes.structure import inspect_file

FIXED = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"


def header(samples: Iterable[str] = ("A", "B"), *lines: str, version: str = "VCFv4.2") -> str:
    return "\n".join([f"##fileformat={version}", *lines, "\t".join([FIXED, *samples])]) + "\n"


def record(
    position: object = 100,
    *,
    chromosome: str = "20",
    ref: str = "A",
    alt: str = "G",
    filtered: str = "PASS",
    info: str = ".",
    form: str = "GT",
    genotypes: Iterable[str] = ("0|1", "0|0"),
) -> str:
    columns = [chromosome, str(position), ".", ref, alt, ".", filtered, info, form, *genotypes]
    return "\t".join(columns) + "\n"


def vcf(*records: str) -> str:
    return header() + "".join(records or (record(100), record(200)))


def bgzf(text: str | bytes, block_bytes: int = 65280) -> bytes:
    """The content as a BGZF file, in blocks of the given size."""
    content = text.encode() if isinstance(text, str) else text
    blocks = (
        compress_block(content[start : start + block_bytes])
        for start in range(0, len(content), block_bytes)
    )
    return b"".join(blocks) + EOF_BLOCK


def plain_gzip(text: str | bytes) -> bytes:
    return gzip.compress(text.encode() if isinstance(text, str) else text)


def inspect_bytes(
    folder: Path,
    content: bytes,
    *,
    name: str = "cohort.vcf.gz",
    limits: InspectLimits | None = None,
) -> VcfFacts:
    path = folder / "inspected"
    path.write_bytes(content)
    return inspect_file(path, display_name=name, limits=limits or InspectLimits())
