"""How fast the API answers: one job, against tuned FastAPI; and a list, of 10 jobs and of 100,000.

`python -m bench api [--seconds 4]` starts a server of ours and one of bench/api_peer.py (in the bench venv) over one database and lets wrk ask them in turn over 32 connections. The rate limit is
off. Ours does all that it does elsewhere: it looks whether the token was revoked, counts for the metrics, and gives the input
files; only its log is at «warning». Bars: twice as many answers as the peer; the lists within 1.2 of each other.
"""

import asyncio
import os
import re
import socket
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg

from app.servers import open_servers
from app.settings import Settings
from bench.peers import PYTHON
from bench.runner import begin, parser, run
from bench.server import JWT_SECRET, Bench
from tests.e2e.processes import Scene

CONNECTIONS = 32
NO_RATE_LIMIT = {"FIP_RATE_LIMIT_PER_MINUTE": "1000000000"}
_ADD_INPUT = """
with file as (
    insert into files (user_id, kind, name, storage_key, size_bytes, sha256) values ($1, 'input', 'cohort_chr20.vcf.gz', 'none', 104857600, repeat('a', 64))
    returning id
)
insert into job_files (job_id, file_id, role, name, position) select $2, id, 'input', 'chr20.vcf.gz', 0 from file
"""


async def wrk(url: str, token: str, seconds: int) -> dict[str, float]:
    """Ask for so long; give answers a second and the latencies."""
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
        "-H", f"Authorization: Bearer {token}", url,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = (await process.communicate())[0].decode()
    if process.returncode or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    shown = dict(re.findall(r"(50|99)%\s+([\d.]+m?u?s)", said))
    return {"per_s": rate, **{f"p{key}_ms": _ms(value) for key, value in shown.items()}}


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


@asynccontextmanager
async def _open_bench() -> AsyncIterator[tuple[Scene, asyncpg.Pool, str]]:
    """Start a server over an embedded database; give it, a pool on the database, and the database's address."""
    settings = {"FIP_JWT_SECRET": JWT_SECRET, "FIP_LOG_LEVEL": "warning", **NO_RATE_LIMIT}
    with tempfile.TemporaryDirectory(prefix="fip-bench-") as folder:
        async with (
            Scene(Path(folder), settings, with_sandbox=False) as scene,
            open_servers(Settings(data_dir=Path(folder) / "data"), join=True) as servers,
            asyncpg.create_pool(servers.database_url, min_size=1, max_size=2) as pool,
        ):
            yield scene, pool, servers.database_url


@asynccontextmanager
async def open_peer(python: str, database: str) -> AsyncIterator[str]:
    """Start the peer; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        python, "-m", "uvicorn", "bench.api_peer:app", "--port", str(port), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning",
        env={"PATH": os.environ["PATH"], "PEER_SECRET": JWT_SECRET, "PEER_DATABASE": database},
    )  # fmt: skip
    try:
        await _until_up(f"http://127.0.0.1:{port}/openapi.json")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _until_up(url: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(url):
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


async def compare(
    targets: dict[str, tuple[str, str]], seconds: int, rounds: int
) -> dict[str, list[dict[str, float]]]:
    """Ask each in turn (url, token), `rounds` times behind one to warm up."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
    for number in range(rounds + 1):
        for name, (url, token) in targets.items():
            figures = await wrk(url, token, seconds if number else 1)
            if number:
                found[name].append(figures)
    return found


def _ratio(above: list[dict[str, float]], below: list[dict[str, float]]) -> float:
    return statistics.median(a["per_s"] / b["per_s"] for a, b in zip(above, below, strict=True))


async def main() -> int:
    """Measure; give the exit status."""
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=int, default=4, help="length of a turn")
    arguments.add_argument("--many", type=int, default=100_000, help="jobs of the longer list")
    given = arguments.parse_args()
    report = begin("api", given)
    async with _open_bench() as (scene, pool, database):
        bench = Bench(scene, pool, 0, 0, 0)
        few_id, few_token = await bench.user()
        many_id, many_token = await bench.user()
        (job, *_) = await bench.fill(few_id, 10)
        await pool.execute(_ADD_INPUT, few_id, job)
        await bench.fill(many_id, given.many)
        async with open_peer(str(PYTHON), database) as peer:
            found = await compare(
                {
                    "GET /jobs/ID": (f"{scene.base}/jobs/{job}", few_token),
                    "FastAPI": (f"{peer}/jobs/{job}", few_token),
                    "GET /jobs, 10 jobs": (f"{scene.base}/jobs?limit=10", few_token),
                    f"GET /jobs, {given.many:,} jobs": (
                        f"{scene.base}/jobs?limit=10",
                        many_token,
                    ),
                },
                given.seconds,
                given.rounds,
            )
    for name, figures in found.items():
        report.row(f"{name}: seconds an answer", [1 / each["per_s"] for each in figures])
        middle = {key: statistics.median(each[key] for each in figures) for key in figures[0]}
        report.note(f"{name}: {middle['per_s']:,.0f}/s, p50 {middle['p50_ms']:.1f} ms, p99 {middle['p99_ms']:.1f} ms")  # fmt: skip
    ours, theirs, few, many = found.values()
    report.bar("over FastAPI", _ratio(ours, theirs), at_least=2.0)
    report.bar("the longer list, times as slow", _ratio(few, many), at_most=1.2)
    return report.finish(given.out)


if __name__ == "__main__":
    run(main)
