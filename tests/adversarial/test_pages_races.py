"""Every act of the pages pressed many times at once, as double clicks and several tabs do: nothing breaks, and each has its effect once."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import aiohttp
import pytest

from app.core.jobs import Stage
from app.usecases.deps import Deps
from tests import factories
from tests.guards.test_pages import FORM, cookie
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, complete, finish, submitted
from tests.support.people import PASSWORD, Person

AT_ONCE = 8


async def press(
    client: Api, person: Person, path: str, data: Mapping[str, object] | None = None
) -> list[Answer]:
    """Send a form many times at once; nothing may break."""
    body = urlencode(data or {}, doseq=True)
    answers = await asyncio.gather(
        *(client.post(path, headers={**cookie(person), **FORM}, data=body) for _ in range(AT_ONCE))
    )
    for answer in answers:
        # 503: no service is at the address that these have
        assert answer.status < 500 or answer.status == 503, (
            path,
            answer.status,
            answer.text[-3000:],
        )
    return answers


def count_of(answers: Sequence[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


def goals(answers: Sequence[Answer]) -> set[str]:
    return {
        answer.headers["Location"].partition("?")[0] for answer in answers if answer.status == 303
    }


async def number(deps: Deps, what: str, *values: object) -> int:
    return int(await deps.pool.fetchval(f"select count(*) from {what}", *values))


async def test_job_when_cancelled_retried_and_deleted_at_once_then_each_once(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    job = await submitted(deps, client, alice, desk)
    answers = await press(client, alice, f"/ui/jobs/{job.id}/cancel")
    assert count_of(answers) == {303: AT_ONCE}
    assert await number(deps, "audit_logs where action = 'job.cancelled'") <= 1
    await finish(deps, job, "cancelled")

    answers = await press(client, alice, f"/ui/jobs/{job.id}/retry", {"known": "0"})
    assert count_of(answers) == {303: AT_ONCE}
    assert len(goals(answers)) == 1
    assert await number(deps, "imputation_jobs where retry_of = $1", job.id) == 1

    answers = await press(client, alice, f"/ui/jobs/{job.id}/delete")
    assert count_of(answers).keys() <= {303, 404}
    assert count_of(answers)[303] == 1
    assert await number(deps, "audit_logs where action = 'job.deleted'") == 1


@pytest.mark.parametrize("act", ["resubmit", "adopt"])
async def test_decision_when_taken_at_once_then_it_is_taken_once(
    client: Api, deps: Deps, alice: Person, desk: Desk, act: str
) -> None:
    job = await submitted(deps, client, alice, desk)
    await deps.pool.execute(
        "update imputation_jobs set status = 'running', stage = $2, next_action = null, next_action_at = null where id = $1",
        job.id,
        Stage.DECISION_NEEDED,
    )
    before = await number(deps, "job_status_updates")
    await press(
        client, alice, f"/ui/jobs/{job.id}/{act}", {"external_job_id": "job-20260101-000000-001"}
    )
    assert await number(deps, "job_status_updates") - before <= 1


async def test_many_jobs_when_handled_at_once_then_each_once(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    jobs = [await submitted(deps, client, alice, desk) for _ in range(3)]
    chosen = {"job": [str(job.id) for job in jobs] * 2, "confirmed": "1"}
    await press(client, alice, "/ui/jobs/bulk", {**chosen, "act": "cancel"})
    for job in jobs:
        await finish(deps, job, "cancelled")
    await press(client, alice, "/ui/jobs/bulk", {**chosen, "act": "retry"})
    assert await number(deps, "imputation_jobs where retry_of is not null") == 3
    await press(client, alice, "/ui/jobs/bulk", {**chosen, "act": "delete"})
    assert await number(deps, "imputation_jobs") == 3
    assert await number(deps, "audit_logs where action = 'job.deleted'") == 3


async def test_batch_when_handled_at_once_then_nothing_breaks(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    job = await submitted(deps, client, alice, desk)
    batch = await deps.pool.fetchval(
        "insert into batches (user_id, name) values ($1, 'b') returning id", alice.id
    )
    await deps.pool.execute("update imputation_jobs set batch_id = $1", batch)
    await press(client, alice, f"/ui/batches/{batch}/cancel")
    await finish(deps, job, "cancelled")
    answers = await press(client, alice, f"/ui/batches/{batch}/retry")
    made = goals(answers) - {f"/ui/batches/{batch}"}
    assert len(made) == 1, f"{len(made)} batches were made"
    answers = await press(client, alice, f"/ui/batches/{batch}/delete")
    assert count_of(answers)[303] >= 1
    assert await number(deps, "batches where id = $1", batch) == 0


async def test_new_job_when_sent_at_once_then_it_is_one(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    service = desk.service.id
    await submitted(deps, client, alice, desk)
    file = await deps.pool.fetchval("select id from files where kind = 'input' limit 1")
    fields = {
        "build": "hg19", "service": str(service), f"panel-{service}": str(desk.panel.id), "name": "mine",
        "input_file_id": str(file), "idempotency_key": "k" * 24,
    }  # fmt: skip

    async def send() -> Answer:
        data = aiohttp.FormData()
        for name, value in fields.items():
            data.add_field(name, value)
        data.add_field("input_file", b"", filename="")
        return await client.post("/ui/jobs/new", headers=cookie(alice), data=data)

    answers = await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    assert all(answer.status < 500 for answer in answers), count_of(answers)
    assert len(goals(answers)) <= 1
    assert await number(deps, "imputation_jobs where name = 'mine'") == len(goals(answers))


async def test_things_of_ones_own_when_handled_at_once_then_each_once(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    job = await submitted(deps, client, alice, desk)
    done = await complete(deps, job)
    notice = await deps.pool.fetchval(
        "insert into notifications (user_id, dedup_key, type, title, message, channels, data) values ($1, 'd', 'job_completed', 't', 'm',"
        " '{web}', $2) returning id", alice.id, {"action_url": "http://[/ui/jobs"},
    )  # fmt: skip
    answers = await press(client, alice, f"/ui/notifications/{notice}/open")
    assert goals(answers) == {"/ui/notifications"}, "an address that is none leads to the list"
    await press(client, alice, "/ui/notifications/read-all")
    await press(client, alice, "/ui/dashboard/seen", {"job": str(done.id)})
    await press(client, alice, f"/ui/jobs/{done.id}/script")
    await press(client, alice, f"/ui/files/{done.results_file_id}/delete")
    answers = await press(client, alice, f"/ui/jobs/{done.id}/delete")
    assert count_of(answers)[303] == 1


async def test_credential_when_handled_at_once_then_it_is_one_and_gone_once(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    held = await deps.pool.fetchval(
        "select id from user_service_credentials where user_id = $1", alice.id
    )
    path = f"/ui/settings/service-credentials/{held}"
    await press(client, alice, path, {"label": "mine", "is_active": "on"})
    await press(client, alice, f"{path}/confirm", {"origin": "https://imputation.example.org"})
    answers = await press(client, alice, f"{path}/delete")
    assert count_of(answers).keys() <= {303, 404}
    assert count_of(answers)[303] == 1
    assert await number(deps, "audit_logs where action = 'credential.deleted'") == 1
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    data = {"service_id": desk.service.id, "api_token": token, "label": "x", "do": "save"}
    await press(client, alice, "/ui/settings/service-credentials/new", data)
    assert await number(deps, "user_service_credentials where user_id = $1", alice.id) <= 1


async def test_accounts_when_made_and_changed_at_once_then_each_once(
    client: Api, deps: Deps, alice: Person, admin: Person
) -> None:
    data = {
        "username": "dora",
        "email": "dora@example.org",
        "password": "a long horse 99",
        "role": "user",
    }
    answers = await press(client, admin, "/ui/admin/users/new", data)
    assert count_of(answers)[303] == 1
    assert await number(deps, "users where username = 'dora'") == 1
    for change in ("disable", "enable", "make-admin", "make-user"):
        await press(client, admin, f"/ui/admin/users/{alice.id}/{change}")
        assert (
            await number(
                deps, "audit_logs where resource_type = 'user' and resource_id = $1", str(alice.id)
            )
            >= 1
        )
    await press(client, admin, f"/ui/admin/users/{alice.id}/password-link")


async def test_administrators_when_each_takes_the_other_down_at_once_then_one_stays(
    client: Api, deps: Deps, admin: Person
) -> None:
    other = await factories.make_person(deps, "second", role="admin")
    for change in ("make-user", "disable"):
        await asyncio.gather(
            press(client, admin, f"/ui/admin/users/{other.id}/{change}"),
            press(client, other, f"/ui/admin/users/{admin.id}/{change}"),
        )
        assert await number(deps, "users where role = 'admin' and is_active") >= 1
        await deps.pool.execute(
            "update users set role = 'admin', is_active = true, token_version = 0"
        )


async def test_service_when_made_and_changed_at_once_then_each_once(
    client: Api, deps: Deps, admin: Person
) -> None:
    data: dict[str, object] = {
        "api_type": "michigan", "name": "S", "slug": "s", "description": "", "supported_builds": "hg38", "credential_kind": "token",
        "credential_policy": "per_user", "shared_roles": "user", "poll_interval_s": "30", "wait_limit_s": "7", "do": "save",
        "base_url": "https://127.0.0.1:9", "is_active": "on",
    }  # fmt: skip
    answers = await press(client, admin, "/ui/admin/services/new", data)
    assert await number(deps, "services where slug = 's'") == 1, count_of(answers)
    service = await deps.pool.fetchval("select id from services where slug = 's'")
    root = f"/ui/admin/services/{service}"
    for part, fields in (
        ("", data), ("/maintenance", {"maintenance": "on", "maintenance_message": "x"}), ("/maintenance", {}), ("/disable", {}),
        ("/enable", {}), ("/token", {"token": "a.b.c"}), ("/token/remove", {}), ("/check", {}), ("/sync", {}),
    ):  # fmt: skip
        await press(client, admin, root + part, fields)
    panel: dict[str, object] = {
        "key": "apps@p",
        "name": "P",
        "builds": "hg38",
        "populations": "eur",
    }
    answers = await press(client, admin, f"{root}/panels/new", panel)
    assert await number(deps, "reference_panels where service_id = $1", service) == 1, count_of(
        answers
    )
    held = await deps.pool.fetchval(
        "select id from reference_panels where service_id = $1", service
    )
    for part in ("", "/retire", "/restore"):
        await press(client, admin, f"{root}/panels/{held}{part}", panel)
    answers = await press(client, admin, f"{root}/delete")
    assert count_of(answers)[303] >= 1
    assert await number(deps, "services where id = $1", service) == 0


async def test_registration_and_links_when_sent_at_once_then_each_once(
    client: Api, deps: Deps, alice: Person
) -> None:
    data = {"username": "eve", "email": "eve@example.org", "password": "a long horse 99"}
    body = urlencode(data)
    answers = await asyncio.gather(
        *(client.post("/ui/register", headers=FORM, data=body) for _ in range(5))
    )
    assert all(answer.status < 500 for answer in answers)
    assert sum(answer.status == 303 for answer in answers) == 1
    await press(
        client, alice, "/ui/settings/profile", {"full_name": "A", "email": "other@example.org"}
    )
    answers = await press(
        client,
        alice,
        "/ui/settings/password",
        {"current_password": PASSWORD, "new_password": "a long horse 99"},
    )
    assert any(answer.status == 303 and "Set-Cookie" in answer.headers for answer in answers)
