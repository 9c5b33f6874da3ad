"""Signing in and out over HTTP, and passwords: changed, and set anew by a mailed link."""

import bcrypt
import msgspec
import pytest

from app.usecases.deps import Deps
from tests import factories
from tests.support.api import Api
from tests.support.deps import Clock
from tests.support.people import PASSWORD, Person
from tests.support.signing_in import actions, login, mailed_link, me, open_platform
from tests.web.test_problems import problem

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
