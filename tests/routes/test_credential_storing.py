"""Storing a credential over HTTP: sealed, judged, replaced, made once, and never shown."""

import asyncio
import base64

import pytest

from app.core.models import Service
from app.usecases.credentials import open_credential
from app.usecases.deps import Deps
from tests import factories
from tests.fakes.cloudgene import GOOD_TOKEN
from tests.support.api import Answer, Api
from tests.support.credentials import PATH, in_days, jwt_token, opened_token, store
from tests.support.people import Person
from tests.web.test_problems import problem

# Storing


async def test_store_when_new_then_it_is_kept_and_never_shown(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    answer = await store(client, alice, service, f"  \n{GOOD_TOKEN}\t ", label=" my\ntoken ")

    assert answer.status == 201
    given = answer.json()
    assert given["service_id"] == service.id
    assert given["label"] == "my token"
    assert given["credential_type"] == "token"
    assert given["is_active"] is True
    assert given["is_verified"] is False
    assert given["has_api_token"] is True
    assert given["expires_at"] == "2100-01-01T00:00:00Z"
    assert given["warnings"] == []
    assert GOOD_TOKEN not in answer.text
    listed = await client.get(PATH, as_=alice)
    assert [item["id"] for item in listed.json()] == [given["id"]]
    assert listed.headers["X-Total-Count"] == "1"
    assert GOOD_TOKEN not in listed.text
    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN


async def test_store_when_done_then_no_table_holds_the_token(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    await store(client, alice, service, headers={})

    tables = await deps.pool.fetch("select tablename from pg_tables where schemaname = 'public'")
    hidden = [GOOD_TOKEN, GOOD_TOKEN.encode().hex(), base64.b64encode(GOOD_TOKEN.encode()).decode()]
    for table in tables:
        for row in await deps.pool.fetch(f"select t::text as text from {table['tablename']} t"):
            assert not any(form in row["text"] for form in hidden), table


async def test_store_when_there_was_one_then_it_is_replaced_and_no_longer_verified(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    first = (await store(client, alice, service)).json()
    await deps.pool.execute(
        "update user_service_credentials set is_verified = true, verified_at = now(), rejected_at = now(),"
        " account_name = 'jdoe', is_active = false"
    )
    other = jwt_token(sub="x", exp=int(in_days(30).timestamp()))

    answer = await store(client, alice, service, other)

    assert answer.status == 200
    second = answer.json()
    assert second["id"] == first["id"]
    assert (second["is_verified"], second["is_active"]) == (False, True)
    assert (second["account_name"], second["rejected_at"]) == (None, None)
    assert await opened_token(deps, service.id, alice) == other
    actions = await deps.pool.fetch("select action from audit_logs order by id")
    assert [row["action"] for row in actions] == ["credential.created", "credential.replaced"]


@pytest.mark.parametrize(
    "token",
    ["", "   ", "two words", "line\nbreak", '"quoted"', "'quoted'", "\u201cquoted\u201d", "x" * 8193, "tök",
     "a\tb", "nul\u0001", "emoji\U0001f600", "a\u200bb"],
)  # fmt: skip
async def test_store_when_it_can_be_no_token_then_400_and_it_is_not_repeated(
    client: Api, alice: Person, service: Service, token: str
) -> None:
    answer = await store(client, alice, service, token)

    body = problem(answer, 400, "invalid_credential")
    assert body["errors"][0]["field"] == "api_token"
    assert not token.strip() or token not in answer.text


async def test_store_when_longer_than_any_field_then_400(
    client: Api, alice: Person, service: Service
) -> None:
    answer = await store(client, alice, service, "SECRET" * 10_000)

    problem(answer, 400, "invalid_input")
    assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("plain-token", "does not look like"),
        (jwt_token(exp=1_600_000_000), "has expired"),
        (jwt_token(exp=int(in_days(2).timestamp())), "within three days"),
        (jwt_token(expire=1_600_000_000_000), "has expired"),
    ],
    ids=["no token of a known form", "expired", "expires soon", "expired in milliseconds"],
)
async def test_store_when_token_looks_odd_then_it_is_taken_with_a_warning(
    client: Api, alice: Person, service: Service, token: str, words: str
) -> None:
    answer = await store(client, alice, service, token)

    assert answer.status == 201
    assert any(words in warning for warning in answer.json()["warnings"])


@pytest.mark.parametrize(
    "token", ["h3a_abcDEF123", jwt_token(sub="a"), jwt_token(exp="soon"), jwt_token(exp=1e300)]
)
async def test_store_when_token_says_nothing_odd_then_no_warning(
    client: Api, alice: Person, service: Service, token: str
) -> None:
    answer = await store(client, alice, service, token)

    assert answer.json()["warnings"] == []
    assert answer.json()["expires_at"] is None


async def test_store_when_connection_is_plain_then_a_warning_says_so(
    client: Api, alice: Person, live: Service
) -> None:
    answer = await store(client, alice, live)

    assert any("not encrypted" in warning for warning in answer.json()["warnings"])


async def test_store_when_service_is_not_there_then_404(client: Api, alice: Person) -> None:
    for service_id in (999, 2**62):
        body = {"service_id": service_id, "api_token": GOOD_TOKEN}
        problem(await client.post(PATH, json=body, as_=alice), 404, "not_found")


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("token", {"username": "a", "password": "b"}, "username"),
        ("token", {"api_token": "t", "password": "b", "username": "a"}, "username"),
        ("token", {}, "api_token"),
        ("password", {"api_token": "t"}, "api_token"),
        ("password", {"username": "a"}, "password"),
        ("password", {"password": "a"}, "username"),
        ("password", {"username": "a", "password": "b\nc"}, "password"),
    ],
)
async def test_store_when_it_is_not_what_the_service_asks_for_then_400(
    client: Api, deps: Deps, alice: Person, kind: str, given: dict[str, str], field: str
) -> None:
    service = await factories.make_service(deps, credential_kind=kind)
    answer = await client.post(PATH, json={"service_id": service.id, **given}, as_=alice)

    assert problem(answer, 400, "invalid_credential")["errors"][0]["field"] == field


