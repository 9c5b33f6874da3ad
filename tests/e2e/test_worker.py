"""The engine in a process of its own, beside a web server that has none."""

import asyncio
from pathlib import Path

from app.genotypes.testdata import write_test_files
from tests.e2e.processes import Program, Scene

SETTINGS = {
    "FIP_POLL_INTERVAL_S": "0.3",
    "FIP_DISPATCH_INTERVAL_S": "0.2",
    "FIP_SETTLE_WAIT_S": "0.3",
    "FIP_RECOVERY_WAIT_S": "0.5",
    "FIP_RETRY_BASE_S": "0.3",
    "FIP_LEASE_S": "2",
}


async def test_jobs_when_the_worker_runs_alone_and_is_killed_then_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    file = write_test_files(tmp_path / "input", None)[0].path
    scene = Scene(tmp_path, SETTINGS, ["--engine", "instant", "--max-jobs", "0"])
    scene.server.arguments.append("--no-worker")
    async with scene:
        ids = await scene.set_up_service()
        await scene.ask_sandbox("PUT", "/sandbox/faults", json={"run_s": 1.0})
        first = await scene.client.submit(*ids, file)
        await asyncio.sleep(1.0)
        assert (await scene.client.job(first["id"]))["started_at"] is None, "nobody works here"
        worker = Program(["worker"], scene.server.environment, tmp_path / "worker.log")
        await worker.start()
        try:
            await scene.client.until_end(first["id"], "completed", limit_s=30)
            jobs = [await scene.client.submit(*ids, file) for _ in range(4)]
            await scene.client.until(jobs[0]["id"], lambda job: job["external_job_id"] is not None)
            await worker.kill()
            await worker.start()
            for job in jobs:
                await scene.client.until_end(job["id"], "completed", limit_s=30)
            assert await worker.stop() == 0
        finally:
            await worker.kill()
        remote = (await scene.ask_sandbox("GET", "/sandbox/stats"))["jobs_by_name"]
        assert sorted(remote.values()) == [1] * 5
        assert await scene.server.stop() == 0
