"""How quick the pages are, how soon they tell of a change, and what open event streams cost.

`python -m bench.pages [--only pages,list,live,streams] [--repeat N] [--jobs N] [--streams N] [--json FILE]` starts a server as a
process of its own (embedded PostgreSQL and Valkey are its children), signs many users in, and measures over loopback:

- pages: the answer of the first pages, the median of N; and what a browser with an empty cache loads with each, in bytes as
  transferred, with all its assets (Debian's Chromium, if it is installed);
- list: the jobs list of a user with 10 jobs, and of one with 10,000, and how many times longer that takes;
- live: from the row written into the database to the frame of `GET /events`, and to the changed row in a browser;
- streams: 500 open streams of many users: memory of the server's process (its children are not counted) and its CPU while nothing
  happens. Linux only: it reads /proc.

On a machine that is busy otherwise the times say little; the load average is printed.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from bench.memory import memory_kib
from bench.server import Bench, cookie, open_bench
from tests.support.browsing import connect, find_chromium, run_chromium

BARS = {
    "page_ms": 100.0,
    "page_kb": 150.0,
    "list_ratio": 2.0,
    "live_s": 1.0,
    "streams_mb": 100.0,
    "streams_cpu_percent": 10.0,
}
PAGES = {"landing": ("/ui/", False), "dashboard": ("/ui/", True), "jobs list": ("/ui/jobs", True)}
STREAMS_EACH = 10
"""Of one user; a server allows twice as many."""
FEW = 10
CHANGES = 200


def share(values: list[float], part: float) -> float:
    """Give a percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


# Pages


async def median_ms(bench: Bench, path: str, headers: dict[str, str]) -> float | None:
    """Time a page as a connection that stands gets it, warmed up; None where it is not there."""
    taken = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        for number in range(bench.repeat + 5):
            began = time.perf_counter()
            async with session.get(bench.scene.base + path, headers=headers) as answer:
                await answer.read()
            if answer.status != 200:
                return None
            if number >= 5:
                taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def measure_pages(bench: Bench) -> dict[str, Any]:
    """Time the first pages, and weigh them."""
    user_id, token = await bench.user()
    await bench.fill(user_id, FEW)
    figures: dict[str, Any] = {}
    for name, (path, signed_in) in PAGES.items():
        taken = await median_ms(bench, path, cookie(token) if signed_in else {})
        figures[name] = {"ms": None if taken is None else round(taken, 1)}
    if find_chromium() is not None:
        for name, (path, signed_in) in PAGES.items():
            if figures[name]["ms"] is not None:
                figures[name] |= await weigh(bench, path, token if signed_in else None)
    return figures


async def weigh(bench: Bench, path: str, token: str | None) -> dict[str, Any]:
    """Load a page in a fresh browser: bytes over the wire with headers, requests, and when it was painted and complete."""
    loads, paints, total, requests = [], [], 0, 0
    with tempfile.TemporaryDirectory() as folder, run_chromium(Path(folder)) as endpoint:
        async with connect(endpoint) as browser:
            for _ in range(5):
                context = await browser.new_context()
                if token is not None:
                    await context.add_cookies(
                        [{"name": "fip_session", "value": token, "url": bench.scene.base}]
                    )
                page = await context.new_page()
                wire = await context.new_cdp_session(page)
                await wire.send("Network.enable")
                weights: list[float] = []
                wire.on(
                    "Network.loadingFinished",
                    lambda event, to=weights: to.append(event["encodedDataLength"]),
                )
                await page.goto(bench.scene.base + path)
                await page.wait_for_timeout(500)
                timing = await page.evaluate(
                    "() => ({load: performance.getEntriesByType('navigation')[0].loadEventEnd,"
                    " paint: (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime || 0})"
                )
                loads.append(timing["load"])
                paints.append(timing["paint"])
                total, requests = int(sum(weights)), len(weights)
                await context.close()
    return {
        "kb": round(total / 1000, 1),
        "requests": requests,
        "browser_paint_ms": round(statistics.median(paints)),
        "browser_load_ms": round(statistics.median(loads)),
    }