async def test_store_when_service_asks_for_none_then_400(
    client: Api, deps: Deps, alice: Person
) -> None:
    service = await factories.make_service(deps, credential_kind="none")

    problem(await store(client, alice, service), 400, "no_credential_needed")


async def test_store_when_service_asks_for_a_password_then_both_are_sealed(
    client: Api, deps: Deps, alice: Person
) -> None:
    service = await factories.make_service(deps, credential_kind="password")
    body = {"service_id": service.id, "username": " jdoe ", "password": " p w "}

    answer = await client.post(PATH, json=body, as_=alice)

    assert answer.json()["credential_type"] == "password"
    opened = await open_credential(deps, service, alice.id)
    assert opened.credential is not None
    assert (opened.credential.username, opened.credential.password) == ("jdoe", " p w ")
    assert "p w" not in repr(opened)


# The same request twice


async def test_store_when_sent_twice_with_a_key_then_the_first_answer_comes_again(
    client: Api, deps: Deps, alice: Person, bob: Person, service: Service
) -> None:
    key = {"Idempotency-Key": "store-1"}

    first = await store_keyed(client, alice, service, key)
    second = await store_keyed(client, alice, service, key)
    through_api = await client.post(
        f"/api{PATH}",
        json={"service_id": service.id, "api_token": GOOD_TOKEN},
        headers=key,
        as_=alice,
    )
    others = await store_keyed(client, bob, service, key)
    changed = await client.post(
        PATH, json={"service_id": service.id, "api_token": "h3a_other"}, headers=key, as_=alice
    )

    assert (first.status, second.status, through_api.status, others.status) == (201, 201, 201, 201)
    assert second.body == first.body
    assert second.headers["Idempotency-Replayed"] == "true"
    assert through_api.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert "Idempotency-Replayed" not in others.headers
    problem(changed, 422, "idempotency_key_reused")
    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN
    assert await deps.pool.fetchval("select count(*) from audit_logs") == 2


async def store_keyed(
    client: Api, person: Person, service: Service, headers: dict[str, str]
) -> Answer:
    body = {"service_id": service.id, "api_token": GOOD_TOKEN}
    return await client.post(PATH, json=body, headers=headers, as_=person)


async def test_store_when_sent_many_times_at_once_then_it_happens_once(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    key = {"Idempotency-Key": "store-2"}

    answers = await asyncio.gather(*(store_keyed(client, alice, service, key) for _ in range(6)))

    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await deps.pool.fetchval("select count(*) from audit_logs") == 1


async def test_store_when_the_first_try_was_refused_then_the_key_is_still_free(
    client: Api, alice: Person, service: Service
) -> None:
    key = {"Idempotency-Key": "store-3"}
    refused = await client.post(
        PATH, json={"service_id": service.id, "api_token": "two words"}, headers=key, as_=alice
    )

    assert refused.status == 400
    assert (await store_keyed(client, alice, service, key)).status == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\u00e4"])
async def test_store_when_the_key_cannot_be_kept_then_400(
    client: Api, alice: Person, service: Service, key: str
) -> None:
    answer = await store_keyed(client, alice, service, {"Idempotency-Key": key})

    problem(answer, 400, "invalid_idempotency_key")
