r"""How quickly results are analysed, and in how much memory, beside `bcftools query` reading the same field of the same file.

`python -m bench.analysis [SITES] [--samples N] [--rounds N]` writes dose VCFs (bgzip; INFO with AF, MAF, R2) of a tenth of the sites and of all of
them, and reads each by turns: by the platform's analysis in a process of its own, and by `bcftools query -f '%INFO/R2\n'`. It prints
sites a second, peak memory of each process, and the ratio of the medians. Linux only, with bcftools and bgzip.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from app.genotypes.quality import ResultFile, analyse

TIMEOUT_S = 1800.0
HEAD = """##fileformat=VCFv4.2
##contig=<ID=20,length=63025520>
##INFO=<ID=AF,Number=1,Type=Float,Description="Frequency">
##INFO=<ID=MAF,Number=1,Type=Float,Description="Minor allele frequency">
##INFO=<ID=R2,Number=1,Type=Float,Description="Estimated accuracy">
##INFO=<ID=IMPUTED,Number=0,Type=Flag,Description="Imputed">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DS,Number=1,Type=Float,Description="Dosage">
"""


def write_dose(path: Path, sites: int, samples: int) -> None:
    """Write a dose VCF as Minimac makes it, without an info file beside it."""
    dice = random.Random(1)  # noqa: S311 - data, no secret
    genotypes = "\t".join(["GT:DS", *["0|0:0.002", "0|1:0.998"] * (samples // 2)])
    names = "\t".join(f"S{number}" for number in range(samples // 2 * 2))
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
    with path.open("wb") as file:
        packer = subprocess.Popen(["bgzip", "-c"], stdin=subprocess.PIPE, stdout=file)
        assert packer.stdin is not None
        packer.stdin.write(f"{HEAD}{columns}{names}\n".encode())
        for number in range(sites):
            af, r2 = dice.random(), dice.random()
            info = f"AF={af:.5f};MAF={min(af, 1 - af):.5f};R2={r2:.5f};IMPUTED"
            line = f"20\t{60_000 + 60 * number}\t.\tA\tG\t.\tPASS\t{info}\t{genotypes}\n"
            packer.stdin.write(line.encode())
        packer.stdin.close()
        if packer.wait() != 0:
            raise SystemExit("bgzip failed")


def measure(command: Sequence[str]) -> tuple[float, float]:
    """Run a command; give its seconds and its peak memory in MiB."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{command[0]} failed")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def compare(path: Path, sites: int, rounds: int) -> None:
    """Measure both by turns, and print."""
    commands = {
        "analysis": [sys.executable, "-m", "bench.analysis", "--child", str(path)],
        "bcftools": ["bcftools", "query", "-f", "%INFO/R2\n", str(path)],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(measure(command))
    medians = {name: statistics.median(s for s, _ in values) for name, values in taken.items()}
    for name, values in taken.items():
        peak = max(mib for _, mib in values)
        print(f"{sites:>10,} sites  {name:<9} {sites / medians[name]:>11,.0f} sites/s  peak {peak:6.1f} MiB")  # fmt: skip
    print(f"{sites:>10,} sites  analysis takes {medians['analysis'] / medians['bcftools']:.2f} times as long as bcftools")  # fmt: skip


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sites", type=int, nargs="?", default=200_000)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        file = ResultFile(given.child, "chr20.dose.vcf.gz", 1, "0" * 64)
        found = analyse([file], TIMEOUT_S)
        if found.is_partial or not found.with_r2:
            raise SystemExit(f"the analysis is not whole: {found.problems}")
        return
    with tempfile.TemporaryDirectory(prefix="fip-bench-") as folder:
        for sites in (given.sites // 10, given.sites):
            path = Path(folder) / f"{sites}.dose.vcf.gz"
            write_dose(path, sites, given.samples)
            compare(path, sites, given.rounds)


if __name__ == "__main__":
    main()