async def measure_list(bench: Bench) -> dict[str, Any]:
    """Time the jobs list with few jobs and with many, by turns, so that what else the machine does slows both alike."""
    tokens = {}
    for count in (FEW, bench.jobs):
        user_id, tokens[count] = await bench.user()
        await bench.fill(user_id, count)
    figures: dict[str, Any] = {}
    for name, path in (("jobs", "/ui/jobs"), ("dashboard", "/ui/"), ("api", "/jobs?limit=10")):
        taken: dict[int, list[float]] = {count: [] for count in tokens}
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            for number in range(bench.repeat + 5):
                for count, token in tokens.items():
                    began = time.perf_counter()
                    async with session.get(
                        bench.scene.base + path, headers=cookie(token)
                    ) as answer:
                        await answer.read()
                    if answer.status == 200 and number >= 5:
                        taken[count].append((time.perf_counter() - began) * 1000)
        few, many = (statistics.median(values) if values else None for values in taken.values())
        figures[name] = {
            f"{FEW}_ms": few and round(few, 1),
            f"{bench.jobs}_ms": many and round(many, 1),
            "ratio": round(many / few, 2) if few and many else None,
        }
    return figures


# Live


async def change(bench: Bench, user_id: int, job_id: UUID, progress: int) -> int:
    """Move a job as the engine does: the row and its update in one transaction."""
    async with bench.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "update imputation_jobs set progress_percentage = $2 where id = $1", job_id, progress
        )
        update: int = await connection.fetchval(
            "insert into job_status_updates (job_id, user_id, status, progress_percentage, message)"
            " values ($1, $2, 'running', $3, 'Job in progress') returning id",
            job_id,
            user_id,
            progress,
        )
    return update


async def measure_live(bench: Bench) -> dict[str, Any]:
    """Time changes on their way to a stream and to a browser."""
    user_id, token = await bench.user()
    job_id = (await bench.fill(user_id, FEW))[0]
    seen: dict[int, float] = {}
    opened = asyncio.Event()

    async def listen() -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{bench.scene.base}/events", headers=cookie(token)) as answer,
        ):
            opened.set()
            async for line in answer.content:
                if line.startswith(b"id: "):
                    seen[int(line[4:])] = time.perf_counter()

    lags = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen())
        await opened.wait()
        for number in range(CHANGES):
            began = time.perf_counter()
            update = await change(bench, user_id, job_id, 10 + number % 80)
            while update not in seen:
                await asyncio.sleep(0.0005)
            lags.append(seen[update] - began)
            await asyncio.sleep(0.01)
        task.cancel()
    figures: dict[str, Any] = {"frame_s": figures_of(lags)}
    if find_chromium() is not None:
        figures["row_s"] = await measure_rows(bench, user_id, token, job_id)
    return figures


