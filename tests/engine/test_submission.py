"""Submitting: one remote job for each of ours, whatever the remote does with our request."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.support.world import World


async def test_job_when_all_goes_well_then_tells_its_life_in_order(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    job = await world.alice.submit(*ids, tiny)
    assert (job["status"], job["progress_percentage"]) == ("queued", 0)
    done = await world.alice.until_end(job["id"], "completed")
    assert done["progress_percentage"] == 100
    assert done["external_job_id"] == sandbox.jobs()[0].id
    assert done["results_file_id"] is not None
    assert done["started_at"] <= done["completed_at"]
    told = [item["message"] for item in await world.alice.updates(job["id"])]
    order = [
        "Job created",
        "Job queued for processing",
        "Job processing started",
        "Job submitted to external service",
        "Results ready for download",
    ]
    assert [message for message in told if message in order] == order
    notices = await world.alice.call("GET", "/notifications")
    kinds = Counter(notice["type"] for notice in notices)
    assert kinds == {"job_queued": 1, "job_running": 1, "job_completed": 1}


async def test_job_when_the_answer_is_lost_then_is_adopted_and_not_sent_again(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(lose_submit_answer_n=1)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(job["id"], "completed")
    assert len(sandbox.jobs()) == 1
    assert sandbox.stats.uploads == 1


async def test_job_when_the_connection_breaks_before_the_body_is_read_then_is_sent_again_once(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(drop_submit_n=1)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_end(job["id"], "completed")
    assert len(sandbox.jobs()) == 1


async def test_job_when_every_search_fails_too_then_is_never_sent_twice(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(lose_submit_answer_n=1)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "confirming_submission")
    sandbox.set_faults(answer="html_502")
    await asyncio.sleep(0.8)
    assert (await world.alice.job(job["id"]))["completed_at"] is None
    sandbox.set_faults()
    await world.alice.until_end(job["id"], "completed")
    assert len(sandbox.jobs()) == 1


async def test_jobs_when_the_service_allows_one_at_a_time_then_wait_for_their_slot(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox(max_jobs_per_user=1)
    ids = await world.add_service(sandbox, max_remote_jobs=1)
    sandbox.set_faults(wait_s=60)
    jobs = [await world.alice.submit(*ids, tiny, name=f"job {n}") for n in range(3)]
    last = await world.alice.until_stage(jobs[2]["id"], "waiting_for_slot")
    assert last["status"] == "queued"
    assert last["queue_position"] == 1
    sandbox.set_faults()
    for job in jobs:
        await world.alice.until_end(job["id"], "completed")
    assert len(sandbox.jobs()) == 3
    assert sandbox.stats.uploads == 3, "no upload was wasted on a full queue"
    began = [(await world.alice.job(job["id"]))["started_at"] for job in jobs]
    assert began == sorted(began), "first come, first served"


async def test_job_when_other_jobs_fill_the_account_then_waits_and_goes_on(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox(max_jobs_per_user=1)
    ids = await world.add_service(sandbox, max_remote_jobs=1)
    sandbox.set_faults(wait_s=60)
    other = await world.admin.submit(*ids, tiny, name="of the same remote account")
    await world.admin.until(other["id"], lambda now: now["external_job_id"] is not None)
    job = await world.alice.submit(*ids, tiny)
    held = await world.alice.until_stage(job["id"], "waiting_for_slot")
    assert held["error_message"] is None
    sandbox.set_faults()
    await world.admin.until_end(other["id"], "completed")
    await world.alice.until_end(job["id"], "completed")


async def test_job_when_the_quota_answer_comes_after_the_upload_then_is_held_not_failed(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(quota=1, wait_s=60)
    first = await world.alice.submit(*ids, tiny)
    await world.alice.until(first["id"], lambda job: job["external_job_id"] is not None)
    second = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(second["id"], "waiting_for_slot")
    sandbox.set_faults(quota=1)
    await world.alice.until_end(first["id"], "completed")
    await world.alice.until_end(second["id"], "completed")
    assert len(sandbox.jobs()) == 2


async def test_job_when_the_token_is_refused_at_the_first_submission_then_fails_with_the_way_out(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.new_token()
    await world.alice.store_token(ids[0], "h3a_not_a_token_of_this_server")
    job = await world.alice.submit(*ids, tiny)
    failed = await world.alice.until_end(job["id"], "failed")
    assert "authentication failed" in failed["error_message"]
    assert "h3a_not" not in str(failed)
    assert sandbox.stats.uploads == 0
    await world.alice.store_token(ids[0], sandbox.token)
    again = await world.alice.call("POST", f"/jobs/{job['id']}/retry", expect=201)
    assert again["retry_of"] == job["id"]
    await world.alice.until_end(again["id"], "completed")
    assert (await world.alice.job(job["id"]))["status"] == "failed"


async def test_job_when_the_token_is_refused_while_waiting_for_a_slot_then_is_held_until_replaced(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox(max_jobs_per_user=1)
    ids = await world.add_service(sandbox, max_remote_jobs=1)
    sandbox.set_faults(wait_s=60)
    first = await world.alice.submit(*ids, tiny)
    second = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(second["id"], "waiting_for_slot")
    fresh = sandbox.new_token()
    await world.alice.until_stage(first["id"], "credential_needed")
    sandbox.set_faults()
    await world.alice.store_token(ids[0], fresh)
    await world.alice.until_end(first["id"], "completed")
    await world.alice.until_end(second["id"], "completed")
    assert len(sandbox.jobs()) == 2


async def test_job_when_the_service_is_down_at_submission_then_waits_for_it(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    for fault in ({"answer": "html_502"}, {"maintenance": True}, {"answer": "garbage_json"}):
        sandbox.set_faults(**fault)
        job = await world.alice.submit(*ids, tiny)
        held = await world.alice.until_stage(job["id"], "service_unavailable")
        assert held["status"] == "queued"
        assert held["hold_reason"]
        sandbox.set_faults()
        await world.alice.until_end(job["id"], "completed")


async def test_jobs_when_another_service_hangs_then_are_not_delayed(
    world: World, tiny: Path
) -> None:
    slow, quick = await world.sandbox(), await world.sandbox()
    slow_ids, quick_ids = await world.add_service(slow), await world.add_service(quick)
    slow.set_faults(delay_s=60)
    stuck = [await world.alice.submit(*slow_ids, tiny) for _ in range(6)]
    jobs = [await world.alice.submit(*quick_ids, tiny) for _ in range(3)]
    for job in jobs:
        await world.alice.until_end(job["id"], "completed", limit_s=10)
    for job in stuck:
        assert (await world.alice.job(job["id"]))["completed_at"] is None
    slow.set_faults()
