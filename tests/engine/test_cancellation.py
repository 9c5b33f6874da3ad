"""Cancelling: here and there, confirmed, whatever stands in between."""

from pathlib import Path

from tests.support.world import World


async def test_cancel_when_nothing_was_sent_then_ends_without_a_word_to_the_remote(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(answer="html_502")
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "service_unavailable")
    answer = await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
    assert answer == {"message": "Job cancellation initiated", "job_id": job["id"]}
    await world.alice.until_end(job["id"], "cancelled")
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=409)
    assert sandbox.jobs() == []


async def test_cancel_when_the_remote_works_on_it_then_is_stopped_there_too(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    for race in (False, True):
        sandbox.set_faults(run_s=30, cancel_race=race)
        job = await world.alice.submit(*ids, tiny)
        await world.alice.until_stage(job["id"], "remote_running")
        await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
        await world.alice.until_end(job["id"], "cancelled")
        assert int(sandbox.jobs()[-1].state) == 6


async def test_cancel_when_the_remote_is_away_then_the_job_stays_open_until_it_confirms(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(run_s=30)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "remote_running")
    sandbox.set_faults(run_s=30, answer="html_502")
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
    held = await world.alice.until(job["id"], lambda now: bool(now["hold_reason"]))
    assert held["completed_at"] is None
    assert held["stage"] == "cancelling"
    sandbox.set_faults(run_s=30)
    await world.alice.until_end(job["id"], "cancelled")
    assert int(sandbox.jobs()[0].state) == 6


async def test_cancel_when_the_answer_to_the_submission_was_lost_then_finds_the_remote_job_and_stops_it(
    world: World, tiny: Path
) -> None:
    sandbox = await world.sandbox()
    ids = await world.add_service(sandbox)
    sandbox.set_faults(run_s=30, lose_submit_answer_n=1)
    job = await world.alice.submit(*ids, tiny)
    await world.alice.until_stage(job["id"], "confirming_submission")
    await world.alice.call("POST", f"/jobs/{job['id']}/cancel", expect=202)
    await world.alice.until_end(job["id"], "cancelled")
    assert [int(item.state) for item in sandbox.jobs()] == [6]
