"""Signing in and out, registration, and one-time links, over HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import bcrypt
import msgspec
import pytest

from app.security.passwords import Passwords
from app.usecases.deps import Deps
from app.usecases.one_time import ensure_setup_link
from app.usecases.outbox import deliver_due
from tests import factories
from tests.support.api import Answer, Api
from tests.support.app import serve
from tests.support.deps import Clock
from tests.support.people import PASSWORD, Person
from tests.web.test_problems import problem


async def login(client: Api, username: str, password: str = PASSWORD) -> Answer:
    return await client.post("/api/auth/login", json={"username": username, "password": password})


async def me(client: Api, token: str) -> Answer:
    return await client.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})


@asynccontextmanager
async def open_platform(deps: Deps, **changes: Any) -> AsyncIterator[Api]:
    """Give the platform under other settings."""
    settings = replace(deps.settings, **changes)
    passwords = Passwords(4, settings.login_attempts_per_minute)
    changed = replace(deps, settings=settings, passwords=passwords)
    async with serve(changed) as (_, base), aiohttp.ClientSession() as session:
        yield Api(session, base)


async def mailed_link(deps: Deps, recipient: str) -> str:
    """Deliver what is due; give the path, for programs, of the link in the newest e-mail to somebody."""
    await deliver_due(deps, 10)
    sent: list[Any] = deps.mailer.sent  # type: ignore[attr-defined]  # the recording mailer
    mail = next(item for item in reversed(sent) if item.recipient == recipient)
    found = re.search(r"http://platform\.test/ui/(password-reset|confirm-email)/(\S+)", mail.text)
    assert found, mail.text
    return f"/api/auth/{found[1].replace('confirm-email', 'email-confirm')}/{found[2]}"


async def actions(deps: Deps, user_id: int | None) -> list[str]:
    rows = await deps.pool.fetch(
        "select action from audit_logs where user_id is not distinct from $1 order by id", user_id
    )
    return [row["action"] for row in rows]


# Signing in


async def test_login_when_password_fits_then_token_signs_in(
    client: Api, deps: Deps, alice: Person
) -> None:
    answer = await login(client, "alice")

    assert answer.status == 200
    given = answer.json()
    assert given["token_type"] == "bearer"
    assert given["expires_in"] == 86_400
    assert given["user"]["username"] == "alice"
    assert given["user"]["last_login"].endswith("Z")
    assert (await me(client, given["access_token"])).json()["id"] == alice.id
    assert await actions(deps, alice.id) == ["auth.login"]
    address = await deps.pool.fetchval("select address from audit_logs")
    assert address == "127.0.0.1"


@pytest.mark.parametrize("name", ["ALICE", " alice "])
async def test_login_when_name_is_written_otherwise_then_it_is_the_same(
    client: Api, alice: Person, name: str
) -> None:
    assert (await login(client, name)).status == 200


async def test_login_when_refused_then_nobody_can_tell_why(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    await deps.pool.execute("update users set is_active = false where id = $1", bob.id)

    refused = [
        await login(client, "alice", "wrong"),
        await login(client, "nobody", PASSWORD),
        await login(client, "bob"),
        await login(client, "alice", "ä" * 500),
        await login(client, "alice", PASSWORD + "x" * 70),
        await login(client, "", ""),
    ]

    shown = []
    for answer in refused:
        body = problem(answer, 401, "invalid_credentials")
        body.pop("request_id")
        shown.append(msgspec.json.encode(body))
    assert len(set(shown)) == 1
    assert await actions(deps, alice.id) == ["auth.login_failed"] * 3
    assert await actions(deps, None) == ["auth.login_failed"] * 2


async def test_login_when_refused_then_every_kind_costs_one_hash(
    client: Api, deps: Deps, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bytes] = []
    check = bcrypt.checkpw

    def count(password: bytes, stored: bytes) -> bool:
        calls.append(stored)
        return check(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", count)

    await login(client, "alice", "wrong")
    await login(client, "nobody", "wrong")

    assert len(calls) == 2
    assert {call[:7] for call in calls} == {b"$2b$04$"}, "an unknown name costs as much"


async def test_login_when_guessed_too_fast_then_only_that_pair_waits(
    deps: Deps, alice: Person, bob: Person
) -> None:
    async with open_platform(deps, login_attempts_per_minute=3) as api:
        guesses = [(await login(api, "alice", f"guess {n}")).status for n in range(3)]
        slowed = await login(api, "alice")
        other = await login(api, "bob")
        unknown = [(await login(api, "nobody", f"guess {n}")).status for n in range(4)]

    assert guesses == [401, 401, 401]
    problem(slowed, 429, "too_many_attempts")
    assert int(slowed.headers["Retry-After"]) <= 21
    assert other.status == 200
    assert unknown == [401, 401, 401, 429], "an unknown name is slowed down alike"


async def test_login_when_right_again_and_again_then_it_is_never_slowed_down(
    deps: Deps, alice: Person
) -> None:
    async with open_platform(deps, login_attempts_per_minute=2) as api:
        statuses = {(await login(api, "alice")).status for _ in range(8)}

    assert statuses == {200}


async def test_logout_when_done_then_every_token_of_the_account_ends(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    second = (await login(client, "alice")).json()["access_token"]

    assert (await client.post("/api/auth/logout", as_=alice)).status == 200

    problem(await me(client, alice.token), 401, "token_revoked")
    problem(await me(client, second), 401, "token_revoked")
    assert (await me(client, bob.token)).status == 200
    assert (await login(client, "alice")).status == 200


# Passwords


async def test_password_when_changed_then_older_tokens_end_and_the_new_one_works(
    client: Api, alice: Person
) -> None:
    body = {"current_password": PASSWORD, "new_password": "another horse 8"}
    answer = await client.post("/api/auth/password", json=body, as_=alice)

    fresh = answer.json()["access_token"]
    assert (await me(client, fresh)).status == 200
    problem(await me(client, alice.token), 401, "token_revoked")
    assert (await login(client, "alice")).status == 401
    assert (await login(client, "alice", "another horse 8")).status == 200


@pytest.mark.parametrize("new", ["short", "", "x" * 73, "ä" * 37, "alicealice"[:5]])
async def test_password_when_new_one_is_bad_then_it_stays(
    client: Api, alice: Person, new: str
) -> None:
    body = {"current_password": PASSWORD, "new_password": new}
    answer = await client.post("/api/auth/password", json=body, as_=alice)

    assert problem(answer, 400, "invalid_input")["errors"][0]["field"] == "new_password"
    assert (await login(client, "alice")).status == 200


async def test_password_when_current_is_wrong_then_guessing_is_slowed_down(
    deps: Deps, alice: Person
) -> None:
    body = {"current_password": "wrong", "new_password": "another horse 8"}
    async with open_platform(deps, login_attempts_per_minute=2) as api:
        answers = [await api.post("/api/auth/password", json=body, as_=alice) for _ in range(3)]

    problem(answers[0], 400, "wrong_password")
    problem(answers[2], 429, "too_many_attempts")


async def test_reset_when_link_is_followed_then_new_password_signs_in_once(
    client: Api, deps: Deps, alice: Person
) -> None:
    asked = await client.post("/api/auth/password-reset", json={"username": "alice"})
    link = await mailed_link(deps, "alice@example.org")
    explained = await client.get(link)
    done = await client.post(link, json={"new_password": "another horse 8"})
    again = await client.post(link, json={"new_password": "yet another 9"})

    assert asked.status == 202
    assert explained.status == 200
    assert done.status == 200
    assert (await me(client, done.json()["access_token"])).status == 200
    problem(await me(client, alice.token), 401, "token_revoked")
    problem(again, 404, "link_gone")
    assert (await login(client, "alice", "another horse 8")).status == 200
    assert "auth.password_reset" in await actions(deps, alice.id)


async def test_reset_when_new_password_is_bad_then_the_link_still_works(
    client: Api, deps: Deps, alice: Person
) -> None:
    await client.post("/api/auth/password-reset", json={"username": "ALICE@example.org"})
    link = await mailed_link(deps, "alice@example.org")

    assert (await client.post(link, json={"new_password": "short"})).status == 400
    assert (await client.post(link, json={"new_password": "another horse 8"})).status == 200


async def test_reset_when_nobody_is_meant_then_the_answer_is_the_same(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    await deps.pool.execute("update users set is_active = false where id = $1", bob.id)
    silent = await factories.make_person(deps, "silent", email=None)
    names = ["alice", "nobody", "bob", silent.user.username, "nobody@example.org", ""]

    answers = [
        await client.post("/api/auth/password-reset", json={"username": name}) for name in names[:5]
    ]

    assert {(answer.status, answer.body) for answer in answers} == {(202, answers[0].body)}
    assert await deps.pool.fetchval("select count(*) from outbox") == 1


async def test_reset_when_link_is_old_or_asked_for_again_then_it_is_gone(
    client: Api, deps: Deps, alice: Person, clock: Clock
) -> None:
    await client.post("/api/auth/password-reset", json={"username": "alice"})
    first = await mailed_link(deps, "alice@example.org")
    await client.post("/api/auth/password-reset", json={"username": "alice"})
    second = await mailed_link(deps, "alice@example.org")

    problem(await client.get(first), 404, "link_gone")
    clock.move(minutes=61)
    problem(await client.get(second), 404, "link_gone")
    problem(await client.post(second, json={"new_password": "another horse 8"}), 404, "link_gone")


async def test_reset_when_token_is_for_something_else_then_it_is_gone(
    client: Api, deps: Deps, alice: Person
) -> None:
    await client.patch("/users/me", json={"email": "new@example.org"}, as_=alice)
    token = (await mailed_link(deps, "new@example.org")).rpartition("/")[2]

    problem(await client.get(f"/api/auth/password-reset/{token}"), 404, "link_gone")


async def test_links_when_stored_then_the_database_holds_no_token(
    client: Api, deps: Deps, alice: Person
) -> None:
    await client.post("/api/auth/password-reset", json={"username": "alice"})
    link = await mailed_link(deps, "alice@example.org")
    token = link.rpartition("/")[2]

    for table in ("one_time_tokens", "outbox", "audit_logs"):
        rows = await deps.pool.fetch(f"select t::text as text from {table} t")
        assert rows
        assert not any(token in row["text"] for row in rows), table


# Registration

NEW = {
    "username": "dora",
    "password": PASSWORD,
    "email": "dora@example.org",
    "full_name": " D \n E ",
}


async def test_register_when_closed_then_403(client: Api) -> None:
    problem(await client.post("/api/auth/register", json=NEW), 403, "registration_closed")


async def test_register_when_open_then_the_address_counts_once_confirmed(deps: Deps) -> None:
    async with open_platform(deps, registration="open") as api:
        made = await api.post("/api/auth/register", json=NEW)
        token = (await login(api, "dora")).json()["access_token"]
        before = (await me(api, token)).json()
        link = await mailed_link(deps, "dora@example.org")
        confirmed = await api.get(link)
        after = (await me(api, token)).json()
        again = await api.get(link)

    assert made.status == 201
    assert made.json()["role"] == "user"
    assert made.json()["full_name"] == "D E"
    assert (before["email"], before["pending_email"]) == (None, "dora@example.org")
    assert confirmed.status == 200
    assert (after["email"], after["pending_email"]) == ("dora@example.org", None)
    problem(again, 404, "link_gone")


async def test_register_when_address_is_known_then_that_is_not_told(
    deps: Deps, alice: Person
) -> None:
    async with open_platform(deps, registration="open") as api:
        made = await api.post("/api/auth/register", json={**NEW, "email": "alice@example.org"})
        link = await mailed_link(deps, "alice@example.org")
        refused = await api.get(link)

    assert made.status == 201
    problem(refused, 409, "email_taken")
    mine = await deps.pool.fetchval("select email from users where id = $1", alice.id)
    assert mine == "alice@example.org"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"username": "Alice"}, "username_taken"),
        ({"username": ""}, "invalid_input"),
        ({"username": "a b"}, "invalid_input"),
        ({"username": "-dash"}, "invalid_input"),
        ({"username": "x" * 65}, "invalid_input"),
        ({"username": "d\u043era"}, "invalid_input"),
        ({"password": "dora"}, "invalid_input"),
        ({"password": "x" * 73}, "invalid_input"),
        ({"username": "doradora", "password": "DoraDora"}, "invalid_input"),
        ({"email": "nonsense"}, "invalid_input"),
        ({"email": "a@b\r\nBcc: x@example.org"}, "invalid_input"),
        ({"email": ""}, "invalid_input"),
        ({"email": "x" * 250 + "@example.org"}, "invalid_input"),
        ({"full_name": "x" * 201}, "invalid_input"),
    ],
)
async def test_register_when_something_is_wrong_then_it_is_refused(
    deps: Deps, alice: Person, change: dict[str, str], code: str
) -> None:
    async with open_platform(deps, registration="open") as api:
        answer = await api.post("/api/auth/register", json={**NEW, **change})

    problem(answer, 409 if code == "username_taken" else 400, code)
    assert await deps.pool.fetchval("select count(*) from users") == 1


async def test_register_when_sent_again_with_its_key_then_the_first_answer_comes_again(
    deps: Deps,
) -> None:
    key = {"Idempotency-Key": "register-1"}
    async with open_platform(deps, registration="open") as api:
        first = await api.post("/api/auth/register", json=NEW, headers=key)
        second = await api.post("/api/auth/register", json=NEW, headers=key)
        guess = await api.post(
            "/api/auth/register", json={**NEW, "password": "another horse 8"}, headers=key
        )
        without = await api.post("/api/auth/register", json=NEW)

    assert (first.status, second.status) == (201, 201)
    assert second.body == first.body
    assert second.headers["Idempotency-Replayed"] == "true"
    problem(guess, 422, "idempotency_key_reused")
    problem(without, 409, "username_taken")
    assert await deps.pool.fetchval("select count(*) from outbox") == 1


async def test_register_when_role_is_given_then_it_is_passed_over(deps: Deps) -> None:
    async with open_platform(deps, registration="open") as api:
        made = await api.post("/api/auth/register", json={**NEW, "role": "admin", "id": 1})

    assert made.json()["role"] == "user"


async def test_register_when_sent_in_masses_then_it_is_slowed_down(deps: Deps) -> None:
    async with open_platform(deps, registration="open") as api:
        statuses = [
            (await api.post("/api/auth/register", json={**NEW, "username": f"d{n}"})).status
            for n in range(6)
        ]

    assert statuses == [201] * 5 + [429]


# The first administrator


async def setup_path(deps: Deps) -> str:
    link = await ensure_setup_link(deps)
    assert link is not None
    assert link.startswith("http://platform.test/ui/setup/")
    return link.replace("http://platform.test/ui/", "/api/auth/")


ADMIN = {"username": "root", "password": PASSWORD, "email": "root@example.org"}


async def test_setup_when_link_is_used_then_there_is_an_administrator_and_no_more_links(
    client: Api, deps: Deps
) -> None:
    first, second = await setup_path(deps), await setup_path(deps)

    assert (await client.get(first)).status == 200
    made = await client.post(first, json=ADMIN)

    assert made.status == 201
    assert made.json()["user"]["role"] == "admin"
    token = made.json()["access_token"]
    assert (await client.get("/audit", headers={"Authorization": f"Bearer {token}"})).status == 200
    problem(await client.post(first, json={**ADMIN, "username": "two"}), 404, "link_gone")
    problem(await client.post(second, json={**ADMIN, "username": "two"}), 404, "link_gone")
    assert await ensure_setup_link(deps) is None


async def test_setup_when_two_links_are_used_at_once_then_one_administrator_is_made(
    client: Api, deps: Deps
) -> None:
    links = [await setup_path(deps) for _ in range(4)]

    answers = await asyncio.gather(
        *(
            client.post(link, json={**ADMIN, "username": f"root{n}", "email": f"r{n}@example.org"})
            for n, link in enumerate(links)
        )
    )

    assert sorted(answer.status for answer in answers) == [201, 404, 404, 404]
    assert await deps.pool.fetchval("select count(*) from users where role = 'admin'") == 1


async def test_setup_when_there_is_an_administrator_then_an_old_link_is_gone(
    client: Api, deps: Deps
) -> None:
    link = await setup_path(deps)
    await factories.make_person(deps, "root", role="admin")

    problem(await client.get(link), 404, "link_gone")
    problem(await client.post(link, json={**ADMIN, "username": "two"}), 404, "link_gone")


@pytest.mark.parametrize("token", ["x" * 43, "A" * 20])
async def test_setup_when_token_is_made_up_then_it_is_gone(client: Api, token: str) -> None:
    problem(await client.post(f"/api/auth/setup/{token}", json=ADMIN), 404, "link_gone")
