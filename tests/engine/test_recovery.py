"""After a lost answer: several remote jobs of one name, searches that cannot be made, and processes that share the work."""

import asyncio
from collections import Counter
from uuid import UUID

import pytest

from app.adapters.base import AdapterError, DoubtfulSubmission, Rejected, ServiceUnavailable
from app.core.remote import RemoteState
from tests.engine.fake_service import FakeJob
from tests.engine.stage import Stage, make_person
from tests.support.deps import RecordingQueue
from tests.support.people import Person


async def doubtful(stage: Stage, person: Person) -> tuple[str, UUID]:
    """Submit a job whose answer is lost; give its remote name and id, when the first search is due."""
    desk = await stage.desk(person)
    job = await stage.submit(person, desk)
    stage.service.errors["submit"] = [DoubtfulSubmission("reset")]
    await stage.step()
    stage.clock.move(seconds=61)
    return job.remote_name, job.id


async def test_search_when_several_carry_the_name_then_adopts_the_newest_stops_the_others_and_says_so(
    stage: Stage, dora: Person
) -> None:
    name, job_id = await doubtful(stage, dora)
    for number, state in enumerate(
        [RemoteState.FAILED, RemoteState.RUNNING, RemoteState.WAITING, RemoteState.WAITING]
    ):
        made = FakeJob(f"twin-{number}", name, "researcher", stage.clock(), state)
        stage.service.jobs.append(made)
    await stage.step()
    job = await stage.job(job_id)
    assert job.external_job_id == "twin-3"
    states = [item.state for item in stage.service.jobs]
    assert states == [
        RemoteState.FAILED,
        RemoteState.CANCELLED,
        RemoteState.CANCELLED,
        RemoteState.WAITING,
    ]
    assert any("3 times" in message for message in await stage.told(job.id))


@pytest.mark.parametrize("error", [ServiceUnavailable("away"), Rejected("no list here")])
async def test_search_when_it_cannot_be_made_then_nothing_is_sent_however_long_that_lasts(
    stage: Stage, dora: Person, error: AdapterError
) -> None:
    _, job_id = await doubtful(stage, dora)
    stage.service.errors["find_by_name"] = [error] * 20
    for _ in range(15):
        await stage.step()
        stage.clock.move(minutes=20)
    assert stage.service.calls["submit"] == 1
    assert (await stage.job(job_id)).completed_at is None


async def test_jobs_when_two_processes_share_a_database_then_each_is_sent_once_and_all_is_told_once(
    stage: Stage, dora: Person
) -> None:
    people = [dora, *[await make_person(stage, name) for name in ("eric", "fay")]]
    desk = await stage.desk(dora, credential_kind="none", max_remote_jobs=4)
    jobs = [await stage.submit(person, desk, shared=True) for person in people for _ in range(4)]
    processes = [stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two")]
    for _ in range(40):
        await asyncio.gather(*(stage.step(process) for process in processes))
        if len(stage.service.jobs) % 2:
            stage.service.finish([RemoteState.WAITING])
        else:
            stage.service.finish()
        await asyncio.gather(*(stage.look(process) for process in processes))
        stage.clock.move(seconds=10)
    ended = [await stage.job(job.id) for job in jobs]
    assert Counter(job.status for job in ended) == {"completed": len(jobs)}
    assert set(Counter(item.name for item in stage.service.jobs).values()) == {1}
    assert set(stage.service.downloads.values()) == {1}
    for job in jobs:
        told = await stage.told(job.id)
        assert len(told) == len(set(told)), told
        assert set((await stage.notices(job.id)).values()) == {1}


async def test_search_when_the_service_never_answers_clearly_and_never_has_the_job_then_fails_with_its_last_words(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.errors["submit"] = [
        DoubtfulSubmission(f"400 <html> number {number}") for number in range(9)
    ]
    job = await stage.submit(dora, desk)
    ended = await stage.until_end(job.id)
    assert (ended.status, ended.error_code) == ("failed", "submission_unclear")
    assert stage.service.calls["submit"] == 3
    assert stage.service.calls["find_by_name"] == 6, "searched twice after each"
    assert "number 2" in (ended.error_message or "")
    assert "Press retry" in (ended.error_action or "")
    assert (await stage.notices(job.id))["job_failed"] == 1


async def test_search_when_only_some_answers_are_unclear_then_outages_between_do_not_count(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    doubt, away = DoubtfulSubmission("reset"), ServiceUnavailable("away")
    stage.service.errors["submit"] = [doubt, *[away] * 6, doubt, away]
    job = await stage.submit(dora, desk)
    ended = await stage.until_end(job.id)
    assert ended.status == "completed"
    assert len(stage.service.jobs) == 1
