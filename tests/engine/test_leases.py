"""What is in hand: a step that lost its lease does no harm, and a cancellation from outside stays one."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

import app.usecases.engine.clock as module
from app.core.changes import Change
from app.core.jobs import unchanged
from app.usecases.deps import utc_now
from app.usecases.engine.changes import apply
from app.usecases.engine.clock import DatabaseClock
from app.usecases.engine.leases import (
    Lease,
    LeaseLost,
    account_lease,
    guarded_step,
    step_lease,
)
from app.usecases.engine.submission import submit_next
from tests.engine.stage import Stage
from tests.support.deps import RecordingQueue
from tests.support.people import Person

TAKE = "update imputation_jobs set lease_owner = $1, step_number = step_number + 1 where id = $2"
TAKE_ACCOUNT = "update service_accounts set submit_owner = 'thief', submit_epoch = submit_epoch + 1"


def brief(stage: Stage, owner: str = "first") -> Stage:
    """Give the stage of a process with short leases."""
    settings = replace(stage.deps.settings, lease_s=0.15)
    return replace(stage, deps=stage.process(owner, settings=settings, enqueue=RecordingQueue()))


async def test_step_when_its_lease_is_taken_then_is_cancelled_and_writes_nothing(
    stage: Stage, dora: Person
) -> None:
    stage = brief(stage)
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.deps.pool.execute(TAKE, "thief", job.id)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(5), step_lease(stage.deps, job):
            await asyncio.sleep(5)
    late = Change(unchanged(job.status), "too late")
    assert await apply(stage.deps, job, late) is None
    assert "too late" not in await stage.told(job.id)


async def test_step_when_both_its_leases_are_lost_at_once_then_ends_once_and_its_account_too(
    stage: Stage, dora: Person
) -> None:
    stage = brief(stage)
    desk = await stage.desk(dora)
    jobs = [await stage.submit(dora, desk) for _ in range(2)]

    async def suspended() -> None:
        await stage.deps.pool.execute(TAKE, "thief", jobs[0].id)
        await stage.deps.pool.execute(TAKE_ACCOUNT)
        await asyncio.sleep(5)

    stage.service.meanwhile["verify_credential"] = suspended
    async with asyncio.timeout(4):
        await submit_next(stage.deps, jobs[0].account_id)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert stage.service.calls["verify_credential"] == 1, "the next job is somebody else's to send"


async def test_step_when_cancelled_from_outside_while_its_lease_is_lost_then_stays_cancelled(
    stage: Stage, dora: Person
) -> None:
    stage = brief(stage)
    job = await stage.submit(dora, await stage.desk(dora))

    async def work() -> None:
        async with guarded_step(stage.deps, job) as lease:
            lease.ended_by = LeaseLost
            current = asyncio.current_task()
            assert current is not None
            current.cancel("lease")
            current.cancel("from outside")
            await asyncio.sleep(5)

    with pytest.raises(asyncio.CancelledError):
        await work()


async def test_step_when_it_ends_as_its_lease_does_then_no_cancellation_is_left_behind(
    stage: Stage, dora: Person
) -> None:
    job = await stage.submit(dora, await stage.desk(dora))
    async with guarded_step(stage.deps, job) as lease:
        lease.ended_by = LeaseLost
        task = asyncio.current_task()
        assert task is not None
        task.cancel("lease")
    await asyncio.sleep(0)
    assert task.cancelling() == 0


async def test_lease_when_the_process_was_suspended_then_is_over_before_the_database_is_asked() -> (
    None
):
    async def extend() -> None:
        raise AssertionError("too late to ask")

    lease = Lease(0.0, extend)
    await asyncio.sleep(0.01)
    with pytest.raises(LeaseLost):
        lease.check()
    step = asyncio.create_task(asyncio.sleep(5))
    await lease.keep(step)
    await asyncio.wait({step})
    assert step.cancelled()
    assert lease.ended_by is LeaseLost


async def test_upload_when_the_process_was_suspended_in_the_middle_then_is_broken_off(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)

    async def suspended() -> None:
        monkeypatch.setattr(Lease, "check", over)

    def over(_lease: Lease) -> None:
        raise LeaseLost

    stage.service.meanwhile["submit"] = suspended
    await stage.step()
    assert stage.service.jobs == [], "the body was not sent to its end"
    monkeypatch.undo()
    assert (await stage.until_end(job.id)).status == "completed"
    assert len(stage.service.jobs) == 1


async def test_lease_when_the_database_is_away_then_is_kept_until_shortly_before_its_end() -> None:
    calls = 0

    async def extend() -> None:
        nonlocal calls
        calls += 1
        raise asyncpg.CannotConnectNowError

    lease = Lease(0.3, extend)
    task = asyncio.create_task(asyncio.sleep(5))
    await lease.keep(task)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls == 2
    assert lease.ended_by is LeaseLost


async def test_account_lease_when_taken_then_ends_the_run(stage: Stage, dora: Person) -> None:
    stage = brief(stage)
    job = await stage.submit(dora, await stage.desk(dora))
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(5), account_lease(stage.deps, job.account_id, 99):
            await asyncio.sleep(5)


async def test_clock_when_this_machine_is_late_then_leases_are_compared_by_the_databases(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "utc_now", lambda: utc_now() - timedelta(minutes=5))
    clock = DatabaseClock()
    assert utc_now() - clock() > timedelta(minutes=4)
    await clock.read(pool)
    there = await pool.fetchval("select clock_timestamp()")
    assert abs(clock() - there) < timedelta(seconds=1)
