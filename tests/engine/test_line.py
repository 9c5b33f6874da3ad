"""The local queue: who gets a slot, what the others are told, and that nothing spins meanwhile."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.adapters.base import ServiceUnavailable
from app.core.remote import RemoteState
from app.usecases.engine import line
from app.usecases.engine.submission import submit_next
from tests.engine.stage import Stage, make_person
from tests.support.people import Person


async def order_of(stage: Stage, jobs: dict[UUID, str], *, rounds: int = 30) -> list[str]:
    """Give the order in which jobs are sent while the service ends one after the other."""
    sent: list[str] = []
    for _ in range(rounds):
        await stage.step()
        names = {(await stage.job(job_id)).remote_name: name for job_id, name in jobs.items()}
        sent = [names[item.name] for item in stage.service.jobs]
        if len(sent) == len(jobs):
            return sent
        stage.service.finish()
        await stage.look()
        stage.clock.move(seconds=1)
    raise AssertionError(sent)


async def test_slots_when_users_share_an_account_then_they_take_turns_whoever_came_first(
    stage: Stage, dora: Person
) -> None:
    eric = await make_person(stage, "eric")
    desk = await stage.desk(dora, credential_kind="none", max_remote_jobs=1)
    jobs: dict[UUID, str] = {}
    for number in range(4):
        jobs[(await stage.submit(dora, desk, shared=True)).id] = f"dora {number}"
    for number in range(2):
        jobs[(await stage.submit(eric, desk, shared=True)).id] = f"eric {number}"
    assert await order_of(stage, jobs) == [
        "dora 0",
        "eric 0",
        "dora 1",
        "eric 1",
        "dora 2",
        "dora 3",
    ]


async def test_positions_when_users_share_an_account_then_tell_the_order_in_which_slots_are_given(
    stage: Stage, dora: Person
) -> None:
    eric = await make_person(stage, "eric")
    desk = await stage.desk(dora, credential_kind="none", max_remote_jobs=1)
    jobs: dict[UUID, str] = {}
    for person in (dora, dora, dora, eric, eric):
        made = await stage.submit(person, desk, shared=True)
        jobs[made.id] = f"{person.user.username} {len(jobs)}"
    await stage.step()
    waiting = [job_id for job_id in jobs if (await stage.job(job_id)).external_job_id is None]
    places = {jobs[job_id]: (await stage.job(job_id)).queue_position for job_id in waiting}
    foretold = sorted(places, key=lambda name: places[name] or 0)
    assert sorted(places.values(), key=str) == [0, 1, 2, 3]
    assert await order_of(stage, jobs) == ["dora 0", *foretold]


async def test_slots_when_a_job_has_priority_then_it_comes_first(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, max_remote_jobs=1)
    jobs = {(await stage.submit(dora, desk)).id: f"ordinary {number}" for number in range(2)}
    jobs[(await stage.submit(dora, desk, priority=5)).id] = "urgent"
    assert await order_of(stage, jobs) == ["urgent", "ordinary 0", "ordinary 1"]


async def test_line_when_longer_than_is_told_at_a_time_then_all_are_told_and_nothing_spins(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "MAX_IN_LINE", 3)
    desk = await stage.desk(dora, max_remote_jobs=1)
    jobs = [await stage.submit(dora, desk) for _ in range(9)]
    rounds = 0
    while await stage.step():
        rounds += 1
        assert rounds < 5, "the same rows are handed over again and again"
    waiting = [await stage.job(job.id) for job in jobs][1:]
    assert [job.stage for job in waiting] == ["waiting_for_slot"] * 8
    assert [job.queue_position for job in waiting] == list(range(8))


async def test_line_when_a_slot_is_freed_then_the_next_goes_at_once_and_the_others_move_up_silently(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, max_remote_jobs=1)
    jobs = [await stage.submit(dora, desk) for _ in range(3)]
    await stage.step()
    told = await stage.told(jobs[2].id)
    stage.service.finish()
    await stage.look()
    await stage.step()
    assert (await stage.job(jobs[1].id)).external_job_id is not None
    last = await stage.job(jobs[2].id)
    assert last.queue_position == 0
    assert await stage.told(jobs[2].id) == told


async def test_line_when_the_service_itself_is_full_then_one_job_asks_for_all(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.quota = 0
    jobs = [await stage.submit(dora, desk) for _ in range(4)]
    await stage.step()
    assert stage.service.calls["submit"] == 1
    assert {(await stage.job(job.id)).stage for job in jobs} == {"waiting_for_slot"}
    assert await stage.step() == 0
    stage.service.quota = None
    stage.clock.move(seconds=60)
    await stage.step()
    assert len(stage.service.jobs) == 4


async def test_slot_when_its_job_is_dead_at_the_remote_then_others_may_have_it(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, max_remote_jobs=1)
    stage.service.restarts = False
    dead, other = [await stage.submit(dora, desk) for _ in range(2)]
    await stage.step()
    stage.service.jobs[0].state = RemoteState.DEAD
    await stage.look()
    await stage.step()
    assert (await stage.job(dead.id)).stage == "remote_dead"
    assert (await stage.job(other.id)).external_job_id is not None


async def test_step_when_it_breaks_by_a_bug_then_backs_off_and_gives_its_slot_to_the_others(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, max_remote_jobs=1)
    broken, other = [await stage.submit(dora, desk) for _ in range(2)]

    async def bug() -> None:
        raise ZeroDivisionError

    stage.service.meanwhile["verify_credential"] = bug
    await stage.step()
    held = await stage.job(broken.id)
    assert held.failures == 1
    assert held.next_action_at is not None
    assert held.next_action_at > stage.clock()
    assert "on this platform" in (held.hold_reason or "")
    assert (await stage.job(other.id)).external_job_id is not None
    assert await stage.step() == 0
    assert (await stage.until_end(broken.id)).status == "completed"


async def test_account_when_a_job_of_it_is_in_hand_elsewhere_then_it_is_not_handed_over_all_the_time(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await stage.submit(dora, desk)
    await stage.deps.pool.execute(
        "update imputation_jobs set lease_owner = 'dead', lease_until = $1",
        stage.clock() + timedelta(seconds=30),
    )
    assert await stage.step() == 0
    stage.clock.move(seconds=31)
    assert await stage.step() == 1


async def test_services_when_one_hangs_with_many_accounts_then_takes_no_more_steps_than_it_may(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    limit = stage.deps.settings.service_max_steps
    await stage.deps.pool.execute(
        "insert into users (username, password_hash) select 'user' || n, '' from generate_series(1, $1::int) n",
        limit,
    )
    await stage.deps.pool.execute(
        "insert into service_accounts (service_id, user_id, submit_owner, submit_lease_until)"
        " select $1, id, 'elsewhere', now() + interval '1 hour' from users where username like 'user%'",
        desk.service.id,
    )
    job = await stage.submit(dora, desk)
    assert await stage.step() == 0
    assert await submit_next(stage.deps, job.account_id) == 0, "not by another way either"
    await stage.deps.pool.execute(
        "update service_accounts set submit_lease_until = null where submit_owner = 'elsewhere'"
    )
    assert await stage.step() == 1
    assert (await stage.job(job.id)).external_job_id is not None


async def test_outage_when_it_lasts_then_the_wait_grows_and_is_told_once(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.down = ServiceUnavailable("away")
    job = await stage.submit(dora, desk)
    waits = []
    for _ in range(8):
        await stage.step()
        held = await stage.job(job.id)
        assert held.next_action_at is not None
        waits.append((held.next_action_at - stage.clock()).total_seconds())
        stage.clock.move(seconds=waits[-1] + 1)
    assert waits[-1] > 10 * waits[0]
    assert sum("not available" in message for message in await stage.told(job.id)) == 1
