"""The structure check of a bgzipped VCF against `bcftools index` and `bcftools query`, and while the file still arrives.

`python -m bench structure [--mb 100]` writes two files of so many megabytes of made-up genotypes
(1,000 samples; GT alone, and GT:AD:DP:GQ:PL as sequencing gives), and reads each in turn with all three, interleaved. Ours is
the worker process of the platform, warm as it is there; it checks every byte, where the two others only parse. Its memory is
what its peak rises by. Bars: as fast as `bcftools index`, in one process, in 32 MiB.

Then the file grows as if it were being uploaded (40 MB/s, the 115 MB/s of a gigabit line, and as fast as the disk takes it), and the worker follows: what is
measured is the time from the last byte to the verdict.
"""

import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from app.genotypes.bgzf import BgzfWriter
from app.genotypes.inspector import Inspector
from bench.runner import Memory, Report, begin, interleave, parser, run, workplace

SAMPLES = 1000
MB = 1_000_000
_GENOTYPES = np.frombuffer(b"\t0|0\t0|1\t1|0\t1|1", np.uint32)
_BASES = "ACGT"
_HEADER = (
    '##fileformat=VCFv4.2\n##contig=<ID=chr20,length=64444167>\n##FILTER=<ID=PASS,Description="x">\n'
    '##INFO=<ID=AF,Number=A,Type=Float,Description="x">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="x">\n'
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="x">\n##FORMAT=<ID=DP,Number=1,Type=Integer,Description="x">\n'
    '##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="x">\n##FORMAT=<ID=PL,Number=G,Type=Integer,Description="x">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"
)
Body = Callable[[np.random.Generator, float], bytes]


def _phased(rng: np.random.Generator, frequency: float) -> bytes:
    """The samples of a record that holds GT alone."""
    alleles = rng.random(2 * SAMPLES) < frequency
    return b"GT" + _GENOTYPES[alleles[::2] * 2 + alleles[1::2]].tobytes()