async def measure_rows(
    bench: Bench, user_id: int, token: str, job_id: UUID
) -> dict[str, float] | None:
    """Time changes on their way to the row in a browser; None where there is no list."""
    with tempfile.TemporaryDirectory() as folder, run_chromium(Path(folder)) as endpoint:
        async with connect(endpoint) as browser:
            context = await browser.new_context()
            await context.add_cookies(
                [{"name": "fip_session", "value": token, "url": bench.scene.base}]
            )
            page = await context.new_page()
            answer = await page.goto(f"{bench.scene.base}/ui/jobs")
            if answer is None or answer.status != 200:
                return None
            await page.wait_for_selector("body[data-live=on]")
            lags = []
            for number in range(CHANGES // 10):
                progress = 11 + number
                began = time.perf_counter()
                await change(bench, user_id, job_id, progress)
                await page.wait_for_selector(f"progress[value='{progress}']", timeout=5000)
                lags.append(time.perf_counter() - began)
                await asyncio.sleep(0.3)
    return figures_of(lags)


def figures_of(lags: list[float]) -> dict[str, float]:
    """Give the percentiles of what was timed, in seconds."""
    return {f"p{part}": round(share(lags, part / 100), 4) for part in (50, 99, 100)}


# Streams


async def measure_streams(bench: Bench) -> dict[str, Any]:
    """Open many streams; give what they cost the server."""
    tokens = [(await bench.user())[1] for _ in range(-(-bench.streams // STREAMS_EACH))]
    for token in tokens:  # each user has come before, as each browser's first page does
        async with bench.scene.client.session.get(
            f"{bench.scene.base}/ui/", headers=cookie(token)
        ) as answer:
            await answer.read()
    await asyncio.sleep(2)
    before = memory_kib(bench.pid, "VmRSS")
    quiet = await cpu_percent(bench.pid, 10)
    writers = []
    for number in range(bench.streams):
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.scene.port, limit=4096)
        head = f"GET /events HTTP/1.1\r\nHost: x\r\nCookie: fip_session={tokens[number // STREAMS_EACH]}\r\n"
        browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip\r\n"
        writer.write(f"{head}{browser}\r\n".encode())
        writers.append((reader, writer))
    for reader, _ in writers:
        assert b" 200 " in await reader.readline()
    await asyncio.sleep(5)
    opened = memory_kib(bench.pid, "VmRSS")
    idle = await cpu_percent(bench.pid, 40)
    after_a_while = memory_kib(bench.pid, "VmRSS")
    for _, writer in writers:
        writer.close()
    await asyncio.sleep(5)
    closed = memory_kib(bench.pid, "VmRSS")
    rise = max(opened, after_a_while) - before
    return {
        "streams": bench.streams,
        "users": len(tokens),
        "before_mb": round(before * 1024 / 1e6, 1),
        "rise_mb": round(rise * 1024 / 1e6, 1),
        "kb_each": round(rise * 1.024 / bench.streams, 1),
        "kept_after_closing_mb": round((closed - before) * 1024 / 1e6, 1),
        "cpu_percent_without": quiet,
        "cpu_percent": idle,
    }


async def cpu_percent(pid: int, seconds: float) -> float:
    """Give the share of a core that a process takes meanwhile."""

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    began, at = used(), time.monotonic()
    await asyncio.sleep(seconds)
    return round(100 * (used() - began) / (time.monotonic() - at), 1)


# All together

PARTS: dict[str, Callable[[Bench], Awaitable[dict[str, Any]]]] = {
    "pages": measure_pages,
    "list": measure_list,
    "live": measure_live,
    "streams": measure_streams,
}


def judge(figures: dict[str, Any]) -> list[str]:
    """Give the bars that do not hold, in words."""
    failed = []

    def bar(name: str, value: float | None, limit: str) -> None:
        if value is not None and value >= BARS[limit]:
            failed.append(f"{name}: {value:g}, bar {BARS[limit]:g}")

    for name, page in figures.get("pages", {}).items():
        bar(f"{name}, ms", page["ms"], "page_ms")
        bar(f"{name}, kB", page.get("kb"), "page_kb")
    for name, times in figures.get("list", {}).items():
        bar(f"{name} with many jobs, times", times["ratio"], "list_ratio")
    for name, lag in figures.get("live", {}).items():
        bar(f"live {name}, p99", lag and lag["p99"], "live_s")
    if streams := figures.get("streams"):
        bar("streams, MB", streams["rise_mb"], "streams_mb")
        bar("streams, CPU %", streams["cpu_percent"], "streams_cpu_percent")
    return failed


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    for name, page in figures.get("pages", {}).items():
        cells = "  ".join(f"{key} {value}" for key, value in page.items())
        print(f"{name:<10} {cells}")
    for name, times in figures.get("list", {}).items():
        print(f"{name:<10} " + "  ".join(f"{key}: {value}" for key, value in times.items()))
    for name, lag in figures.get("live", {}).items():
        print(f"live, {name:<8} {lag}")
    if streams := figures.get("streams"):
        print("streams    " + "  ".join(f"{key} {value}" for key, value in streams.items()))
    print("holds" if figures["holds"] else "does NOT hold: " + "; ".join(figures["failed"]))


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure; give the figures."""
    async with open_bench() as (scene, pool):
        bench = Bench(scene, pool, arguments.repeat, arguments.jobs, arguments.streams)
        figures: dict[str, Any] = {
            "measured_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
            "cores": os.cpu_count(),
            "load_average_1m": round(os.getloadavg()[0], 1),
        }
        for name in arguments.only.split(","):
            figures[name] = await PARTS[name](bench)
            print(name, msgspec.json.encode(figures[name]).decode(), flush=True)
    figures["failed"] = judge(figures)
    figures["holds"] = not figures["failed"]
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = asyncio.run(run(arguments))
    show(figures)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
