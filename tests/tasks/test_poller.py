"""The polling scheduler: every account is looked at in time, by one process, whatever happens to the others."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from app.adapters.base import ServiceUnavailable
from app.core.remote import RemoteState
from app.tasks import poller as module
from app.tasks.poller import Poller
from app.usecases.engine.polling import look
from app.usecases.engine.wakeup import credential_replaced
from tests.engine.stage import Stage, make_person
from tests.engine.test_accounts import store
from tests.support.deps import RecordingQueue
from tests.support.people import Person
from tests.tasks.loops import beside, until

COUNTS = (
    "select poll_owner, count(*) as n from service_accounts where poll_owner is not null group by 1"
)


def make_poller(stage: Stage, owner: str = "first", **settings: Any) -> Poller:
    changed = replace(stage.deps.settings, **settings)
    return Poller(stage.process(owner, settings=changed, enqueue=RecordingQueue()))


async def looks(stage: Stage, more: int = 1) -> None:
    """Wait for some more looks."""
    wanted = stage.service.calls["status_many"] + more

    async def happened() -> bool:
        return stage.service.calls["status_many"] >= wanted

    await until(happened)


async def owners(stage: Stage) -> dict[str, int]:
    return {row["poll_owner"]: row["n"] for row in await stage.deps.pool.fetch(COUNTS)}


async def sent(stage: Stage, person: Person, **service: Any) -> Any:
    job = await stage.submit(person, await stage.desk(person, **service))
    await stage.step()
    return job


async def test_account_when_its_jobs_have_ended_then_is_released_and_forgotten(
    stage: Stage, dora: Person
) -> None:
    job = await sent(stage, dora)
    poller = make_poller(stage)
    async with beside(poller.run()):
        await looks(stage, 3)
        assert await owners(stage) == {"first": 1}
        stage.service.finish()

        async def released() -> bool:
            return not await owners(stage) and not poller._watched

        await until(released)
    assert (await stage.job(job.id)).next_action == "collect"
    assert poller._heap == []


async def test_account_when_a_job_is_added_then_it_is_looked_at_with_the_others(
    stage: Stage, dora: Person
) -> None:
    first = await sent(stage, dora)
    desk_job = await stage.job(first.id)
    async with beside(make_poller(stage).run()):
        await looks(stage)
        await stage.deps.pool.execute(
            "insert into imputation_jobs select (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(),"
            " 'remote_name', 'another', 'external_job_id', 'job-9'))).* from imputation_jobs j where id = $1",
            desk_job.id,
        )
        calls = stage.service.calls["status"]

        async def seen() -> bool:
            return stage.service.calls["status"] > calls

        await until(seen)


async def test_wakeup_when_it_comes_during_a_look_then_is_not_lost(
    stage: Stage, dora: Person
) -> None:
    job = await stage.submit(dora, desk := await stage.desk(dora))
    await stage.step()
    stage.service.tokens.clear()

    async def replaced() -> None:
        await store(stage, dora, desk)
        await asyncio.sleep(
            0.1
        )  # several rounds of the poller, which notices while the look goes on
        stage.service.tokens.clear()

    stage.service.meanwhile["status_many"] = replaced
    async with beside(make_poller(stage).run()):
        await looks(stage)

        async def asked_again() -> bool:
            return stage.service.calls["status_many"] >= 2

        await until(asked_again)
    assert (await stage.job(job.id)).external_job_id is not None


async def test_wakeup_when_its_transaction_takes_long_then_is_not_lost(
    stage: Stage, dora: Person
) -> None:
    job = await stage.submit(dora, desk := await stage.desk(dora))
    await stage.step()
    stage.service.tokens.clear()
    async with beside(make_poller(stage).run()):

        async def held() -> bool:
            return (await stage.job(job.id)).stage == "credential_needed"

        await until(held)
        stage.service.tokens["a-token-of-the-user"] = "researcher"
        async with stage.deps.pool.acquire() as conn, conn.transaction():
            await credential_replaced(conn, desk.service.id, dora.id)
            await asyncio.sleep(0.15)
        await looks(stage)

        async def goes_on() -> bool:
            return (await stage.job(job.id)).stage == "remote_queue"

        await until(goes_on)


async def test_leases_when_two_processes_poll_then_each_account_has_one_and_the_dead_ones_are_taken_over(
    stage: Stage, dora: Person
) -> None:
    people = [dora, *[await make_person(stage, f"user{number}") for number in range(5)]]
    desk = await stage.desk(dora)
    for person in people[1:]:
        await store(stage, person, desk, token=f"token-of-{person.user.username}")
    for person in people:
        await stage.submit(person, desk)
    await stage.step()
    await stage.step()
    assert len(stage.service.jobs) == 6
    first, second = (make_poller(stage, name, lease_s=0.4) for name in ("one", "two"))
    async with beside(second.run()):
        async with beside(first.run()):
            await looks(stage, 12)
            shares = await owners(stage)
            assert sum(shares.values()) == 6
            await asyncio.sleep(0.5)  # longer than a lease: they are renewed
            assert await owners(stage) == shares

        async def taken_over() -> bool:
            return await owners(stage) == {"two": 6}

        await until(taken_over)


async def test_lease_when_it_was_lost_then_the_account_is_dropped(
    stage: Stage, dora: Person
) -> None:
    await sent(stage, dora)
    poller = make_poller(stage, lease_s=0.3)
    async with beside(poller.run()):
        await looks(stage)
        await stage.deps.pool.execute(
            "update service_accounts set poll_owner = 'thief', poll_lease_until = now() + interval '1 hour'"
        )

        async def dropped() -> bool:
            return not poller._watched

        await until(dropped)
        calls = stage.service.calls["status_many"]
        await asyncio.sleep(0.2)
        assert stage.service.calls["status_many"] == calls


async def test_service_when_it_hangs_then_the_looks_at_others_go_on(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS_PER_SERVICE", 1)
    eric = await make_person(stage, "eric")
    stuck = await stage.desk(dora)
    await store(stage, eric, stuck, token="token-of-eric")
    for person in (dora, eric):
        await stage.submit(person, stuck)
    await stage.step()
    hangs = asyncio.Event()
    stage.service.meanwhile["status_many"] = hangs.wait
    async with beside(make_poller(stage).run()):
        await looks(stage)
        await asyncio.sleep(0.1)
        assert stage.service.calls["status_many"] == 1, "the other account of it waits"
        await sent(stage, dora)  # at another service
        await looks(stage, 3)
        hangs.set()


async def test_look_when_it_fails_again_and_again_then_is_made_less_often(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sent(stage, dora)
    calls: Counter[str] = Counter()

    async def breaks(*_arguments: object) -> None:
        calls["look"] += 1
        raise ZeroDivisionError

    monkeypatch.setattr(module, "look", breaks)
    async with beside(make_poller(stage, retry_max_s=60.0).run()):
        await asyncio.sleep(0.9)
    assert 2 <= calls["look"] <= 6, "0.05 s, 0.1 s, 0.2 s, 0.4 s …"


async def test_poller_when_the_database_goes_away_for_a_moment_then_goes_on(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await sent(stage, dora)

    async def away(*_arguments: object) -> None:
        monkeypatch.setattr(module, "look", look)
        raise asyncpg.ConnectionDoesNotExistError

    monkeypatch.setattr(module, "look", away)
    stage.service.errors["status_many"] = [ServiceUnavailable("502")] * 2
    async with beside(make_poller(stage).run()):
        stage.service.jobs[0].state = RemoteState.RUNNING

        async def seen() -> bool:
            return (await stage.job(job.id)).stage == "remote_running"

        await until(seen)


async def test_account_when_nobody_looked_for_long_then_a_missing_job_is_not_lost_for_that(
    stage: Stage, dora: Person
) -> None:
    """The service did not know the job before we went down, nor when we came back an hour later."""
    job = await sent(stage, dora)
    stage.service.jobs[0].state = RemoteState.MISSING
    async with beside(make_poller(stage).run()):
        await looks(stage, 2)
    assert (await stage.job(job.id)).missing_since is not None
    await stage.deps.pool.execute(
        "update imputation_jobs set missing_since = missing_since - interval '1 hour'"
    )
    await stage.deps.pool.execute("update service_accounts set poll_lease_until = null")
    async with beside(make_poller(stage, "second").run()):
        await looks(stage, 2)
    seen = await stage.job(job.id)
    assert not seen.is_final
    assert seen.missing_since is not None
