"""A service that answers and does not know the job: for a while that means nothing, then the job is lost. An outage never counts."""

from dataclasses import replace

import pytest

from app.adapters.base import CredentialRejected, ServiceUnavailable
from app.core.models import Job
from app.core.remote import RemoteState
from tests.engine.fake_service import LISTS
from tests.engine.stage import Stage
from tests.support.people import Person


@pytest.fixture
async def running(stage: Stage, dora: Person) -> Job:
    stage.service.capabilities = replace(LISTS, lost_after_s=900)
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.step()
    stage.service.jobs[0].state = RemoteState.RUNNING
    await stage.look()
    return await stage.job(job.id)


async def minutes(stage: Stage, count: int, state: RemoteState = RemoteState.MISSING) -> None:
    stage.service.jobs[0].state = state
    for _ in range(count):
        stage.clock.move(minutes=1)
        await stage.look()


async def test_job_when_missing_for_long_then_lost_with_the_way_out_and_told_twice(
    stage: Stage, running: Job
) -> None:
    before = len(await stage.told(running.id))
    await minutes(stage, 5)
    job = await stage.job(running.id)
    assert (job.status, job.stage, job.hold_reason) == ("running", "remote_running", None)
    await minutes(stage, 10)
    job = await stage.job(running.id)
    assert (job.status, job.stage) == ("running", "remote_running")
    assert "does not know the job just now" in (job.hold_reason or "")
    await minutes(stage, 2)
    job = await stage.job(running.id)
    assert (job.status, job.error_code) == ("failed", "lost_at_service")
    assert "retry" in (job.error_action or "")
    assert len(await stage.told(running.id)) == before + 2


async def test_job_when_it_comes_back_then_goes_on_and_the_time_counts_anew(
    stage: Stage, running: Job
) -> None:
    for _ in range(3):
        await minutes(stage, 12)
        await minutes(stage, 1, RemoteState.RUNNING)
        job = await stage.job(running.id)
        assert (job.status, job.hold_reason, job.missing_since) == ("running", None, None)
    assert (await stage.until_end(running.id)).status == "completed"


@pytest.mark.parametrize("error", [ServiceUnavailable("away"), CredentialRejected("expired")])
async def test_job_when_the_service_is_away_meanwhile_then_that_does_not_count(
    stage: Stage, running: Job, error: Exception
) -> None:
    for _ in range(3):
        await minutes(stage, 10)
        stage.service.errors["status_many"] = [error]  # type: ignore[list-item] # both are adapters' errors
        stage.clock.move(hours=3)
        await stage.look()
    await minutes(stage, 10)
    assert (await stage.job(running.id)).completed_at is None


async def test_job_when_the_service_cannot_tell_then_nothing_moves_however_long(
    stage: Stage, running: Job
) -> None:
    told = await stage.told(running.id)
    await minutes(stage, 200, RemoteState.UNKNOWN)
    job = await stage.job(running.id)
    assert (job.status, job.stage) == ("running", "remote_running")
    assert await stage.told(running.id) == told
