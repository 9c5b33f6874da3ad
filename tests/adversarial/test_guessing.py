"""Guessing passwords: at one account, at many, at once; those who know theirs are not held up for ever."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from app.security.passwords import Passwords
from app.usecases.deps import Deps
from tests.adversarial.refusals import refused
from tests.support.api import Answer, Api
from tests.support.people import PASSWORD, Person

ATTEMPTS = 5
FLOOD = 300


@pytest.fixture
def deps(deps: Deps) -> Deps:
    return replace(deps, passwords=Passwords(4, ATTEMPTS))


async def login(client: Api, username: str, password: str) -> Answer:
    return await client.post("/api/auth/login", json={"username": username, "password": password})


async def test_login_when_an_address_tries_many_names_at_once_then_few_are_hashed_and_written(
    client: Api, deps: Deps, alice: Person
) -> None:
    answers = await asyncio.gather(
        *(login(client, f"somebody{number}", PASSWORD) for number in range(FLOOD))
    )
    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() == {401, 429}
    assert statuses[401] < 50, "each costs a hash, and a row"
    failed = await deps.pool.fetchval(
        "select count(*) from audit_logs where action = 'auth.login_failed'"
    )
    assert failed == statuses[401]
    for answer in answers:
        if answer.status == 429:
            refused(answer, 429, "too_many_attempts")
            assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert (await client.get("/users/me", as_=alice)).status == 200, (
        "who is signed in is not held up"
    )


async def test_login_when_many_know_their_password_then_none_is_slowed_down(
    client: Api, alice: Person, bob: Person
) -> None:
    names = ["alice", "bob"] * 30  # as many as a cluster's jobs behind one address, in small waves
    for start in range(0, len(names), 4):
        wave = [login(client, name, PASSWORD) for name in names[start : start + 4]]
        assert {answer.status for answer in await asyncio.gather(*wave)} == {200}


async def test_login_when_the_name_is_written_in_many_ways_then_it_is_one_account(
    client: Api, alice: Person
) -> None:
    spellings = ["alice", "ALICE", " alice", "alice ", "Alice", "aLiCe\t", "\u00a0alice", "alicE"]
    answers = [await login(client, name, f"guess {name!r}") for name in spellings]
    assert [answer.status for answer in answers] == [401] * ATTEMPTS + [429] * (
        len(spellings) - ATTEMPTS
    )


ODD_NAMES = [
    "", " ", "alice\u0000"[:-1] + "\u200b", "a" * 1000, "'; drop table users; --", "alice' or '1'='1", "*", "%", "_lice", "alice@example.org", "\u202eecila", "root\n",
]  # fmt: skip


async def test_login_when_the_name_is_odd_then_the_answer_is_that_of_a_wrong_password(
    client: Api, deps: Deps, alice: Person
) -> None:
    shapes = set()
    for name in [*ODD_NAMES, "alice"]:
        answer = await login(client, name, "wrong" if name == "alice" else PASSWORD)
        told = refused(answer, 401, "invalid_credentials", about=name)
        shapes.add(str({**told, "request_id": ""}))
    assert len(shapes) == 1


async def test_password_when_changed_by_guessing_then_it_is_slowed_down_too(
    client: Api, alice: Person
) -> None:
    statuses = []
    for number in range(ATTEMPTS + 2):
        body = {"current_password": f"guess {number}", "new_password": "another horse 8"}
        answer = await client.post("/api/auth/password", as_=alice, json=body)
        statuses.append(answer.status)
    assert statuses == [400] * ATTEMPTS + [429] * 2
