"""Getting an account over HTTP: registration, and the first administrator."""

import asyncio

import pytest

from app.usecases.deps import Deps
from app.usecases.one_time import ensure_setup_link
from tests import factories
from tests.support.api import Api
from tests.support.people import PASSWORD, Person
from tests.support.signing_in import login, mailed_link, me, open_platform
from tests.web.test_problems import problem

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
