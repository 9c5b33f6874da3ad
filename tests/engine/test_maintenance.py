"""Outages and maintenance hold jobs, and every way back lets them go on by themselves."""

import pytest

from app.adapters.base import ServiceUnavailable
from app.core.models import Service, build
from app.usecases.catalogue import change_service
from app.usecases.engine.upkeep import check_service
from app.usecases.service_fields import ServiceChange
from tests.engine.stage import Stage
from tests.support.jobs import Desk
from tests.support.people import Person

HELD = ("queued", "service_unavailable")


async def service_of(stage: Stage, desk: Desk) -> Service:
    row = await stage.deps.pool.fetchrow("select * from services where id = $1", desk.service.id)
    return build(Service, row)


async def look(stage: Stage, desk: Desk) -> str:
    return await check_service(stage.deps, await service_of(stage, desk))


async def maintain(stage: Stage, desk: Desk, *, on: bool, message: str | None = None) -> Service:
    change = ServiceChange(maintenance=on, maintenance_message=message)
    return (await change_service(stage.deps, None, desk.service.id, change)).service


@pytest.mark.parametrize("former", ["down", "maintenance", "unknown", "up"])
async def test_health_when_it_is_up_again_then_held_jobs_go_on_at_once(
    stage: Stage, dora: Person, former: str
) -> None:
    desk = await stage.desk(dora)
    stage.service.down = ServiceUnavailable("away")
    job = await stage.submit(dora, desk)
    await stage.step()
    assert await stage.step() == 0, "it is held, and its turn is later"
    held = await stage.job(job.id)
    assert (held.status, held.stage) == HELD
    failures = 1 if former == "up" else 2
    await stage.deps.pool.execute(
        "update services set health = $1, health_failures = $2", former, failures
    )
    stage.service.down = None
    assert await look(stage, desk) == "up"
    assert await stage.step() == 1
    assert (await stage.job(job.id)).external_job_id is not None


async def test_maintenance_when_switched_on_then_jobs_are_taken_and_held_and_go_on_after_it(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    at_remote = await stage.submit(dora, desk)
    await stage.step()
    shown = await maintain(stage, desk, on=True, message="New disks until noon")
    assert (shown.health, shown.health_message) == ("maintenance", "New disks until noon")
    before = stage.service.calls.total()
    held = await stage.submit(dora, desk)
    for _ in range(4):
        await stage.step()
        stage.service.finish()
        await stage.look()
        assert await look(stage, desk) == "maintenance"
        stage.clock.move(seconds=901)
    assert stage.service.calls.total() == before, "the service is left alone"
    job = await stage.job(held.id)
    assert (job.status, job.stage) == HELD
    assert job.hold_reason is not None
    assert "New disks until noon" in job.hold_reason
    assert not (await stage.job(at_remote.id)).is_final
    states = await stage.deps.pool.fetch("select distinct state from service_health")
    assert [row["state"] for row in states] == ["maintenance"]

    assert (await maintain(stage, desk, on=False)).health == "unknown"
    await stage.step()
    assert (await stage.job(held.id)).external_job_id is not None
    for job_id in (held.id, at_remote.id):
        assert (await stage.until_end(job_id)).status == "completed"


async def test_maintenance_when_a_cancel_is_wanted_then_it_waits_too(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    await maintain(stage, desk, on=True)
    await stage.deps.pool.execute(
        "update imputation_jobs set cancel_requested_at = now(), next_action = 'cancel', next_action_at = now()"
    )
    await stage.step()
    assert stage.service.calls["cancel"] == 0
    assert not (await stage.job(job.id)).is_final


async def test_maintenance_when_the_service_itself_says_so_then_it_is_not_down(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    stage.service.down = ServiceUnavailable("closed on Mondays", maintenance=True)
    for _ in range(3):
        assert await look(stage, desk) == "maintenance"
    assert (await service_of(stage, desk)).health_message == "closed on Mondays"


async def test_look_when_one_fails_then_the_state_stays_and_its_reason_is_shown(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    assert await look(stage, desk) == "up"
    stage.service.down = ServiceUnavailable("reset")
    assert await look(stage, desk) == "up"
    assert (await service_of(stage, desk)).health_message == "reset"
    assert await look(stage, desk) == "down"
    stage.service.down = None
    assert await look(stage, desk) == "up"
    assert (await service_of(stage, desk)).health_message is None
    rows = await stage.deps.pool.fetch("select state from service_health order by id")
    assert [row["state"] for row in rows] == ["up", "unknown", "down", "up"]


async def test_look_when_the_service_was_moved_meanwhile_then_is_not_noted(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    seen_by = await service_of(stage, desk)
    await stage.deps.pool.execute("update services set base_url = 'https://other.example.org'")
    assert await check_service(stage.deps, seen_by) == "unknown"
    assert await stage.deps.pool.fetchval("select count(*) from service_health") == 0
