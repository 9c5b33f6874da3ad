"""The watch over stored credentials: ends are told before they come, refusals are found before a job meets them."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.adapters.base import CredentialReport, Rejected, ServiceUnavailable
from app.usecases.catalogue import change_service
from app.usecases.credential_checks import PER_SERVICE, check_credentials
from app.usecases.credential_watch import follow_stored, watch_ends
from app.usecases.deps import Actor
from app.usecases.own_credentials import (
    GivenCredential,
    change_credential,
    delete_credential,
    store_credential,
)
from app.usecases.service_fields import ServiceChange
from tests import factories
from tests.engine.fake_service import FakeAdapter
from tests.engine.stage import Stage, make_person
from tests.support.deps import RecordingQueue
from tests.support.jobs import Desk
from tests.support.people import Person

SHARED = {"credential_policy": "shared", "credential_kind": "token"}


def jwt(ends: datetime, owner: str = "researcher") -> str:
    """Give a token that says when it ends."""

    def part(value: object) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part({'exp': int(ends.timestamp()), 'sub': owner})}.c2ln"


async def store(stage: Stage, person: Person, desk: Desk, token: str, *, good: bool = True) -> int:
    """Let a person store a token; give the credential's id."""
    if good:
        stage.service.tokens[token] = "researcher"
    given = GivenCredential(api_token=token)
    held = await store_credential(stage.deps, Actor(person.user), desk.service.id, given, "")
    return held.stored.id


async def told(stage: Stage, person: Person) -> Counter[str]:
    """Count a person's notices; each must be an e-mail too."""
    count = "select {0} as type from {1} where user_id = $1 and {0} like 'credential_%'"
    pool = stage.deps.pool
    web = await pool.fetch(count.format("type", "notifications"), person.id)
    mail = await pool.fetch(count.format("template", "outbox"), person.id)
    assert Counter(row["type"] for row in web) == Counter(row["type"] for row in mail)
    return Counter(row["type"] for row in web)


async def watch(stage: Stage, **by: float) -> None:
    """Let time pass, and two processes look at the ends at the same time."""
    stage.clock.move(**by)
    processes = [stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two", "three")]
    await asyncio.gather(*(watch_ends(process) for process in processes))
    await watch_ends(stage.deps)


async def check(stage: Stage, **by: float) -> int:
    """Let time pass, and the credentials that are due be tried; give how many were."""
    await follow_stored(stage.deps)
    stage.clock.move(**by)
    return await check_credentials(stage.deps)


async def credential(stage: Stage, credential_id: int) -> dict[str, Any]:
    row = await stage.deps.pool.fetchrow(
        "select * from user_service_credentials where id = $1", credential_id
    )
    assert row is not None
    return dict(row)


# Ends


async def test_end_when_it_comes_then_it_is_told_a_week_and_a_day_before_and_after_each_once(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await store(stage, dora, desk, jwt(stage.clock() + timedelta(days=8)))
    await watch(stage)
    assert await told(stage, dora) == {}
    for _ in range(3):
        await watch(stage, days=1.2 / 3)
    assert await told(stage, dora) == {"credential_expiring": 1}
    await watch(stage, days=5)
    assert await told(stage, dora) == {"credential_expiring": 1}
    await watch(stage, days=1)
    await watch(stage, hours=1)
    assert await told(stage, dora) == {"credential_expiring": 2}
    for _ in range(3):
        await watch(stage, days=100)
    assert await told(stage, dora) == {"credential_expiring": 2, "credential_expired": 1}
    notice = await stage.deps.pool.fetchrow(
        "select message, data from notifications where type = 'credential_expiring' order by id"
    )
    assert notice is not None
    assert notice["message"].startswith(f"Your credential for {desk.service.name} ends on ")
    assert notice["data"]["action_url"].endswith("/ui/settings/service-credentials")
    assert notice["data"]["service_id"] == desk.service.id
    assert notice["data"]["job_id"] is None


async def test_end_when_notices_were_forgotten_meanwhile_then_it_is_not_told_again(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await store(stage, dora, desk, jwt(stage.clock() - timedelta(days=1)))
    await watch(stage)
    assert await told(stage, dora) == {"credential_expired": 1}
    await stage.deps.pool.execute("delete from notifications")
    await stage.deps.pool.execute("delete from outbox")
    await watch(stage, days=400)
    assert await told(stage, dora) == {}


async def test_end_when_the_credential_is_replaced_then_the_new_end_is_told_anew(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await store(stage, dora, desk, jwt(stage.clock() + timedelta(days=3)))
    await watch(stage)
    assert await told(stage, dora) == {"credential_expiring": 1}
    await store(stage, dora, desk, jwt(stage.clock() + timedelta(days=30)))
    await watch(stage, days=20)
    assert await told(stage, dora) == {"credential_expiring": 1}, "the old end no longer matters"
    await watch(stage, days=4)
    assert await told(stage, dora) == {"credential_expiring": 2}


async def test_end_when_nobody_would_miss_the_credential_then_nothing_is_told(
    stage: Stage, dora: Person
) -> None:
    ends = stage.clock() + timedelta(hours=5)
    switched_off, deleted, disabled, refused = [await stage.desk(dora) for _ in range(4)]
    first = await store(stage, dora, switched_off, jwt(ends))
    actor = Actor(dora.user)
    await change_credential(stage.deps, actor, first, given=GivenCredential(), is_active=False)
    await delete_credential(stage.deps, actor, await store(stage, dora, deleted, jwt(ends)))
    await store(stage, dora, disabled, jwt(ends))
    pool = stage.deps.pool
    await pool.execute("update services set is_active = false where id = $1", disabled.service.id)
    last = await store(stage, dora, refused, jwt(ends))
    await pool.execute(
        "update user_service_credentials set rejected_at = now() where id = $1", last
    )
    await watch(stage)
    assert await told(stage, dora) == {}


async def test_end_when_preferences_leave_it_out_then_it_is_not_told(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    await stage.deps.pool.execute(
        "update users set notification_preferences = $2 where id = $1",
        dora.id,
        {"credential_expiring": {"email": False}, "credential_expired": {"web": False}},
    )
    await store(stage, dora, desk, jwt(stage.clock() + timedelta(hours=5)))
    await watch(stage)
    await watch(stage, days=1)
    pool = stage.deps.pool
    types = "select array_agg(type) from notifications"
    assert await pool.fetchval(types) == ["credential_expiring"]
    assert await pool.fetchval("select array_agg(template) from outbox") == ["credential_expired"]


async def test_end_when_the_credential_is_shared_then_the_administrators_are_told_and_nobody_else(
    stage: Stage, dora: Person
) -> None:
    root = await factories.make_person(stage.deps, "root", role="admin")
    desk = await stage.desk(dora, **SHARED)
    token = jwt(stage.clock() + timedelta(days=5))
    stage.service.tokens[token] = "shared"
    change = ServiceChange(credential_policy="shared", api_config={"api_token": token})
    await change_service(stage.deps, None, desk.service.id, change)
    assert await check(stage, minutes=12) == 2
    await watch(stage)
    assert await told(stage, dora) == {}
    assert await told(stage, root) == {"credential_expiring": 1}
    message = await stage.deps.pool.fetchval("select message from notifications")
    assert message.startswith(f"The shared credential for {desk.service.name} ends on ")
    await watch(stage, days=4.5)
    await watch(stage, days=2)
    assert await told(stage, root) == {"credential_expiring": 2, "credential_expired": 1}


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
