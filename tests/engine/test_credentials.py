"""The daily look at stored credentials: refusals are found before a job meets them."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from app.adapters.base import CredentialReport, Rejected, ServiceUnavailable
from app.usecases.catalogue import change_service
from app.usecases.credential_checks import PER_SERVICE, check_credentials
from app.usecases.credential_watch import follow_stored
from app.usecases.service_fields import ServiceChange
from tests import factories
from tests.engine.credentials import SHARED, check, jwt, store, told, watch
from tests.engine.fake_service import FakeAdapter
from tests.engine.stage import Stage, make_person
from tests.support.deps import RecordingQueue
from tests.support.people import Person


async def credential(stage: Stage, credential_id: int) -> dict[str, Any]:
    row = await stage.deps.pool.fetchrow(
        "select * from user_service_credentials where id = $1", credential_id
    )
    assert row is not None
    return dict(row)


# The daily look


async def test_check_when_the_service_takes_it_then_its_word_is_kept_and_a_day_passes(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await stage.desk(dora)
    number = await store(stage, dora, desk, "opaque")
    ends = stage.clock() + timedelta(days=20)

    async def report(self: FakeAdapter) -> CredentialReport:
        return CredentialReport(valid=True, account_name="dora@remote", expires_at=ends)

    monkeypatch.setattr(FakeAdapter, "verify_credential", report)
    assert await check(stage) == 0, "not in the moment in which it is stored"
    assert await check(stage, minutes=12) == 1
    kept = await credential(stage, number)
    assert (kept["is_verified"], kept["account_name"], kept["expires_at"]) == (
        True,
        "dora@remote",
        ends,
    )
    assert kept["rejected_at"] is None
    assert await check(stage, hours=21) == 0
    assert await check(stage, hours=6) == 1
    assert await told(stage, dora) == {}


async def test_check_when_several_processes_look_then_each_credential_is_tried_once(
    stage: Stage,
) -> None:
    people = [await make_person(stage, f"person{number}") for number in range(9)]
    desk = await stage.desk(people[0])
    for person in people:
        await store(stage, person, desk, f"token-of-{person.id}")
    await follow_stored(stage.deps)
    stage.clock.move(minutes=12)
    processes = [stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two", "three")]
    for _ in range(9):  # a lane that finds the service busy leaves the rest to the next round
        await asyncio.gather(*(check_credentials(process) for process in processes))
    assert stage.service.calls["verify_credential"] == 9


async def test_check_when_many_are_due_then_few_at_a_time_of_a_service_and_others_go_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await make_person(stage, f"person{number}") for number in range(6)]
    slow, quick = await stage.desk(people[0]), await stage.desk(people[0])
    for person in people:
        await store(stage, person, slow, f"slow-{person.id}")
        await store(stage, person, quick, f"quick-{person.id}")
        stage.service.tokens[f"slow-{person.id}"] = "slow"
    await follow_stored(stage.deps)
    stage.clock.move(minutes=12)
    release, begun = asyncio.Event(), Counter[str]()

    async def verify(self: FakeAdapter) -> CredentialReport:
        owner = self._owner or ""
        begun[owner] += 1
        if owner == "slow":
            await release.wait()
        return CredentialReport(valid=True)

    monkeypatch.setattr(FakeAdapter, "verify_credential", verify)
    looking = asyncio.create_task(check_credentials(stage.deps))
    async with asyncio.timeout(10):
        while begun["researcher"] < len(people):
            await asyncio.sleep(0.01)
    assert 1 <= begun["slow"] <= PER_SERVICE
    release.set()
    await looking
    await check_credentials(stage.deps)
    assert begun == {"slow": len(people), "researcher": len(people)}


async def test_check_when_the_service_is_down_then_nothing_is_asked_nor_marked(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    number = await store(stage, dora, desk, "opaque", good=False)
    pool = stage.deps.pool
    await pool.execute("update services set health = 'down'")
    assert await check(stage, days=3) == 0
    await pool.execute("update services set health = 'maintenance'")
    assert await check(stage) == 0
    await pool.execute("update services set health = 'unknown'")
    for error in (ServiceUnavailable("away"), Rejected("no such call")):
        stage.service.errors["verify_credential"] = [error]
        assert await check(stage, hours=2) == 1
        assert (await credential(stage, number))["rejected_at"] is None
        assert await check(stage) == 0, "asked again after a while, not at once"
    assert await told(stage, dora) == {}


async def test_check_when_the_token_is_refused_then_it_is_told_once_and_its_jobs_are_held_and_go_on_when_it_is_good_again(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora, max_remote_jobs=1)
    number = await store(stage, dora, desk, "opaque")
    running = await stage.submit(dora, desk)
    waiting = await stage.submit(dora, desk)
    await stage.step()
    await stage.look()
    assert (await stage.job(waiting.id)).stage == "waiting_for_slot"
    del stage.service.tokens["opaque"]
    assert await check(stage, days=1.2) == 1
    refused = await credential(stage, number)
    assert refused["is_verified"] is False
    assert refused["rejected_at"] is not None
    assert (await told(stage, dora))["credential_rejected"] == 1
    await stage.look()
    assert (await stage.job(running.id)).stage == "credential_needed"
    first_refused_at = refused["rejected_at"]
    for _ in range(3):
        assert await check(stage, days=1.2) == 1
    again = await credential(stage, number)
    assert again["rejected_at"] == first_refused_at
    assert (await told(stage, dora))["credential_rejected"] == 1
    stage.service.tokens["opaque"] = "researcher"
    before = stage.clock()
    assert await check(stage, days=1.2) == 1
    good = await credential(stage, number)
    assert (good["is_verified"], good["rejected_at"]) == (True, None)
    woken = await stage.deps.pool.fetchval("select next_poll_at > $1 from service_accounts", before)
    assert woken or await stage.deps.pool.fetchval(
        "select next_poll_at <= clock_timestamp() from service_accounts"
    ), "nobody waits for the hourly look"
    for job in (running, waiting):
        assert (await stage.until_end(job.id)).status == "completed"


async def test_check_when_a_waiting_job_was_held_then_it_is_due_at_once_when_the_token_is_good_again(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await store(stage, dora, desk, "opaque")
    stage.service.down = ServiceUnavailable("away")
    job = await stage.submit(dora, desk)
    await stage.step()
    stage.service.down = None
    del stage.service.tokens["opaque"]
    stage.clock.move(seconds=60)
    await stage.step()
    held = await stage.job(job.id)
    assert held.stage == "credential_needed"
    await follow_stored(stage.deps)
    stage.clock.move(minutes=20)
    assert await stage.step() == 0, "it is looked at hourly"
    stage.service.tokens["opaque"] = "researcher"
    assert await check_credentials(stage.deps) == 1
    await stage.step()
    assert (await stage.job(job.id)).external_job_id is not None


async def test_check_when_a_shared_token_is_refused_then_the_administrators_are_told_once(
    stage: Stage, dora: Person
) -> None:
    root = await factories.make_person(stage.deps, "root", role="admin")
    desk = await stage.desk(None, **SHARED)  # type: ignore[arg-type] # nobody has an own one
    change = ServiceChange(credential_policy="shared", api_config={"api_token": "the-shared"})
    await change_service(stage.deps, None, desk.service.id, change)
    for _ in range(3):
        assert await check(stage, days=1.2) == 1
    assert await told(stage, root) == {"credential_rejected": 1}
    assert await told(stage, dora) == {}
    stage.service.tokens["the-shared"] = "shared"
    assert await check(stage, days=1.2) == 1
    del stage.service.tokens["the-shared"]
    assert await check(stage, days=1.2) == 1
    assert await told(stage, root) == {"credential_rejected": 2}, "it had been good in between"


async def test_check_when_it_is_replaced_while_it_is_tried_then_the_new_one_is_not_marked(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    number = await store(stage, dora, desk, "old", good=False)

    async def replace() -> None:
        await store(stage, dora, desk, "new")

    stage.service.meanwhile["verify_credential"] = replace
    assert await check(stage, minutes=12) == 1
    assert (await credential(stage, number))["rejected_at"] is None
    assert await told(stage, dora) == {}
    assert await check(stage, minutes=12) == 1, "the new one has a look of its own"
    assert (await credential(stage, number))["is_verified"] is True


async def test_check_when_it_has_expired_then_its_end_is_told_and_not_a_refusal_too(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await store(stage, dora, desk, jwt(stage.clock() + timedelta(minutes=5)), good=False)
    assert await check(stage, minutes=12) == 1
    await watch(stage)
    assert await told(stage, dora) == {"credential_expired": 1}


async def test_check_when_refused_for_long_then_it_is_left_alone(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await store(stage, dora, desk, "opaque", good=False)
    assert await check(stage, days=1.2) == 1
    assert await check(stage, days=29) == 1
    assert await check(stage, days=2) == 0


async def test_check_when_a_look_breaks_then_the_others_are_made(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await make_person(stage, f"person{number}") for number in range(3)]
    desk = await stage.desk(people[0])
    for person in people:
        await store(stage, person, desk, f"token-of-{person.id}")

    class Broken(Exception):
        pass

    async def stumble() -> None:
        raise Broken

    stage.service.meanwhile["verify_credential"] = stumble
    assert await check(stage, minutes=12) == 3
    verified = "select count(*) from user_service_credentials where is_verified"
    assert await stage.deps.pool.fetchval(verified) == 2
