"""Stored credentials over HTTP: one's own alone, changed, moved, deleted, asked about, and what jobs are sent with."""

from typing import Any

import pytest

from app.core.errors import NoCredentials
from app.core.models import Service
from app.usecases.credentials import open_credential
from app.usecases.deps import Deps
from tests import factories
from tests.fakes.cloudgene import GOOD_TOKEN, REVOKED_TOKEN, FakeCloudgene
from tests.support.api import Api
from tests.support.credentials import PATH, move, opened_token, store
from tests.support.people import Person
from tests.web.test_problems import problem

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