def _make_sequenced(rng: np.random.Generator) -> Body:
    """Give what makes the samples of a record that holds what a caller writes, out of 4,000 columns of each genotype."""
    columns = [np.empty(4000, object) for _ in range(3)]
    for genotype, text in enumerate(("0/0", "0/1", "1/1")):
        for number, depth in enumerate(rng.poisson(32, 4000)):
            alt = (0, depth // 2, depth)[genotype]
            near, far = depth * 3, depth * 18
            likelihoods = ((0, near, 2 * far), (far, 0, far - 1), (2 * far, near, 0))[genotype]
            pl = ",".join(map(str, likelihoods))
            columns[genotype][number] = (
                f"\t{text}:{depth - alt},{alt}:{depth}:{min(99, near)}:{pl}".encode()
            )

    def body(rng: np.random.Generator, frequency: float) -> bytes:
        genotypes = rng.binomial(2, frequency, SAMPLES)
        chosen = rng.integers(0, 4000, SAMPLES)
        samples = np.empty(SAMPLES, object)
        for genotype in range(3):
            here = genotypes == genotype
            samples[here] = columns[genotype][chosen[here]]
        return b"GT:AD:DP:GQ:PL" + b"".join(samples)

    return body


def write_file(path: Path, size_bytes: int, *, is_sequenced: bool, seed: int = 1) -> None:
    """Write a sorted VCF of chromosome 20 of about `size_bytes` compressed, with GT alone or with all that sequencing gives."""
    rng = np.random.default_rng(seed)
    body = _make_sequenced(rng) if is_sequenced else _phased
    position, number = 60_000, 0
    with BgzfWriter(path) as out:
        out.write((_HEADER + "\t".join(f"S{n:05d}" for n in range(SAMPLES)) + "\n").encode())
        while out.tell() >> 16 < size_bytes:
            position += int(rng.integers(1, 120))
            number += 1
            ref = int(rng.integers(0, 4))
            alt = (ref + int(rng.integers(1, 4))) % 4
            frequency = min(0.5, rng.beta(0.3, 3) + 0.0005)
            first = f"chr20\t{position}\trs{number}\t{_BASES[ref]}\t{_BASES[alt]}\t{int(rng.integers(30, 9999))}"
            out.write(f"{first}\tPASS\tAF={frequency:.4f}\t".encode())
            out.write(body(rng, frequency) + b"\n")


async def _bcftools(*args: object) -> None:
    process = await asyncio.create_subprocess_exec(
        "bcftools", *map(str, args), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"bcftools {args[0]} failed")


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _compare(path: Path, inspector: Inspector, report: Report, kind: str) -> None:
    """Read the file with the three, in turn."""
    memory = Memory(inspector.pids()[0])  # the followers come behind it
    index = path.with_suffix(".tbi")
    memory.start()
    taken = await interleave(
        {
            "ours": lambda: _timed(inspector.inspect(path, path.name)),
            "index": lambda: _timed(_bcftools("index", "-f", "-t", "-o", index, path)),
            "query": lambda: _timed(_bcftools("query", "-f", "%CHROM %POS %REF %ALT\n", path)),
        },
        report.rounds,
    )
    size = path.stat().st_size
    report.row(f"{kind}: structure check, one process", taken["ours"], size)
    report.row(f"{kind}: bcftools index -t", taken["index"], size)
    report.row(f"{kind}: bcftools query", taken["query"], size)
    report.ratio(f"{kind}: over bcftools index", taken["ours"], taken["index"], 1.0)
    over = [theirs / ours for ours, theirs in zip(taken["ours"], taken["query"], strict=True)]
    report.note(f"{kind}: {statistics.median(over):.2f} times bcftools query")
    report.bar(f"{kind}: memory rises by MiB", memory.rise_mib(), at_most=32)


def _grow(source: Path, target: Path, rate: float | None) -> None:
    """Write `target` piece by piece, as an upload does (blocks)."""
    began, written = time.monotonic(), 0
    with source.open("rb") as read, target.open("wb", buffering=0) as write:
        while piece := read.read(MB):
            written += write.write(piece)
            if rate is not None:
                time.sleep(max(0.0, began + written / rate - time.monotonic()))


async def _follow(path: Path, inspector: Inspector, rate: float | None, rounds: int) -> list[float]:
    """Give the times from the last byte to the verdict."""
    delays = []
    growing = path.with_name("growing")
    for _ in range(rounds):
        growing.touch()
        async with inspector.follow(
            growing, path.name, lambda: growing.stat().st_size
        ) as following:
            await asyncio.to_thread(_grow, path, growing, rate)
            delays.append(await _timed(following.finish()))
        growing.unlink()
    return delays


async def main() -> int:
    """Measure; give the exit status."""
    arguments = parser(__doc__)
    arguments.add_argument("--mb", type=int, default=100, help="size of the files")
    given = arguments.parse_args()
    report = begin("structure", given)
    size = given.mb * MB
    with workplace(report, given.dir, 3 * size) as folder:
        inspector = Inspector(1)
        try:
            for kind in ("GT", "GT:AD:DP:GQ:PL"):
                path = folder / "genotypes.vcf.gz"
                await asyncio.to_thread(write_file, path, size, is_sequenced=kind != "GT")
                await inspector.inspect(path, path.name)
                await _compare(path, inspector, report, kind)
                for name, rate in (
                    ("40 MB/s", 40.0 * MB),
                    ("115 MB/s", 115.0 * MB),
                    ("full speed", None),
                ):
                    delays = await _follow(path, inspector, rate, given.rounds)
                    report.row(f"{kind}: last byte to verdict, {name}", delays)
                    if name == "40 MB/s":
                        report.bar(f"{kind}: … in s", statistics.median(delays), at_most=0.25)
        finally:
            await inspector.close()
    return report.finish(given.out)


if __name__ == "__main__":
    run(main)
