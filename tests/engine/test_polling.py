"""Following: an outage is not a failure, and what the remote says becomes the right status."""

import asyncio
from pathlib import Path

from app.sandbox import keys
from app.sandbox.jobs.model import State
from tests.support.world import World


async def test_job_when_the_service_goes_down_while_it_runs_then_stays_running_and_completes(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(run_s=30)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "remote_running")
    sandbox.set_faults(answer="html_502", run_s=30)
    told = await world.alice.until(job["id"], lambda now: now["hold_reason"] is not None)
    assert told["status"] == "running"
    await asyncio.sleep(0.6)
    updates = [item["message"] for item in await world.alice.updates(job["id"])]
    assert sum("does not answer" in message for message in updates) == 1, updates
    sandbox.set_faults()
    await sandbox.app[keys.JOBS].force(sandbox.jobs()[0], State.CANCELED)
    await world.alice.until_end(job["id"], "cancelled")


async def test_job_when_the_token_is_revoked_while_it_runs_then_is_held_until_replaced(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(run_s=0.7)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "remote_running")
    fresh = sandbox.new_token()
    held = await world.alice.until_stage(job["id"], "credential_needed")
    assert held["status"] == "running"
    notices = await world.alice.call("GET", "/notifications")
    assert [item["type"] for item in notices].count("credential_needed") == 1
    await world.alice.store_token(ids[0], fresh)
    await world.alice.until_end(job["id"], "completed")


async def test_job_when_the_remote_server_restarted_under_it_then_is_started_again_there(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(job_dies=True)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "remote_dead")
    sandbox.set_faults()
    await world.alice.until_end(job["id"], "completed")
    assert len(sandbox.jobs()) == 1


async def test_job_when_the_results_are_gone_then_fails_and_says_so(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    for fault in ({"retire_at_once": True}, {"vanish_at_end": True}):
        sandbox.set_faults(**fault)
        job = await world.alice.submit(*ids, tiny)
        failed = await world.alice.until_end(job["id"], "failed")
        assert "no longer has" in failed["error_message"]


async def test_job_when_the_remote_fails_it_then_gives_the_reason_the_way_out_and_the_reports(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(job_error="strand_flips")
    job = await world.alice.submit(*ids, tiny)
    failed = await world.alice.until_end(job["id"], "failed")
    assert "strand flips" in failed["error_message"].lower()
    assert "<" not in failed["error_message"]
    files = await world.alice.call("GET", f"/jobs/{job['id']}/files")
    names = {item["name"] for item in files}
    assert {"qc_report.txt", "quality-control.html"} <= names
    notices = await world.alice.call("GET", "/notifications")
    told = next(item for item in notices if item["type"] == "job_failed")
    assert "strand" in told["message"].lower()
    assert told["data"]["action_url"].startswith("http://platform.test/")


async def test_job_when_states_eight_and_nine_come_then_they_are_success_and_failure(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(notify_at_once=True)
    good = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(good["id"], "completed")
    sandbox.set_faults(notify_at_once=True, job_error="no_chunks")
    bad = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(bad["id"], "failed")


async def test_job_when_it_waits_beyond_the_limit_then_its_owner_is_asked_once_and_it_goes_on(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox, wait_limit_s=0.5)
    sandbox.set_faults(wait_s=60)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "waiting_too_long")
    await asyncio.sleep(0.7)  # one more round of the upkeep
    held = await world.alice.job(job["id"])
    assert held["status"] == "queued"
    notices = await world.alice.call("GET", "/notifications")
    assert [item["type"] for item in notices].count("job_waiting_too_long") == 1
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
    await world.alice.until_end(job["id"], "cancelled")
