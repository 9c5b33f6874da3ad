"""Looking at jobs, the states they go through, cancel, restart, delete, retention, and restarts of the server."""

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig
from app.sandbox.jobs import manager
from app.sandbox.jobs.model import Job, State
from app.sandbox.jobs.runner import run_engine
from tests.sandbox.support import PANEL, User, files, messages, serving
from tests.sandbox.test_tokens import log_in
from tests.sandbox.vcf import record, records, write_vcf

Server = tuple[web.Application, str]


async def force(user: User, job_id: str, state: int) -> None:
    status, _ = await user.call("POST", f"/sandbox/jobs/{job_id}/state", json={"state": state})
    assert status == 200


async def test_job_when_done_then_keys_and_clock_are_those_of_cloudgene(
    user: User, vcf: Path
) -> None:
    job = await user.finish(await user.submit(vcf))
    assert set(job) >= {
        *("application", "applicationId", "deletedOn", "endTime", "id", "name", "logs", "state"),
        *("positionInQueue", "userAgent", "startTime", "submittedOn", "username", "currentTime"),
        *("workspaceSize", "steps", "outputParams"),
    }
    assert not {"error", "progress", "complete", "running", "status"} & set(job)
    assert job["submittedOn"] <= job["startTime"] <= job["endTime"] <= job["currentTime"]
    assert (job["positionInQueue"], job["deletedOn"], job["logs"]) == (-1, -1, "")
    assert all(m["success"] and m["time"] == 0 for s in job["steps"] for m in s["logMessages"])
    _, again = await user.get(f"/api/v2/jobs/{job['id']}/status")
    assert {**again, "currentTime": 0} == {**job, "currentTime": 0}


async def test_job_when_done_then_output_lists_files_and_tree(user: User, tmp_path: Path) -> None:
    lines = [*records(10, 25), record(1_100_000, ["0/1"] * 25, alt="G,T")]
    job = await user.finish(await user.submit(write_vcf(tmp_path / "c.vcf.gz", lines)))
    output = job["outputParams"][0]
    assert (output["name"], output["download"], output["jobId"]) == ("output", True, job["id"])
    assert len(output["hash"]) == 40
    listed = files(job)
    assert set(listed) == {
        *("chr_20.zip", "qc_report.txt", "quality-control.html", "statistics/snps-excluded.txt")
    }
    excluded = listed["statistics/snps-excluded.txt"]
    assert excluded["path"] == f"{job['id']}/output/statistics/snps-excluded.txt"
    assert (len(excluded["hash"]), excluded["count"]) == (64, 10)
    folder = output["tree"][-1]
    assert (folder["name"], folder["folder"]) == ("statistics", True)
    path = f"/browse/{output['hash']}/statistics/snps-excluded.txt"
    assert folder["childs"][0]["path"] == path
    text = (await user.fetch(job, "statistics/snps-excluded.txt")).decode()
    assert text == (
        "ID\tCHROM\tPOS\tREF\tALT\tINFO\nrs1100000\t20\t1100000\tA\tG,T\tMultiallelic Site\n"
    )


async def test_job_when_going_its_way_then_1_2_3_4_and_download_rows_later(
    user: User, vcf: Path
) -> None:
    await user.faults(wait_s=0.15, run_s=0.15, export_s=0.15, rows_delay_s=0.15)
    job_id = await user.submit(vcf)
    seen: list[Any] = []
    async with asyncio.timeout(10):
        while True:
            job = await user.job(job_id)
            rows = bool(job["outputParams"]) and bool(job["outputParams"][0]["files"])
            if not seen or seen[-1] != (job["state"], rows):
                seen.append((job["state"], rows))
            if rows:
                break
            await asyncio.sleep(0.01)
    assert seen == [(1, False), (2, False), (3, False), (4, False), (4, True)]


