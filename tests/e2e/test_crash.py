"""Whatever is killed, whenever: every job ends right, the remote has one job for each of ours, and nobody is told twice."""

import asyncio
import os
import random
import signal
from collections import Counter
from email import message_from_bytes
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio

from app.embedded import EmbeddedPostgres, EmbeddedValkey
from app.genotypes.testdata import write_test_files
from tests.e2e.processes import Scene

JOBS = 30
KILLS = 20
FAST = {
    "FIP_POLL_INTERVAL_S": "0.3",
    "FIP_DISPATCH_INTERVAL_S": "0.2",
    "FIP_SETTLE_WAIT_S": "0.3",
    "FIP_RECOVERY_WAIT_S": "0.7",
    "FIP_RETRY_BASE_S": "0.3",
    "FIP_RETRY_MAX_S": "2",
    "FIP_LEASE_S": "5",
    "FIP_HEALTH_INTERVAL_S": "2",
}
FAULTS = {"lose_submit_answer_p": 0.25, "drop_submit_p": 0.05, "run_s": 1.0, "wait_s": 0.3}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small, valid input."""
    return write_test_files(tmp_path / "input", None)[0].path


async def _listed(scene: Scene) -> list[dict[str, Any]]:
    """Give all jobs; while the database is away the answer is a 503 and nothing else."""
    while True:
        answer = await scene.client.call("GET", "/jobs?limit=500")
        if isinstance(answer, list):
            return answer
        assert answer["status"] == 503, f"{answer}\n{scene.server.tail()}"
        await asyncio.sleep(0.2)


async def _all_end(scene: Scene, limit_s: float) -> list[dict[str, Any]]:
    async with asyncio.timeout(limit_s):
        while True:
            jobs = await _listed(scene)
            if all(job["completed_at"] for job in jobs):
                return jobs
            await asyncio.sleep(0.3)


async def _check(scene: Scene, jobs: list[dict[str, Any]], count: int) -> None:
    """The whole truth after the storm."""
    ended = Counter((job["status"], job["error_message"]) for job in jobs)
    assert ended == {("completed", None): count}, f"{ended}\n{scene.server.tail()}"
    remote = (await scene.ask_sandbox("GET", "/sandbox/stats"))["jobs_by_name"]
    assert len(remote) == count
    assert set(remote.values()) == {1}, Counter(remote.values())
    assert len({job["external_job_id"] for job in jobs}) == count
    for job in jobs:
        updates = await scene.client.call("GET", f"/jobs/{job['id']}/status-updates?limit=500")
        progress = [update["progress_percentage"] for update in reversed(updates)]
        assert progress == sorted(progress)
        messages = Counter(update["message"] for update in updates)
        for once in (
            "Job created",
            "Job submitted to external service",
            "Results ready for download",
        ):
            assert messages[once] == 1, messages
        results = await scene.client.call(
            "GET", f"/jobs/{job['id']}/results", headers={"Accept": "application/json"}
        )
        names = [item["name"] for item in results["files"]]
        assert len(names) == len(set(names))
        assert "chr20.dose.vcf.gz" in names
    notices = await scene.client.call("GET", "/notifications?limit=500")
    told = Counter((notice["data"]["job_id"], notice["type"]) for notice in notices)
    assert set(told.values()) == {1}, told.most_common(3)
    assert Counter(kind for _, kind in told)["job_completed"] == count


async def _check_mails(scene: Scene) -> None:
    """Each notice was written as one e-mail: a repeated delivery overwrites its own file."""
    mails = [
        message_from_bytes(path.read_bytes()) for path in (scene.root / "data/outbox").glob("*.eml")
    ]
    assert mails
    ids = [mail["Message-ID"] for mail in mails]
    assert len(ids) == len(set(ids))


async def _submit_all(scene: Scene, ids: tuple[int, int], file: Path, count: int) -> None:
    """Submit while the server comes and goes; a repeated request carries the same key and makes no second job."""
    for number in range(count):
        for _attempt in range(100):
            try:
                await scene.client.submit(*ids, file, name=f"crash {number}")
                break
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.2)
        else:
            pytest.fail("the server did not come back")


async def test_jobs_when_the_server_is_killed_at_random_moments_then_each_ends_once(
    tmp_path: Path, tiny: Path
) -> None:
    chance = random.Random(20)
    async with Scene(tmp_path, FAST, ["--engine", "instant", "--max-jobs", "0"]) as scene:
        ids = await scene.set_up_service(max_remote_jobs=None)
        await scene.ask_sandbox("PUT", "/sandbox/faults", json=FAULTS)
        await asyncio.gather(
            *(scene.client.submit(*ids, tiny, name=f"crash {n}") for n in range(JOBS))
        )
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 1.0))
            await scene.server.kill()
            await scene.server.start()
        await scene.ask_sandbox(
            "PUT", "/sandbox/faults", json={**FAULTS, "lose_submit_answer_p": 0.1}
        )
        jobs = await _all_end(scene, 120)
        await _check(scene, jobs, JOBS)
        await asyncio.sleep(1.0)
        await _check_mails(scene)


async def test_jobs_when_valkey_is_emptied_and_postgresql_restarted_then_each_ends_once(
    tmp_path: Path, tiny: Path
) -> None:
    async with Scene(tmp_path, FAST, ["--engine", "instant", "--max-jobs", "0"]) as scene:
        ids = await scene.set_up_service(max_remote_jobs=None)
        await scene.ask_sandbox("PUT", "/sandbox/faults", json=FAULTS)
        await asyncio.gather(
            *(scene.client.submit(*ids, tiny, name=f"storm {n}") for n in range(JOBS))
        )
        for _ in range(3):
            await asyncio.sleep(0.7)
            await _empty_valkey(scene)
            await asyncio.sleep(0.7)
            await _kill_postgres(scene)
        jobs = await _all_end(scene, 120)
        await _check(scene, jobs, JOBS)


async def _empty_valkey(scene: Scene) -> None:
    url = EmbeddedValkey(scene.root / "data" / "valkey").running_url()
    assert url is not None
    async with redis.asyncio.Redis.from_url(url) as connection:
        await connection.flushall()


async def _kill_postgres(scene: Scene) -> None:
    """Kill the server's own PostgreSQL with signal 9, once it runs; its supervisor starts it again."""
    root = scene.root / "data" / "postgres"
    async with asyncio.timeout(30):
        while EmbeddedPostgres(root).running_url() is None:
            await asyncio.sleep(0.1)
    pid_file = root / "data" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split("\n", 1)[0]), signal.SIGKILL)
