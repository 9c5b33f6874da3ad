"""The own account, and the log of acts."""

from typing import Any

import asyncpg
import pytest

from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.people import Person
from tests.support.signing_in import mailed_link
from tests.web.test_problems import problem


async def test_me_when_asked_then_no_secret_is_told(client: Api, alice: Person) -> None:
    answer = await client.get("/users/me", as_=alice)

    assert set(answer.json()) == {
        "id", "username", "email", "pending_email", "full_name", "institution", "country", "role",
        "notification_preferences", "created_at", "last_login",
    }  # fmt: skip
    assert "$2b$" not in answer.text


async def test_profile_when_changed_then_only_what_was_given(client: Api, alice: Person) -> None:
    await client.patch(
        "/users/me", json={"full_name": " A.\nLice ", "institution": "SBIMB"}, as_=alice
    )
    answer = await client.patch("/users/me", json={"country": "ZA", "institution": None}, as_=alice)

    given = answer.json()
    assert (given["full_name"], given["institution"], given["country"]) == ("A. Lice", None, "ZA")
    assert given["email"] == "alice@example.org"


@pytest.mark.parametrize(
    "change",
    [
        {"full_name": "x" * 201},
        {"email": "no address"},
        {"email": None},
        {"notification_preferences": {"job_queued": {"pigeon": True}}},
        {"notification_preferences": {"unknown": {}}},
        {"notification_preferences": []},
        {"full_name": 5},
    ],
)
async def test_profile_when_something_is_wrong_then_nothing_is_changed(
    client: Api, alice: Person, change: dict[str, Any]
) -> None:
    before = (await client.get("/users/me", as_=alice)).json()

    answer = await client.patch("/users/me", json={"country": "ZA", **change}, as_=alice)

    assert answer.status == 400
    assert (await client.get("/users/me", as_=alice)).json() == before


async def test_profile_when_role_or_password_is_given_then_it_is_passed_over(
    client: Api, deps: Deps, alice: Person
) -> None:
    change = {
        "role": "admin",
        "is_active": False,
        "password_hash": "x",
        "token_version": 9,
        "id": 1,
    }
    answer = await client.patch("/users/me", json=change, as_=alice)

    assert answer.json()["role"] == "user"
    assert (await client.get("/users/me", as_=alice)).status == 200
    problem(await client.get("/audit", as_=alice), 403, "forbidden")


async def test_preferences_when_one_is_changed_then_the_others_stay_on(
    client: Api, alice: Person
) -> None:
    await client.patch(
        "/users/me",
        json={"notification_preferences": {"job_queued": {"email": False}}},
        as_=alice,
    )
    answer = await client.patch(
        "/users/me", json={"notification_preferences": {"job_running": {"web": False}}}, as_=alice
    )

    shown = answer.json()["notification_preferences"]
    assert shown["job_queued"] == {"web": True, "email": False}
    assert shown["job_running"] == {"web": False, "email": True}
    assert shown["job_failed"] == {"web": True, "email": True}


async def test_email_when_changed_then_the_old_one_counts_until_the_link_was_followed(
    client: Api, deps: Deps, alice: Person
) -> None:
    changed = await client.patch("/users/me", json={"email": "new@example.org"}, as_=alice)
    link = await mailed_link(deps, "new@example.org")
    assert (changed.json()["email"], changed.json()["pending_email"]) == (
        "alice@example.org",
        "new@example.org",
    )

    assert (await client.get(link)).status == 200

    me = (await client.get("/users/me", as_=alice)).json()
    assert (me["email"], me["pending_email"]) == ("new@example.org", None)


async def test_email_when_changed_twice_then_only_the_newest_link_counts(
    client: Api, deps: Deps, alice: Person
) -> None:
    await client.patch("/users/me", json={"email": "one@example.org"}, as_=alice)
    first = await mailed_link(deps, "one@example.org")
    await client.patch("/users/me", json={"email": "two@example.org"}, as_=alice)
    second = await mailed_link(deps, "two@example.org")

    problem(await client.get(first), 404, "link_gone")
    assert (await client.get(second)).status == 200


async def test_email_when_set_to_what_it_is_then_nothing_is_mailed(
    client: Api, deps: Deps, alice: Person
) -> None:
    answer = await client.patch("/users/me", json={"email": "Alice@Example.org"}, as_=alice)

    assert answer.json()["pending_email"] is None
    assert await deps.pool.fetchval("select count(*) from outbox") == 0


async def test_email_when_only_a_head_request_comes_then_the_link_is_not_used_up(
    client: Api, deps: Deps, alice: Person
) -> None:
    await client.patch("/users/me", json={"email": "new@example.org"}, as_=alice)
    link = await mailed_link(deps, "new@example.org")

    assert (await client.head(link)).status == 405
    assert (await client.get(link)).status == 200


# The log of acts


async def test_audit_when_read_then_everybody_sees_their_own_and_admins_all(
    client: Api, alice: Person, bob: Person, admin: Person
) -> None:
    for person in (alice, bob, alice):
        await client.patch("/users/me", json={"country": "ZA"}, as_=person)
    await client.post("/api/auth/login", json={"username": "alice", "password": "wrong"})

    own = await client.get("/users/me/audit?limit=2", as_=alice)
    everybody = await client.get("/audit", as_=admin)
    of_bob = await client.get(f"/audit?user_id={bob.id}", as_=admin)
    failed = await client.get("/users/me/audit?action=auth.login_failed", as_=alice)

    assert own.headers["X-Total-Count"] == "3"
    assert [entry["action"] for entry in own.json()] == ["auth.login_failed", "user.updated"]
    assert own.json()[1]["details"] == {"fields": ["country"]}
    assert own.json()[1]["address"] == "127.0.0.1"
    assert everybody.headers["X-Total-Count"] == "4"
    assert {entry["user_id"] for entry in of_bob.json()} == {bob.id}
    assert len(failed.json()) == 1
    problem(await client.get("/audit", as_=alice), 403, "forbidden")


async def test_audit_when_written_then_nobody_can_change_it(
    client: Api, deps: Deps, alice: Person
) -> None:
    await client.patch("/users/me", json={"country": "ZA"}, as_=alice)

    for statement in (
        "delete from audit_logs",
        "update audit_logs set action = 'x'",
        "truncate audit_logs",
    ):
        with pytest.raises(asyncpg.RestrictViolationError):
            await deps.pool.execute(statement)
    await deps.pool.execute("delete from users where id = $1", alice.id)
    assert await deps.pool.fetchval("select count(*) from audit_logs") == 1