async def test_job_when_running_then_bars_read_label_done_total_and_stay_monotonic(
    user: User, tmp_path: Path
) -> None:
    paths = [write_vcf(tmp_path / f"c{c}.vcf.gz", chromosome=c) for c in ("1", "2")]
    job = await user.finish(await user.submit(*paths))
    bars = [m for m in messages(job) if "progress" in m]
    assert [b.partition("<b>")[2].partition("</b>")[0] for b in bars] == [
        "Phasing with Eagle (2/2)",
        "Imputation (2/2)",
        "Compression and Encryption (2/2)",
    ]


async def test_job_when_unknown_or_anothers_then_404_and_403(user: User, vcf: Path) -> None:
    job_id = await user.submit(vcf)
    for path in ("", "/status", "/cancel", "/restart"):
        status, body = await user.get(f"/api/v2/jobs/job-1{path}")
        assert (status, body["message"]) == (404, "Job job-1 not found.")
        status, body = await user.get(f"/api/v2/jobs/{job_id}{path}", token="bob-token")
        assert (status, body) == (403, {"success": False, "message": "Access denied."})
    assert (await user.get(f"/logs/{job_id}", token="bob-token"))[0] == 403
    assert (await user.get(f"/api/v2/jobs/{job_id}", token="admin-token"))[0] == 200
    assert (await user.get("/api/v2/jobs", token="bob-token"))[1]["data"] == []


