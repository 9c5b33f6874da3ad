"""What the benchmarks with peers have in common: interleaved rounds, medians and ratios, bars, and the report.

Times of one machine say little, and less while it is busy: what counts is the ratio of two that take turns. A ratio here is the
median of the ratios of the single rounds, so that what slows a whole round down slows nobody's ratio.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
GIB = 1024 * MIB
LEAST_ROUNDS = 5
NO_RATE_LIMIT = {"FIP_RATE_LIMIT_PER_MINUTE": "1000000000", "FIP_LOG_LEVEL": "warning"}

Work = Callable[[], Awaitable[float]]
"""One turn of a contender; gives the seconds that it took."""


@dataclass(slots=True)
class Report:
    """What a benchmark measured, and which bars it reaches."""

    name: str
    rounds: int
    started: float = field(default_factory=time.monotonic)
    rows: list[dict[str, Any]] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say how it was measured."""
        self.notes.append(text)
        print(f"  ({text})", flush=True)

    def row(self, what: str, seconds: list[float], size_bytes: int | None = None) -> None:
        """Tell the times of a contender, and its speed if it moves bytes."""
        median = statistics.median(seconds)
        row: dict[str, Any] = {
            "what": what,
            "median_s": round(median, 4),
            "rounds_s": [round(value, 4) for value in seconds],
        }
        speed = ""
        if size_bytes is not None:
            row["mb_per_s"] = round(size_bytes / median / 1e6)
            speed = f"{row['mb_per_s']:7,} MB/s"
        self.rows.append(row)
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        print(f"  {what:<46} {median:8.3f} s {speed}   {spread}", flush=True)

    def ratio(self, what: str, ours: list[float], theirs: list[float], bar: float) -> None:
        """Tell how many times faster than the peer we are, and judge it."""
        pairs = zip(ours, theirs, strict=True)
        self.bar(what, statistics.median(their / our for our, their in pairs), at_least=bar)

    def bar(
        self,
        what: str,
        value: float,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Judge a figure."""
        holds = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        sign, limit = ("≥", at_least) if at_least is not None else ("≤", at_most)
        bar = {"what": what, "value": round(value, 3), "bar": f"{sign} {limit:g}", "holds": holds}
        self.bars.append(bar)
        print(f"  {what:<46} {value:8.2f}   {sign} {limit:g}   {'holds' if holds else 'MISSED'}", flush=True)  # fmt: skip

    def check(self, what: str, *, holds: bool) -> None:
        """Tell what holds or does not."""
        self.bars.append({"what": what, "holds": holds})
        print(f"  {what:<46} {'holds' if holds else 'MISSED'}", flush=True)

    def finish(self, folder: Path) -> int:
        """Write it down; give the exit status: 1 when a bar is missed."""
        holds = all(bar["holds"] for bar in self.bars)
        figures = {
            "bench": self.name,
            "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
            "cores": os.cpu_count(),
            "load_average_1m": round(os.getloadavg()[0], 1),
            "rounds": self.rounds,
            "took_s": round(time.monotonic() - self.started, 1),
            "notes": self.notes,
            "rows": self.rows,
            "bars": self.bars,
            "holds": holds,
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(figures, indent=2) + "\n")
        return 0 if holds else 1


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Give the arguments that all have."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--rounds", type=int, default=LEAST_ROUNDS, help="how often each has its turn"
    )
    made.add_argument("--out", type=Path, default=Path("build/bench"), help="where the JSON goes")
    made.add_argument(
        "--dir", type=Path, help="where the files are while it runs; in memory if there is room"
    )
    return made


def begin(name: str, arguments: argparse.Namespace) -> Report:
    """Print the head; give the report."""
    print(f"{name}: {arguments.rounds} interleaved rounds, load average {os.getloadavg()[0]:.1f}, rate limits off")  # fmt: skip
    return Report(name, arguments.rounds, notes=["rate limits off"])


@contextmanager
def workplace(report: Report, chosen: Path | None, need_bytes: int) -> Iterator[Path]:
    """Give a folder that is removed at the end; in memory where nothing else is asked for, as a disk is not what is measured."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    if chosen is None and shared.is_dir() and shutil.disk_usage(shared).free > need_bytes:
        chosen = shared
    with tempfile.TemporaryDirectory(prefix="fip-bench-", dir=chosen) as folder:
        report.note(f"files in {'memory' if chosen == shared else 'a folder on a disk'}")
        yield Path(folder)


async def measure(
    name: str,
    arguments: argparse.Namespace,
    need_bytes: int,
    work: Callable[[Report, Path], Awaitable[None]],
) -> int:
    """Measure with a report and a folder of its own; give the exit status."""
    report = begin(name, arguments)
    with workplace(report, arguments.dir, need_bytes) as folder:
        await work(report, folder)
    return report.finish(arguments.out)


async def interleave(contenders: Mapping[str, Work], rounds: int) -> dict[str, list[float]]:
    """Let each have its turn in each round, after one that does not count; who begins changes. Gives the seconds."""
    order = list(contenders)
    taken: dict[str, list[float]] = {name: [] for name in order}
    for number in range(rounds + 1):
        for name in order[number % len(order) :] + order[: number % len(order)]:
            seconds = await contenders[name]()
            if number > 0:
                taken[name].append(seconds)
    return taken


def memory_kib(pid: int, name: str) -> int:
    """Read a figure of /proc/PID/status."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name)))


@dataclass(slots=True)
class Memory:
    """How far the memory of a process rises, its children not counted."""

    pid: int
    before_kib: int = 0

    def start(self) -> None:
        """Begin the peak anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.before_kib = memory_kib(self.pid, "VmRSS")

    def rise_mib(self) -> float:
        """Give the peak since then above what it was then."""
        return (memory_kib(self.pid, "VmHWM") - self.before_kib) / 1024


def share(values: list[float], part: float) -> float:
    """Give a percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def run(main: Callable[[], Awaitable[int]]) -> None:
    """Run a benchmark, and end with its status."""
    raise SystemExit(asyncio.run(main()))  # type: ignore[arg-type]
