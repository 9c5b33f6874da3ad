"""Stopping a job, at its edges: nothing is sent that nobody wants, what is there is stopped, and every way has an end."""

import asyncio
from dataclasses import replace

import pytest

from app.adapters.base import DoubtfulSubmission, ServiceUnavailable
from app.core.errors import Conflict
from app.core.remote import RemoteState
from app.usecases.deps import Actor
from app.usecases.engine.cancellation import request_cancel
from app.usecases.own_credentials import delete_credential
from tests.engine.fake_service import FakeJob
from tests.engine.stage import Stage
from tests.support.deps import RecordingQueue
from tests.support.jobs import Desk
from tests.support.people import Person


@pytest.fixture
async def desk(stage: Stage, dora: Person) -> Desk:
    return await stage.desk(dora)


async def test_cancel_when_the_job_was_just_taken_in_hand_then_nothing_is_sent(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    stage.service.meanwhile["verify_credential"] = lambda: request_cancel(stage.deps, job.id)
    await stage.step()
    assert (await stage.job(job.id)).status == "cancelled"
    assert stage.service.calls["submit"] == 0


async def test_cancel_when_asked_for_again_and_again_then_is_told_once_and_hurries_nothing(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    stage.service.errors["submit"] = [DoubtfulSubmission("reset")]
    await stage.step()
    for _ in range(4):
        await request_cancel(stage.deps, job.id)
        await stage.step()
    assert stage.service.calls["find_by_name"] == 1, "the request may still be under way"
    told = await stage.told(job.id)
    assert told.count("Job cancellation initiated") == 1
    stage.service.jobs.append(FakeJob("late", job.remote_name, "researcher", stage.clock()))
    for _ in range(3):
        stage.clock.move(seconds=61)
        await stage.step()
    assert (await stage.job(job.id)).status == "cancelled"
    assert stage.service.get("late").state is RemoteState.CANCELLED
    with pytest.raises(Conflict):
        await request_cancel(stage.deps, job.id)


async def test_cancel_when_one_search_had_already_failed_then_two_more_are_made(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    stage.service.errors["submit"] = [DoubtfulSubmission("reset")]
    await stage.step()
    stage.clock.move(seconds=61)
    await stage.step()
    assert (await stage.job(job.id)).searches == 1
    await request_cancel(stage.deps, job.id)
    await stage.step()
    assert (await stage.job(job.id)).completed_at is None


@pytest.mark.parametrize("state", [RemoteState.GONE, RemoteState.DEAD, RemoteState.SUCCEEDED])
async def test_cancel_when_the_remote_no_longer_runs_the_job_then_it_ends_at_once(
    stage: Stage, dora: Person, desk: Desk, state: RemoteState
) -> None:
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.jobs[0].state = state
    if state is RemoteState.GONE:
        stage.service.jobs.clear()  # cancelling it is answered with 404
    await request_cancel(stage.deps, job.id)
    await stage.step()
    assert (await stage.job(job.id)).status == "cancelled"


async def test_cancel_when_the_remote_takes_its_time_then_is_asked_less_and_less_often(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    await stage.step()
    remote = stage.service.jobs[0]

    async def go_on() -> None:
        remote.state = RemoteState.RUNNING

    await request_cancel(stage.deps, job.id)
    for _ in range(360):
        stage.service.meanwhile["status"] = go_on
        await stage.step()
        stage.clock.move(seconds=10)
    assert 20 < stage.service.calls["cancel"] < 50
    stage.service.meanwhile.clear()
    assert (await stage.until_end(job.id)).status == "cancelled"


@pytest.mark.parametrize("trouble", ["no credential", "unreachable"])
async def test_cancel_when_the_remote_can_never_be_asked_then_ends_after_a_week_and_says_so(
    stage: Stage, dora: Person, desk: Desk, trouble: str
) -> None:
    job = await stage.submit(dora, desk)
    await stage.step()
    if trouble == "unreachable":
        stage.service.down = ServiceUnavailable("no such host")
    else:
        credential = await stage.deps.pool.fetchval("select id from user_service_credentials")
        await delete_credential(stage.deps, Actor(dora.user), credential)
    await request_cancel(stage.deps, job.id)
    for _ in range(13):
        await stage.step()
        held = await stage.job(job.id)
        assert (held.stage, held.completed_at) == ("cancelling", None)
        assert held.hold_reason
        stage.clock.move(hours=12)
    for _ in range(3):
        stage.clock.move(hours=12)
        await stage.step()
    assert (await stage.job(job.id)).status == "cancelled"
    assert "here only" in (await stage.told(job.id))[-1]
    assert len(await stage.told(job.id)) < 8


async def test_cancel_when_an_upload_is_under_way_then_it_is_broken_off_within_a_lease(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    begun = asyncio.Event()

    async def upload_for_hours() -> None:
        begun.set()
        await asyncio.sleep(3600)

    stage.service.meanwhile["submit"] = upload_for_hours
    sender = asyncio.create_task(stage.step(stage.process("sender", **brief(stage, 0.3))))
    await begun.wait()
    await request_cancel(stage.deps, job.id)
    async with asyncio.timeout(5):
        await sender
    assert (await stage.until_end(job.id)).status == "cancelled"
    assert stage.service.jobs == []


def brief(stage: Stage, lease_s: float) -> dict[str, object]:
    """Give a process short leases, and a queue of its own."""
    settings = replace(stage.deps.settings, lease_s=lease_s)
    return {"settings": settings, "enqueue": RecordingQueue()}
