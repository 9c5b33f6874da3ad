"""The structure check of a bgzipped VCF against `bcftools index` and `bcftools query`, and while the file still arrives.

`python -m bench.structure [--mb 100] [--rounds 5] [--json FILE]` writes two files of so many megabytes of made-up genotypes
(1,000 samples; GT alone, and GT:AD:DP:GQ:PL as sequencing gives), and reads each in turn with all three, interleaved. Ours is
the worker process of the platform, warm as it is there; it checks every byte, where the two others only parse. Its memory is
what its peak rises by. Bars: as fast as `bcftools index`, in one process, in 32 MiB.

Then the file grows as if it were being uploaded (40 MB/s, the 115 MB/s of a gigabit line, and as fast as the disk takes it), and the worker follows: what is
measured is the time from the last byte to the verdict.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from app.genotypes.bgzf import BgzfWriter
from app.genotypes.inspector import Inspector

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


def write_file(path: Path, size_bytes: int, kind: str, seed: int = 1) -> None:
    """Write a sorted VCF of chromosome 20 of about `size_bytes` compressed; `kind` is "gt" or "sequenced"."""
    rng = np.random.default_rng(seed)
    body = _make_sequenced(rng) if kind == "sequenced" else _phased
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


def _worker_pid(inspector: Inspector) -> int:
    pid, *_ = inspector.pids()  # the followers come behind it
    return pid


def _memory_kib(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field)))


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


async def _compare(path: Path, inspector: Inspector, rounds: int) -> dict[str, object]:
    """Read the file with the three, in turn, `rounds` times behind one to warm up."""
    index = path.with_suffix(".tbi")
    times: dict[str, list[float]] = {"ours": [], "index": [], "query": []}
    rise_kib = 0
    for number in range(rounds + 1):
        pid = _worker_pid(inspector)
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before = _memory_kib(pid, "VmRSS")
        took = {
            "ours": await _timed(inspector.inspect(path, path.name)),
            "index": await _timed(_bcftools("index", "-f", "-t", "-o", index, path)),
            "query": await _timed(_bcftools("query", "-f", "%CHROM %POS %REF %ALT\n", path)),
        }
        rise_kib = max(rise_kib, _memory_kib(pid, "VmHWM") - before)
        if number:
            for name, seconds in took.items():
                times[name].append(seconds)
    size = path.stat().st_size
    ratios = {
        f"over_{peer}": statistics.median(
            theirs / ours for theirs, ours in zip(times[peer], times["ours"], strict=True)
        )
        for peer in ("index", "query")
    }
    return {
        "size_mb": size / MB,
        "median_s": {name: statistics.median(each) for name, each in times.items()},
        "mb_per_s": {name: size / MB / statistics.median(each) for name, each in times.items()},
        **ratios,
        "memory_rise_mib": rise_kib / 1024,
        "rounds": times,
    }


def _grow(source: Path, target: Path, rate: float | None) -> None:
    """Write `target` piece by piece, as an upload does (blocks)."""
    began, written = time.monotonic(), 0
    with source.open("rb") as read, target.open("wb", buffering=0) as write:
        while piece := read.read(MB):
            written += write.write(piece)
            if rate is not None:
                time.sleep(max(0.0, began + written / rate - time.monotonic()))


async def _follow(path: Path, inspector: Inspector, rate: float | None, rounds: int) -> float:
    """Give the median time from the last byte to the verdict."""
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
    return statistics.median(delays)


async def run(mb: int, rounds: int) -> dict[str, object]:
    """Measure; give the figures."""
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="fip-bench-") as folder:
        async with contextlib.AsyncExitStack() as stack:
            inspector = Inspector(1)
            stack.push_async_callback(inspector.close)
            for kind in ("gt", "sequenced"):
                path = Path(folder) / f"{kind}.vcf.gz"
                await asyncio.to_thread(write_file, path, mb * MB, kind)
                await inspector.inspect(path, path.name)
                figures = await _compare(path, inspector, rounds)
                delays: dict[str, float] = {}
                for name, rate in (("40", 40.0 * MB), ("115", 115.0 * MB), ("unbound", None)):
                    delays[name] = await _follow(path, inspector, rate, rounds)
                figures["verdict_after_last_byte_s_at_mb_per_s"] = delays
                path.unlink()
                results[kind] = figures
    return results


def main() -> None:
    """Read the arguments, measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = asyncio.run(run(args.mb, args.rounds))
    print(json.dumps(results, indent=2))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
