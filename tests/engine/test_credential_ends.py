"""The ends of stored credentials: each is told before it comes, once, to those who would miss it."""

from datetime import timedelta

from app.usecases.catalogue import change_service
from app.usecases.deps import Actor
from app.usecases.own_credentials import GivenCredential, change_credential, delete_credential
from app.usecases.service_fields import ServiceChange
from tests import factories
from tests.engine.credentials import SHARED, check, jwt, store, told, watch
from tests.engine.stage import Stage
from tests.support.people import Person


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
