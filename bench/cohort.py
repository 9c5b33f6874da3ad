"""The genotype file that benchmarks send and fetch, and what tells whether it arrived as it was."""

import asyncio
import hashlib
from pathlib import Path

from bench.memory import write_vcf
from bench.runner import GIB, MIB


async def write_cohort(folder: Path, gib: float) -> Path:
    """Write a bgzipped VCF of so many GiB, over one that is there; give where it is."""
    file = folder / "cohort.chr20.vcf.gz"
    await asyncio.to_thread(write_vcf, file, int(gib * GIB / MIB))
    return file


def sha256(path: Path) -> str:
    """Give the digest of a file (blocks)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
