"""How soon one process sees changes of 10,000 remote jobs, and what that costs: of 5,000 accounts, and all of one.

`python -m bench inflight` starts the platform whole in this process (embedded PostgreSQL and Valkey are its children) and, in a
process of its own, remote servers that speak Michigan's dialect, and WES (`--runs`). The share `--changing` of the jobs begins to
run, each at a moment of its own within the window. The lag is from that moment to the row that tells its owner; the CPU share is
that of this process alone, of one core, during the window. The real adapters, HTTP, poller, database and web server are used, and a
client asks for a job 20 times a second meanwhile; nothing is faked but the remotes. On a busy machine the lag says little.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
from aiohttp import web

from app.commands.listening import start_web
from app.lifespan import open_platform
from app.logs import configure_logging
from app.settings import Settings
from app.usecases.credentials import Secret, own_context, seal_secret
from app.usecases.deps import Deps
from bench.runner import Report, begin, parser, run, share

SERVICES = 5
"""Of each kind."""
MICHIGAN_JOBS_EACH = 2
"""Of 5,000 accounts; public servers allow an account up to 3 at a time."""
WES_RUNS_EACH = 20
WARM_UP_INTERVALS = 1.5
LIMIT_CPU = 40.0
LIMIT_API_MS = 5.0
PROBES_PER_S = 20.0

# The remotes, in a process of their own


def changes_at(number: int, start: float, window: float) -> float:
    """Give when a job begins to run: scattered over the window, the same in both processes."""
    return start + (number * 0.618_033_988_75 % 1.0) * window


def is_changing(number: int, changing: float) -> bool:
    """Tell whether a job begins to run at all."""
    return number * 0.414_213_562_37 % 1.0 < changing


def remote_app(start: list[float], window: float, changing: float) -> web.Application:
    """Serve jobs `job-N` of accounts `token-FIRST-COUNT`, and runs `run-N`. They wait until there is a `start`."""

    def is_running(number: int) -> bool:
        if not start or not is_changing(number, changing):
            return False
        return time.time() >= changes_at(number, start[0], window)

    async def list_jobs(request: web.Request) -> web.Response:
        _, first, count = request.headers["X-Auth-Token"].split("-")
        now = int(time.time() * 1000)
        rows = [
            {
                "id": f"job-{number}",
                "name": f"fi-{number}",
                "state": 2 if is_running(number) else 1,
                "submittedOn": now - 3_600_000,
                "currentTime": now,
            }
            for number in range(int(first), int(first) + int(count))
        ]
        head = {"count": len(rows), "page": 1, "pageSize": 15, "prev": None, "next": None}
        return web.json_response({**head, "pages": [], "data": rows})

    async def status(request: web.Request) -> web.Response:
        run_id = request.match_info["id"]
        state = "RUNNING" if is_running(int(run_id.removeprefix("run-"))) else "QUEUED"
        return web.json_response({"run_id": run_id, "state": state})

    async def empty(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/api/v2/jobs", list_jobs)
    app.router.add_get("/ga4gh/wes/v1/runs/{id}/status", status)
    app.router.add_route("*", "/{rest:.*}", empty)
    return app


async def serve(window: float, changing: float) -> None:
    """Serve until standard input ends, whose first line is the start; print the port."""
    start: list[float] = []
    runner = web.AppRunner(remote_app(start, window, changing), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    start.append(float(await asyncio.to_thread(sys.stdin.readline)))
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def start_remotes(window: float, changing: float) -> tuple[Process, str]:
    """Start the other process; give it and its address."""
    arguments = ("-m", "bench.inflight", "--serve", str(window), str(changing))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=PIPE, stdout=PIPE
    )
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{int(await process.stdout.readline())}"


# What is in flight


async def fill(
    deps: Deps, base: str, kind: str, first: int, count: int, interval_s: float, each: int
) -> None:
    """Write services, users, credentials, accounts of `each` so many, and jobs that are at the remote."""
    is_wes = kind == "ga4gh_wes"
    url = f"{base}/ga4gh/wes/v1" if is_wes else base
    config: dict[str, Any] = {}
    if is_wes:
        workflow = {"url": "https://example.org/impute.cwl", "type": "CWL", "type_version": "v1.2"}
        config = {"dialect": "starter-kit", "workflow": workflow, "params": {"i": "{input_url}"}}
    async with deps.pool.acquire() as conn, conn.transaction():
        services = [
            await conn.fetchval(
                "insert into services (slug, name, api_type, base_url, allow_insecure, api_config, poll_interval_s, health)"
                " values ($1, $1, $2, $3, true, $4, $5, 'up') returning id",
                f"{kind.replace('_', '-')}-{number}",
                kind,
                url,
                config,
                interval_s,
            )
            for number in range(SERVICES)
        ]
        for place, begin in enumerate(range(first, first + count, each)):
            service_id = services[place % SERVICES]
            many = min(each, first + count - begin)
            await _fill_account(deps, conn, service_id, base, is_wes=is_wes, first=begin, many=many)


async def _fill_account(
    deps: Deps, conn: Any, service_id: int, base: str, *, is_wes: bool, first: int, many: int
) -> None:
    user_id = await conn.fetchval(
        "insert into users (username, password_hash) values ($1, '-') returning id", f"u{first}"
    )
    secret = Secret(token=f"token-{first}-{many}")
    sealed, key_id = seal_secret(deps, secret, own_context(user_id, service_id, base))
    await conn.execute(
        "insert into user_service_credentials (user_id, service_id, credential_type, secret, secret_key_id, origin)"
        " values ($1, $2, 'token', $3, $4, $5)",
        user_id,
        service_id,
        sealed,
        key_id,
        base,
    )
    account_id = await conn.fetchval(
        "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
        service_id,
        user_id,
    )
    prefix = "run" if is_wes else "job"
    await conn.executemany(
        "insert into imputation_jobs (user_id, name, status, stage, service_id, account_id, panel_key, panel_name, build, phasing,"
        " remote_name, archive_secret, archive_secret_key_id, external_job_id, remote_state, next_action, next_action_at, has_slot,"
        " started_at, submitted_at, intent_at)"
        " values ($1, 'bench', 'queued', 'remote_queue', $2, $3, 'p', 'p', 'hg38', true, $4, '', 'k', $5, '1', 'poll', now(), true,"
        " now(), now(), now())",
        [
            (user_id, service_id, account_id, f"fi-{uuid4().hex}", f"{prefix}-{number}")
            for number in range(first, first + many)
        ],
    )


# Measuring


async def _ask_for(deps: Deps, port: int) -> tuple[str, str]:
    """Give the address of a job, and a token of its owner."""
    row = await deps.pool.fetchrow(
        "select j.id, u.id as user_id, u.username from imputation_jobs j join users u on u.id = j.user_id limit 1"
    )
    assert row is not None
    token = deps.tokens.issue(row["user_id"], row["username"], 0, datetime.now(UTC))
    return f"http://127.0.0.1:{port}/jobs/{row['id']}", token


async def _probe_apart(url: str, token: str, seconds: float) -> dict[str, float]:
    """Ask, from a process of its own, for so long; give the latencies in milliseconds."""
    arguments = ("-m", "bench.inflight", "--probe", url, token, str(seconds))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)
    said, _ = await process.communicate()
    found: dict[str, float] = json.loads(said)
    return found


async def probe(url: str, token: str, seconds: float) -> None:
    """Ask one after another; print the latencies."""
    took: list[float] = []
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        while (began := time.monotonic()) < end:
            async with session.get(url) as answer:
                answer.raise_for_status()
                await answer.read()
            took.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(max(0.0, began + 1 / PROBES_PER_S - time.monotonic()))
    took.sort()
    print(
        json.dumps(
            {name: round(share(took, part), 2) for name, part in (("p50", 0.5), ("p99", 0.99))}
        )
    )


async def lags(
    pool: asyncpg.Pool, start: float, window: float, changing: float
) -> tuple[dict[str, list[float]], int]:
    """Give the sorted lags by kind, in seconds, and how many changes were not seen."""
    rows = await pool.fetch(
        "select j.external_job_id as remote_id, min(u.timestamp) as seen"
        " from imputation_jobs j left join job_status_updates u on u.job_id = j.id and u.status = 'running'"
        " group by j.id"
    )
    found: dict[str, list[float]] = {"job": [], "run": []}
    missed = 0
    for row in rows:
        prefix, _, number = row["remote_id"].partition("-")
        if not is_changing(int(number), changing):
            continue
        if row["seen"] is None:
            missed += 1
        else:
            changed = changes_at(int(number), start, window)
            found[prefix].append(row["seen"].timestamp() - changed)
    return {kind: sorted(values) for kind, values in found.items()}, missed


async def measure(arguments: argparse.Namespace, jobs_each: int) -> dict[str, Any]:
    """Measure; give the figures."""
    interval, window = arguments.interval, arguments.window
    with tempfile.TemporaryDirectory(prefix="fip-bench-") as folder:
        settings = Settings(
            data_dir=Path(folder),
            allowed_networks=(ip_network("127.0.0.0/8"),),
            log_level="error",
            port=0,
            rate_limit_per_minute=1_000_000_000,
            credential_check_interval_s=0.0,
            min_free_bytes=1_000_000,
        )
        configure_logging(level="error")
        process, base = await start_remotes(window, arguments.changing)
        assert process.stdin is not None
        try:
            async with open_platform(settings, work=False) as idle:
                jobs, runs = arguments.jobs, arguments.runs
                await fill(idle.deps, base, "michigan", 0, jobs, interval, jobs_each)
                await fill(idle.deps, base, "ga4gh_wes", jobs, runs, interval, WES_RUNS_EACH)
                await idle.deps.pool.execute("analyze")
            start = time.time() + WARM_UP_INTERVALS * interval + 2.0
            process.stdin.write(f"{start}\n".encode())
            async with open_platform(settings) as platform:
                web_server = await start_web(platform)
                question = await _ask_for(platform.deps, web_server.addresses[0][1])
                await asyncio.sleep(start - time.time())
                began, cpu = time.monotonic(), time.process_time()
                answers = await _probe_apart(*question, window)
                used = (time.process_time() - cpu) / (time.monotonic() - began)
                await web_server.cleanup()
                await asyncio.sleep(interval + 3.0)
                by_kind, missed = await lags(platform.deps.pool, start, window, arguments.changing)
                accounts = await platform.deps.pool.fetchval(
                    "select count(*) from service_accounts"
                )
        finally:
            process.stdin.close()
            await process.wait()
    return {
        "accounts": accounts,
        "missed": missed,
        "cpu": 100 * used,
        "api_ms": answers,
        "lag_s": sorted(value for values in by_kind.values() for value in values),
    }


def tell(report: Report, name: str, figures: dict[str, Any], interval: float) -> None:
    """Judge the figures of one way to spread the jobs over accounts."""
    lags_s, api_ms = figures["lag_s"], figures["api_ms"]
    report.note(
        f"{name}: {figures['accounts']:,} accounts; {len(lags_s):,} changes seen, at p50 after {share(lags_s, 0.5):.1f} s;"
        f" GET /jobs/ID at p99 {api_ms['p99']:.1f} ms"
    )
    report.bar(f"{name}: seen after s, p99", share(lags_s, 0.99), at_most=interval + 1)
    report.bar(f"{name}: changes not seen", figures["missed"], at_most=0)
    report.bar(f"{name}: % of a core", figures["cpu"], at_most=LIMIT_CPU)
    report.bar(f"{name}: GET /jobs/ID, ms, p50", api_ms["p50"], at_most=LIMIT_API_MS)


async def main() -> int:
    """Measure, or be the remotes or the client."""
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=0, help="WES runs besides")
    arguments.add_argument("--jobs", type=int, default=10_000, help="Michigan jobs")
    arguments.add_argument("--interval", type=float, default=30.0)
    arguments.add_argument("--window", type=float, default=120.0)
    arguments.add_argument("--changing", type=float, default=0.2)
    arguments.add_argument("--only", choices=("many", "one"), help="accounts")
    arguments.add_argument("--serve", type=float, nargs=2, help=argparse.SUPPRESS)
    arguments.add_argument("--probe", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.serve is not None:
        await serve(*given.serve)
        return 0
    if given.probe is not None:
        url, token, seconds = given.probe
        await probe(url, token, float(seconds))
        return 0
    report = begin("inflight", given)
    report.note("once each, however many rounds are asked for: a round is a few minutes long")
    for name, each in (("many", MICHIGAN_JOBS_EACH), ("one", given.jobs)):
        if given.only in (None, name):
            tell(report, f"{name} account(s)", await measure(given, each), given.interval)
    return report.finish(given.out)


if __name__ == "__main__":
    run(main)