async def test_log_when_read_then_holds_all_inputs_with_the_password(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    status, text = await user.get(f"/logs/{job['id']}")
    assert status == 200
    assert "password: fi-secret" in text
    assert f"refpanel: {PANEL}" in text
    assert (await user.get(f"/logs/{job['id']}", token=None))[0] == 401


async def test_queue_when_full_then_positions_count_the_waiting_from_zero(
    config: SandboxConfig, user: User, vcf: Path
) -> None:
    async with serving(replace(config, max_running=1)) as (_, base):
        user = User(user.session, base, user.token)
        await user.faults(run_s=30)
        ids = [await user.submit(vcf) for _ in range(4)]
        await user.wait_until(ids[0], lambda j: j["state"] == 2)
        found = [await user.job(job_id) for job_id in ids]
        assert [(j["state"], j["positionInQueue"]) for j in found] == [
            (2, 0),
            (1, 0),
            (1, 1),
            (1, 2),
        ]
        await user.get(f"/api/v2/jobs/{ids[1]}/cancel")
        assert (await user.job(ids[1]))["state"] == 6
        assert (await user.job(ids[2]))["positionInQueue"] == 0
        await user.get(f"/api/v2/jobs/{ids[0]}/cancel")
        await user.wait_until(ids[2], lambda j: j["state"] == 2)


async def test_cancel_when_running_then_6_at_once_and_for_good(user: User, vcf: Path) -> None:
    await user.faults(run_s=30)
    job_id = await user.submit(vcf)
    await user.wait_until(job_id, lambda j: j["state"] == 2)
    status, body = await user.get(f"/api/v2/jobs/{job_id}/cancel")
    assert (status, body["state"]) == (200, 6)
    for _ in range(20):
        assert (await user.job(job_id))["state"] == 6
        await asyncio.sleep(0.01)


async def test_cancel_when_race_is_on_then_polls_read_6_5_6(user: User, vcf: Path) -> None:
    await user.faults(run_s=30, cancel_race=True)
    job_id = await user.submit(vcf)
    await user.wait_until(job_id, lambda j: j["state"] == 2)
    await user.get(f"/api/v2/jobs/{job_id}/cancel")
    seen: list[int] = []
    async with asyncio.timeout(5):
        while len(seen) < 3:
            state = (await user.job(job_id))["state"]
            seen += [state] if seen[-1:] != [state] else []
            await asyncio.sleep(0.01)
    assert seen == [6, 5, 6]


async def test_cancel_when_finished_then_200_and_unchanged(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    status, body = await user.get(f"/api/v2/jobs/{job['id']}/cancel")
    assert (status, body["state"]) == (200, 4)


async def test_cancel_when_ignored_then_job_goes_on(user: User, vcf: Path) -> None:
    await user.faults(run_s=0.2, cancel_ignored=True)
    job_id = await user.submit(vcf)
    assert (await user.get(f"/api/v2/jobs/{job_id}/cancel"))[0] == 200
    assert (await user.finish(job_id))["state"] == 4


async def test_delete_when_api_token_then_403_and_login_token_200(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    status, body = await user.call("DELETE", f"/api/v2/jobs/{job['id']}")
    assert (status, body["message"]) == (403, "Forbidden")
    login = await log_in(user)
    assert (await user.call("DELETE", f"/api/v2/jobs/{job['id']}", token=login))[0] == 200
    assert (await user.get(f"/api/v2/jobs/{job['id']}"))[0] == 404
    assert (await user.get("/api/v2/jobs"))[1]["count"] == 0
    digest = files(job)["chr_20.zip"]["hash"]
    assert (await user.get(f"/share/results/{digest}/chr_20.zip"))[0] == 404


async def test_delete_when_running_then_gone_and_engine_stopped(
    user: User, config: SandboxConfig, vcf: Path
) -> None:
    await user.faults(run_s=30)
    job_id = await user.submit(vcf)
    await user.wait_until(job_id, lambda j: j["state"] == 2)
    login = await log_in(user)
    assert (await user.call("DELETE", f"/api/v2/jobs/{job_id}", token=login))[0] == 200
    assert (await user.get(f"/api/v2/jobs/{job_id}"))[0] == 404
    assert not (config.data_dir / "jobs" / job_id / "input").exists()


async def test_restart_when_not_dead_then_400(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    status, body = await user.get(f"/api/v2/jobs/{job['id']}/restart")
    assert (status, body["success"]) == (400, False)
    assert body["message"] == f"Job {job['id']} is not pending."


async def test_server_restart_when_jobs_are_open_then_dead_until_restarted(
    config: SandboxConfig, user: User, vcf: Path
) -> None:
    config = replace(config, max_running=1)
    async with serving(config) as (_, base):
        before = User(user.session, base, user.token)
        done = await before.finish(await before.submit(vcf, job_name="done"))
        await before.fetch(done, "chr_20.zip")
        await before.faults(run_s=30)
        running = await before.submit(vcf, job_name="running")
        waiting = await before.submit(vcf, job_name="waiting")
        await before.wait_until(running, lambda j: j["state"] == 2)
    async with serving(config) as (_, base):
        after = User(user.session, base, user.token)
        again = await after.job(done["id"])
        assert again["state"] == 4
        assert files(again)["chr_20.zip"]["count"] == 9, "the counter survives"
        assert messages(again) == messages(done)
        for job_id in (running, waiting):
            job = await after.job(job_id)
            assert (job["state"], job["positionInQueue"]) == (-1, -1)
            status, body = await after.get(f"/api/v2/jobs/{job_id}/restart")
            assert (status, body["success"]) == (200, True)
            assert (await after.finish(job_id))["state"] == 4
        assert set((await after.stats())["jobs_by_name"].values()) == {1}


async def test_server_restart_when_a_record_is_damaged_then_others_are_read(
    config: SandboxConfig, user: User, vcf: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(config) as (_, base):
        first = User(user.session, base, user.token)
        ids = [(await first.finish(await first.submit(vcf)))["id"] for _ in range(2)]
    (config.data_dir / "jobs" / ids[0] / "job.json").write_text('{"id": ')
    async with serving(config) as (_, base):
        second = User(user.session, base, user.token)
        assert (await second.get(f"/api/v2/jobs/{ids[0]}"))[0] == 404
        assert (await second.job(ids[1]))["state"] == 4
    assert ids[0] in capfd.readouterr().err


async def test_job_when_it_dies_then_minus_one_and_restart_works_after_recovery(
    user: User, vcf: Path
) -> None:
    await user.faults(job_dies=True)
    job_id = await user.submit(vcf)
    assert (await user.job(job_id))["state"] == -1
    await user.faults()
    await user.get(f"/api/v2/jobs/{job_id}/restart")
    assert (await user.finish(job_id))["state"] == 4


async def test_dead_job_when_restarted_while_its_old_run_still_ends_then_one_clean_result(
    user: User, vcf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, runs = threading.Event(), []

    def slow_at_first(job: Job, *rest: Any) -> State:
        runs.append(job.id)
        if len(runs) == 1:
            release.wait(20)  # deaf to its cancellation
        return run_engine(job, *rest)

    monkeypatch.setattr(manager, "run_engine", slow_at_first)
    job_id = await user.submit(vcf)
    await user.wait_until(job_id, lambda j: bool(runs))
    await force(user, job_id, -1)
    await user.get(f"/api/v2/jobs/{job_id}/restart")
    await asyncio.sleep(0.2)
    assert (await user.job(job_id))["state"] == 1
    assert len(runs) == 1, "two runs would share one folder"
    release.set()
    job = await user.finish(job_id)
    assert (job["state"], len(runs)) == (4, 2)
    assert len(messages(job, group="Input Validation")) == 1


async def test_retention_when_time_passes_then_8_with_a_date_then_7_without_files(
    config: SandboxConfig, user: User, vcf: Path
) -> None:
    async with serving(replace(config, notify_after_s=0.2, retention_s=0.6)) as (_, base):
        user = User(user.session, base, user.token)
        good, bad = await user.submit(vcf), await user.submit(vcf, phasing="none")
        noticed = await user.wait_until(good, lambda j: j["state"] == 8)
        assert noticed["deletedOn"] > noticed["endTime"]
        assert await user.fetch(noticed, "chr_20.zip"), "still there until that date"
        await user.wait_until(bad, lambda j: j["state"] in {9, 7})
        retired = await user.wait_until(good, lambda j: j["state"] == 7)
        assert "chr_20.zip" in files(retired), "the names stay"
        digest = files(retired)["chr_20.zip"]["hash"]
        status, body = await user.get(f"/share/results/{digest}/chr_20.zip")
        assert (status, body["message"]) == (404, "File not found in workspace.")
        status, body = await user.get(f"/downloads/{good}/{digest}/chr_20.zip")
        assert (status, body["message"]) == (500, "Internal Server Error")
        assert files(await user.job(good))["chr_20.zip"]["count"] == 7, "each of these cost one"
        assert "fi-secret" not in (await user.get(f"/logs/{good}"))[1]
        record = json.loads((config.data_dir / "jobs" / good / "job.json").read_text())
        assert "password" not in record["inputs"]


@pytest.mark.parametrize(
    ("fault", "state"),
    [("notify_at_once", 8), ("retire_at_once", 7)],
)
async def test_end_when_fault_says_so_then_state_follows_at_once(
    user: User, vcf: Path, fault: str, state: int
) -> None:
    await user.faults(**{fault: True})
    job_id = await user.submit(vcf)
    await user.wait_until(job_id, lambda j: j["state"] == state)


async def test_end_when_job_vanishes_then_404_and_still_counted(user: User, vcf: Path) -> None:
    await user.faults(vanish_at_end=True)
    job_id = await user.submit(vcf)
    async with asyncio.timeout(5):
        while (await user.get(f"/api/v2/jobs/{job_id}"))[0] != 404:
            await asyncio.sleep(0.01)
    assert (await user.stats())["jobs_by_name"] == {"fi-1": 1}


@pytest.mark.parametrize("state", [-1, *range(1, 10)])
async def test_state_when_forced_then_shown(user: User, vcf: Path, state: int) -> None:
    job = await user.finish(await user.submit(vcf))
    await force(user, job["id"], state)
    now = await user.job(job["id"])
    assert now["state"] == state
    assert (now["deletedOn"] > 0) == (state in {8, 9})
    assert State(state)
