"""The own credentials for services, over HTTP: stored, replaced, asked about, moved, and never shown."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from app.core.errors import NoCredentials
from app.core.models import Service, build
from app.usecases.credentials import open_credential
from app.usecases.deps import Deps
from tests import factories
from tests.fakes.cloudgene import GOOD_TOKEN, REVOKED_TOKEN, FakeCloudgene
from tests.support.api import Answer, Api
from tests.support.people import Person
from tests.web.test_problems import problem

PATH = "/users/me/service-credentials"


def jwt_token(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(claims)}.c2lnbmF0dXJl"


def in_days(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@pytest.fixture
async def service(deps: Deps) -> Service:
    return await factories.make_service(deps, name="H3Africa")


@pytest.fixture
async def remote() -> AsyncIterator[FakeCloudgene]:
    async with FakeCloudgene() as server:
        yield server


@pytest.fixture
async def live(deps: Deps, remote: FakeCloudgene) -> Service:
    return await factories.make_service(deps, name="Live", base_url=remote.url, allow_insecure=True)


async def store(
    client: Api, person: Person, service: Service, token: str = GOOD_TOKEN, **more: Any
) -> Answer:
    body = {"service_id": service.id, "api_token": token, **more}
    return await client.post(PATH, json=body, as_=person)


async def opened_token(deps: Deps, service_id: int, person: Person) -> str | None:
    row = await deps.pool.fetchrow("select * from services where id = $1", service_id)
    opened = await open_credential(deps, build(Service, row), person.id)
    return opened.credential.token if opened.credential else None


async def move(deps: Deps, service: Service, url: str) -> None:
    await deps.pool.execute("update services set base_url = $1 where id = $2", url, service.id)


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


# Others


@pytest.mark.parametrize(("method", "tail"), [("PATCH", ""), ("DELETE", ""), ("POST", "/verify")])
async def test_credential_when_somebody_else_asks_then_404(
    client: Api, deps: Deps, alice: Person, bob: Person, service: Service, method: str, tail: str
) -> None:
    made = (await store(client, alice, service)).json()

    answer = await client.request(method, f"{PATH}/{made['id']}{tail}", json={}, as_=bob)

    problem(answer, 404, "not_found")
    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN


async def test_credential_when_its_row_is_copied_to_another_user_then_it_does_not_open(
    client: Api, deps: Deps, alice: Person, bob: Person, service: Service
) -> None:
    await store(client, alice, service)
    await store(client, bob, service, "bobs-token")
    await deps.pool.execute(
        "update user_service_credentials b set secret = a.secret from user_service_credentials a"
        " where a.user_id = $1 and b.user_id = $2",
        alice.id,
        bob.id,
    )

    with pytest.raises(NoCredentials) as caught:
        await open_credential(deps, service, bob.id)
    assert caught.value.code == "credential_unreadable"


# Changing


async def test_change_when_label_is_given_then_the_rest_stays(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    made = (await store(client, alice, service, label="old")).json()
    await deps.pool.execute("update user_service_credentials set is_verified = true")

    answer = await client.patch(f"{PATH}/{made['id']}", json={"label": "new"}, as_=alice)

    assert answer.json()["label"] == "new"
    assert answer.json()["is_verified"] is True
    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN


async def test_change_when_switched_off_then_jobs_find_none_until_it_is_on_again(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    made = (await store(client, alice, service)).json()
    await client.patch(f"{PATH}/{made['id']}", json={"is_active": False}, as_=alice)
    with pytest.raises(NoCredentials):
        await open_credential(deps, service, alice.id)

    await client.patch(f"{PATH}/{made['id']}", json={"is_active": True}, as_=alice)

    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN


async def test_change_when_a_new_token_is_given_then_it_counts_as_unverified(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    made = (await store(client, alice, service, label="kept")).json()
    await deps.pool.execute("update user_service_credentials set is_verified = true")

    body = {"api_token": "h3a_new"}
    answer = await client.patch(f"{PATH}/{made['id']}", json=body, as_=alice)

    assert answer.json()["is_verified"] is False
    assert answer.json()["label"] == "kept"
    assert await opened_token(deps, service.id, alice) == "h3a_new"


async def test_move_when_the_service_changed_its_origin_then_nothing_is_sent_until_confirmed(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    made = (await store(client, alice, service)).json()
    path = f"{PATH}/{made['id']}"
    await move(deps, service, "https://new.example.org/imputation")

    with pytest.raises(NoCredentials) as caught:
        await opened_token(deps, service.id, alice)
    shown = (await client.get(PATH, as_=alice)).json()[0]
    tested = await client.post(f"{path}/verify", as_=alice)
    wrong = await client.patch(path, json={"confirm_origin": "https://evil.example"}, as_=alice)
    right = await client.patch(
        path, json={"confirm_origin": "https://new.example.org:443"}, as_=alice
    )

    assert caught.value.code == "credential_unconfirmed"
    assert shown["needs_confirmation"] is True
    assert shown["origin"] == "https://imputation.example.org:443"
    assert shown["service_origin"] == "https://new.example.org:443"
    problem(tested, 400, "credential_unconfirmed")
    problem(wrong, 409, "origin_changed")
    assert right.json()["needs_confirmation"] is False
    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN


@pytest.mark.parametrize("origin", ["", "nonsense", "http://[", "https://x:99999", "\u2603"])
async def test_move_when_confirmed_with_nonsense_then_it_is_refused(
    client: Api, deps: Deps, alice: Person, service: Service, origin: str
) -> None:
    made = (await store(client, alice, service)).json()
    await move(deps, service, "https://new.example.org")

    answer = await client.patch(f"{PATH}/{made['id']}", json={"confirm_origin": origin}, as_=alice)

    problem(answer, 409, "origin_changed")


async def test_move_when_only_the_path_changed_then_the_credential_still_counts(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    await store(client, alice, service)
    await move(deps, service, "HTTPS://Imputation.Example.org:443/under/a/path")

    assert await opened_token(deps, service.id, alice) == GOOD_TOKEN


async def test_delete_when_done_then_it_is_gone(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    made = (await store(client, alice, service)).json()

    assert (await client.delete(f"{PATH}/{made['id']}", as_=alice)).status == 204
    problem(await client.delete(f"{PATH}/{made['id']}", as_=alice), 404, "not_found")
    with pytest.raises(NoCredentials) as caught:
        await open_credential(deps, service, alice.id)
    assert caught.value.code == "no_credentials"
    assert await deps.pool.fetchval("select count(*) from user_service_credentials") == 0


# Asking the service


async def test_verify_when_accepted_then_account_and_time_are_kept(
    client: Api, alice: Person, live: Service
) -> None:
    made = (await store(client, alice, live)).json()

    answer = await client.post(f"{PATH}/{made['id']}/verify", as_=alice)

    given = answer.json()
    assert answer.status == 200
    assert given["is_valid"] is True
    assert given["account_name"] == "jdoe"
    kept = (await client.get(PATH, as_=alice)).json()[0]
    assert kept["is_verified"] is True
    assert kept["account_name"] == "jdoe"
    assert kept["verified_at"].endswith("Z")
    assert given["credential"] == kept | {"warnings": given["credential"]["warnings"]}
    assert GOOD_TOKEN not in answer.text


async def test_verify_when_refused_then_that_is_an_answer_and_is_kept(
    client: Api, alice: Person, live: Service
) -> None:
    made = (await store(client, alice, live, REVOKED_TOKEN)).json()

    answer = await client.post(f"{PATH}/{made['id']}/verify", as_=alice)

    assert answer.status == 200
    assert answer.json()["is_valid"] is False
    kept = (await client.get(PATH, as_=alice)).json()[0]
    assert kept["is_verified"] is False
    assert kept["rejected_at"] is not None
    assert REVOKED_TOKEN not in answer.text


async def test_verify_when_the_service_is_away_then_503_and_nothing_is_concluded(
    client: Api, deps: Deps, alice: Person, service: Service
) -> None:
    async with FakeCloudgene() as remote:
        url = remote.url
    live = await factories.make_service(deps, base_url=url, allow_insecure=True)
    made = (await store(client, alice, live)).json()

    problem(await client.post(f"{PATH}/{made['id']}/verify", as_=alice), 503, "service_unavailable")

    kept = (await client.get(PATH, as_=alice)).json()[0]
    assert (kept["is_verified"], kept["rejected_at"]) == (False, None)


async def test_verify_when_pressed_again_and_again_then_it_is_slowed_down(
    client: Api, alice: Person, live: Service
) -> None:
    made = (await store(client, alice, live)).json()

    answers = [await client.post(f"{PATH}/{made['id']}/verify", as_=alice) for _ in range(11)]

    assert [answer.status for answer in answers] == [200] * 10 + [429]


async def test_try_when_nothing_is_stored_then_the_service_is_asked_and_nothing_is_kept(
    client: Api, deps: Deps, alice: Person, live: Service, remote: FakeCloudgene
) -> None:
    good = await client.post(
        f"{PATH}/test", json={"service_id": live.id, "api_token": f" {GOOD_TOKEN} "}, as_=alice
    )
    bad = await client.post(
        f"{PATH}/test", json={"service_id": live.id, "api_token": REVOKED_TOKEN}, as_=alice
    )

    assert good.json()["is_valid"] is True
    assert good.json()["account_name"] == "jdoe"
    assert good.json()["credential"] is None
    assert bad.json()["is_valid"] is False
    assert remote.requests
    assert await deps.pool.fetchval("select count(*) from user_service_credentials") == 0
    assert await deps.pool.fetchval("select count(*) from audit_logs") == 2


# What jobs are sent with


async def test_open_when_none_is_stored_then_the_refusal_says_what_to_do(
    deps: Deps, alice: Person, service: Service
) -> None:
    with pytest.raises(NoCredentials) as caught:
        await open_credential(deps, service, alice.id)

    error = caught.value
    assert error.code == "no_credentials"
    assert (
        error.message == "You must configure your H3Africa API credentials before submitting jobs"
    )
    assert error.action == "Go to Settings → Service Credentials"
    assert error.extra["service_id"] == service.id


async def test_open_when_service_asks_for_none_then_there_is_none(
    deps: Deps, alice: Person
) -> None:
    service = await factories.make_service(deps, credential_kind="none")

    opened = await open_credential(deps, service, alice.id)

    assert (opened.credential, opened.source) == (None, "none")


@pytest.mark.parametrize(
    ("policy", "shared_with", "expected"),
    [
        ("per_user", {"roles": ["user", "admin"]}, None),
        ("shared", {"roles": ["user"]}, "shared-token"),
        ("shared", {"roles": ["admin"]}, None),
        ("shared", {"users": ["ALICE"]}, "shared-token"),
        ("shared", {"users": ["bob"]}, None),
        ("shared", {}, None),
    ],
)
async def test_open_when_a_token_is_shared_then_only_those_named_use_it(
    client: Api,
    deps: Deps,
    alice: Person,
    admin: Person,
    policy: str,
    shared_with: dict[str, Any],
    expected: str | None,
) -> None:
    service = await factories.make_service(deps, credential_policy=policy, shared_with=shared_with)
    body = {"api_config": {"api_token": "shared-token"}}
    answer = await client.patch(f"/services/{service.id}", json=body, as_=admin)
    assert answer.status == 200, answer.text

    if expected is None:
        with pytest.raises(NoCredentials):
            await opened_token(deps, service.id, alice)
    else:
        assert await opened_token(deps, service.id, alice) == expected
        await store(client, alice, service, "h3a_own")
        assert await opened_token(deps, service.id, alice) == "h3a_own", "one's own goes first"


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
