"""Looking at remote jobs, at the edges: two who look at once, servers that restart, outages, jobs that wait for long."""

import asyncio
import itertools
from datetime import timedelta

from app.adapters.base import ServiceUnavailable
from app.core.changes import WAITS_LONG
from app.core.remote import RemoteState
from app.usecases.engine.polling import MAX_RESTARTS, look
from app.usecases.engine.upkeep import ask_overdue
from tests.engine.stage import Stage
from tests.support.deps import RecordingQueue
from tests.support.people import Person


async def test_look_when_two_processes_look_at_once_then_each_change_is_told_once(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    remote = stage.service.jobs[0]
    account = job.account_id
    for number, (state, step) in enumerate(
        [
            (RemoteState.WAITING, None),
            (RemoteState.RUNNING, "Quality Control"),
            (RemoteState.RUNNING, "Phasing"),
            (RemoteState.RUNNING, "Imputation"),
            (RemoteState.SUCCEEDED, None),
        ]
    ):
        remote.state, remote.step, remote.position = state, step, 7
        remote.progress = number / 10
        both = asyncio.Barrier(2)
        processes = [stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two")]
        calls = stage.service.calls["status_many"]

        async def meet(barrier: asyncio.Barrier = both) -> None:
            stage.service.meanwhile["status_many"] = barrier.wait
            await barrier.wait()

        stage.service.meanwhile["status_many"] = meet
        await asyncio.gather(*(look(process, account, 0) for process in processes))
        assert stage.service.calls["status_many"] == calls + 2
    told = await stage.told(job.id)
    assert len(told) == len(set(told)), told
    assert await stage.notices(job.id) == {"job_queued": 1, "job_running": 1}


async def test_job_when_its_server_restarts_again_and_again_then_is_started_again_a_few_times_and_a_person_is_asked(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.restarts = False
    stage.service.jobs[0].state = RemoteState.DEAD
    asked: list[int] = []
    for second in range(0, 1800, 10):
        before = stage.service.calls["restart"]
        await stage.look()
        if stage.service.calls["restart"] > before:
            asked.append(second)
        stage.clock.move(seconds=10)
    assert len(asked) == MAX_RESTARTS
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > gaps[0]
    held = await stage.job(job.id)
    assert (held.status, held.stage) == ("queued", "remote_dead")
    assert "ask its operators" in (held.hold_reason or "")
    assert len(await stage.told(job.id)) == 6
    stage.service.jobs[0].state = RemoteState.RUNNING
    await stage.look()
    assert (await stage.job(job.id)).hold_reason is None
    assert (await stage.until_end(job.id)).status == "completed"


async def test_job_when_a_restart_is_accepted_then_goes_on(stage: Stage, dora: Person) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.jobs[0].state = RemoteState.DEAD
    await stage.look()
    await stage.look()
    assert stage.service.calls["restart"] == 1
    assert (await stage.job(job.id)).stage == "remote_queue"


async def test_outage_when_looks_fail_then_is_told_once_and_forgotten_when_it_is_over(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.down = ServiceUnavailable("502")
    for failures in range(6):
        result = await look(stage.deps, job.account_id, failures)
        assert result.failed
        assert ((await stage.job(job.id)).hold_reason is None) == (failures < 2)
    assert sum("does not answer" in message for message in await stage.told(job.id)) == 1
    stage.service.down = None
    await stage.look()
    assert (await stage.job(job.id)).hold_reason is None


async def test_look_when_nothing_changed_then_nothing_is_written(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    await stage.look()
    before = (await stage.job(job.id)).updated_at
    for _ in range(3):
        assert await stage.look() == 0
    assert (await stage.job(job.id)).updated_at == before


async def test_job_when_it_waits_for_long_then_its_owner_is_asked_once_and_better_reasons_stay(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, wait_limit_s=3600.0)
    there = await stage.submit(dora, desk)
    await stage.step()
    stage.service.down = ServiceUnavailable("away")
    here = await stage.submit(dora, desk)
    await stage.step()
    reason = (await stage.job(here.id)).hold_reason
    stage.clock.move(hours=2)
    one, two = (stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two"))
    asked = await asyncio.gather(ask_overdue(one), ask_overdue(two))
    assert sum(asked) >= 2
    assert await ask_overdue(stage.deps) == 0
    for job in (here, there):
        assert (await stage.notices(job.id))["job_waiting_too_long"] == 1
        assert (await stage.told(job.id)).count(WAITS_LONG) == 1
    assert (await stage.job(here.id)).hold_reason == reason
    late = await stage.job(there.id)
    assert (late.stage, late.hold_reason) == ("waiting_too_long", WAITS_LONG)
    stage.service.down = None
    assert await stage.look() == 0
    assert (await stage.until_end(there.id)).status == "completed"


async def test_job_when_it_is_being_cancelled_then_is_not_asked_about(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, wait_limit_s=1.0)
    job = await stage.submit(dora, desk)
    await stage.deps.pool.execute(
        "update imputation_jobs set cancel_requested_at = $2 where id = $1",
        job.id,
        stage.clock() - timedelta(hours=1),
    )
    stage.clock.move(hours=1)
    assert await ask_overdue(stage.deps) == 0
