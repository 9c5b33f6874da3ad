"""The pages of credentials, services, notifications and files, without JavaScript."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.usecases.deps import Deps
from tests import factories
from tests.support.api import Api
from tests.support.jobs import make_desk
from tests.support.people import Person
from tests.support.sandbox import open_sandbox
from tests.support.world import Sandbox

LIST = "/ui/settings/service-credentials"
SECRET = "plantedsecrettoken4711"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


async def make_service(client: Api, admin: Person, sandbox: Sandbox) -> int:
    body = {
        "name": "Sandbox", "slug": "sandbox", "api_type": "michigan", "base_url": sandbox.base, "allow_insecure": True,
        "credential_kind": "token", "country": "ML",
    }  # fmt: skip
    answer = await client.post("/services", as_=admin, json=body)
    assert answer.status == 201, answer.text
    return int(answer.json()["id"])


async def test_list_when_a_service_asks_for_a_token_then_it_says_setup_required(
    client: Api, alice: Person, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)

    answer = await client.get(LIST, as_=alice)

    assert "Setup required" in answer.text
    assert f"{LIST}/new?service={service}" in answer.text


async def test_token_when_stored_then_verified_and_never_shown(
    client: Api, alice: Person, bob: Person, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)
    fields = {"service": str(service), "api_token": sandbox.token, "label": "lab", "do": "save"}
    answer = await client.post(f"{LIST}/new", as_=alice, data={**fields, "next": "/ui/jobs/new"})
    assert answer.status == 303
    assert answer.headers["Location"] == "/ui/jobs/new?done=credential-saved"

    shown = await client.get(LIST, as_=alice)
    assert "Verified" in shown.text
    assert sandbox.token not in shown.text
    number = re.search(rf"{LIST}/(\d+)/verify", shown.text)
    assert number is not None
    for path in ("", "/delete"):
        own = await client.get(f"{LIST}/{number[1]}{path}", as_=alice)
        assert own.status == 200
        assert sandbox.token not in own.text
        assert (await client.get(f"{LIST}/{number[1]}{path}", as_=bob)).status == 404
    for path in ("", "/verify", "/delete", "/confirm"):
        assert (await client.post(f"{LIST}/{number[1]}{path}", as_=bob, data={})).status == 404

    answer = await client.post(f"{LIST}/{number[1]}/delete", as_=alice, data={})
    assert answer.status == 303
    assert "Setup required" in (await client.get(LIST, as_=alice)).text


async def test_token_when_wrong_then_stored_and_told(
    client: Api, alice: Person, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)
    fields = {"service": str(service), "api_token": SECRET}

    tried = await client.post(f"{LIST}/new", as_=alice, data={**fields, "do": "test"})
    assert tried.status == 200
    assert SECRET not in tried.text
    assert (
        "not take" in tried.text
        or "reject" in tried.text.lower()
        or "invalid" in tried.text.lower()
    )
    assert "Setup required" in (await client.get(LIST, as_=alice)).text, "a test stores nothing"

    saved = await client.post(f"{LIST}/new", as_=alice, data={**fields, "do": "save"})
    assert saved.status == 200, "a page tells what the service thinks of it"
    assert "stored all the same" in saved.text
    assert SECRET not in saved.text
    shown = await client.get(LIST, as_=alice)
    assert "Rejected" in shown.text
    assert SECRET not in shown.text


async def test_form_when_refused_then_says_why_and_keeps_what_is_no_secret(
    client: Api, alice: Person, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)
    fields = {"service": str(service), "api_token": f"{SECRET} with blanks", "label": "my lab"}

    answer = await client.post(f"{LIST}/new", as_=alice, data={**fields, "do": "save"})
    assert answer.status == 400
    assert "my lab" in answer.text
    assert SECRET not in answer.text
    assert "e-api_token" in answer.text

    part = await client.post(
        f"{LIST}/new", as_=alice, data={**fields, "do": "save"}, headers={"HX-Request": "true"}
    )
    assert part.status == 422
    assert "<html" not in part.text


async def test_services_when_a_stranger_looks_then_public_words_only(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)

    page = await client.get("/ui/services")
    assert "Sandbox" in page.text
    assert "Mali" in page.text
    assert "New job here" not in page.text
    assert "No service fits" in (await client.get("/ui/services?q=nowhere")).text
    assert "Sandbox" in (await client.get("/ui/services?q=mali")).text
    one = await client.get(f"/ui/services/{service}")
    assert one.status == 200
    assert "API Token" in one.text
    assert (await client.get("/ui/services/4711")).status == 404


async def test_notifications_when_opened_then_read_and_lead_on(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    number = await deps.pool.fetchval(
        "insert into notifications (user_id, dedup_key, type, title, message, channels, data)"
        " values ($1, 'd', 'job_completed', 'Results ready', 'm', '{web}', $2) returning id",
        alice.id,
        {"action_url": "http://platform.test/ui/jobs"},
    )
    assert "1 unread" in (await client.get("/ui/bell", as_=alice)).text
    assert (await client.post(f"/ui/notifications/{number}/open", as_=bob, data={})).status == 404
    assert "Results ready" in (await client.get("/ui/notifications?show=unread", as_=alice)).text

    opened = await client.post(f"/ui/notifications/{number}/open", as_=alice, data={})

    assert opened.headers["Location"] == "/ui/jobs"
    assert "0 unread" in (await client.get("/ui/bell", as_=alice)).text
    assert "Nothing here" in (await client.get("/ui/notifications?show=unread", as_=alice)).text
    assert (
        "Nothing here" in (await client.get("/ui/notifications?kind=credentials", as_=alice)).text
    )


async def test_files_when_listed_then_own_only_and_deleted_with_a_word(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    desk = await make_desk(deps, alice)
    shown = await client.get("/ui/files", as_=alice)
    assert shown.status == 200
    assert desk is not None
    number = await deps.pool.fetchval(
        "insert into files (user_id, kind, name, storage_key, size_bytes, sha256, content_type)"
        " values ($1, 'input', '<b>odd</b>.vcf.gz', $2, 10, repeat('a', 64), 'application/gzip') returning id",
        alice.id,
        "a" * 32,
    )
    shown = await client.get("/ui/files", as_=alice)
    assert "&lt;b&gt;odd" in shown.text
    assert "<b>odd" not in shown.text
    assert "odd" not in (await client.get("/ui/files", as_=bob)).text
    assert (await client.get(f"/ui/files/{number}/delete", as_=bob)).status == 404
    assert (await client.post(f"/ui/files/{number}/delete", as_=bob, data={})).status == 404
    gone = await client.post(f"/ui/files/{number}/delete", as_=alice, data={})
    assert gone.status == 303
    assert "odd" not in (await client.get("/ui/files", as_=alice)).text


async def test_token_when_tested_in_place_then_only_the_word_is_given(
    client: Api, alice: Person, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)
    part = {"HX-Request": "true", "HX-Target": "credential-word"}
    fields = {"service": str(service), "do": "test"}

    good = await client.post(
        f"{LIST}/new", as_=alice, data={**fields, "api_token": sandbox.token}, headers=part
    )
    assert good.status == 200
    assert "The service takes it" in good.text
    assert "<form" not in good.text
    empty = await client.post(
        f"{LIST}/new", as_=alice, data={**fields, "api_token": ""}, headers=part
    )
    assert empty.status == 422
    assert "<form" not in empty.text


async def test_service_when_looked_at_over_a_month_then_says_what_was_seen(
    client: Api, deps: Deps, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)
    await deps.pool.execute("delete from service_health")
    for hours, state, latency in (
        (50, "up", 12.0),
        (49.98, "down", None),
        (49.96, "up", 20.0),
        (100, "up", 14.0),
    ):
        await deps.pool.execute(
            "insert into service_health (service_id, checked_at, state, latency_ms)"
            " values ($1, $2::timestamptz - make_interval(secs => $3), $4, $5)",
            service,
            deps.now(),
            hours * 3600,
            state,
            latency,
        )

    month = await client.get(f"/ui/services/{service}?window=30d")
    assert month.text.count('data-state="down"') == 2, "one part and the legend"
    assert "at most 16 ms" in month.text
    day = await client.get(f"/ui/services/{service}?window=nonsense")
    assert day.status == 200
    assert day.text.count('data-state="down"') == 1
    assert "too few have ended" in day.text


async def test_services_when_sorted_and_filtered_by_nonsense_then_shown_all_the_same(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service = await make_service(client, admin, sandbox)

    assert "Sandbox" in (await client.get("/ui/services?sort=nonsense")).text
    for sort in ("health", "name", "panels", "wait"):
        assert "Sandbox" in (await client.get(f"/ui/services?sort={sort}")).text
    assert "No service fits" in (await client.get("/ui/services?build=hg99")).text
    assert (await client.get(f"/ui/services/{service}?panel=%25%27")).status == 200
    assert (await client.get(f"/ui/services/{'9' * 30}")).status in (400, 404)


async def test_notification_when_of_a_type_unknown_here_then_shown_all_the_same(
    client: Api, deps: Deps, alice: Person
) -> None:
    await deps.pool.execute(
        "insert into notifications (user_id, dedup_key, type, title, message, channels)"
        " values ($1, 'x', 'something_new', 'News of tomorrow', 'm', '{web}')",
        alice.id,
    )
    shown = await client.get("/ui/notifications?limit=abc", as_=alice)
    assert shown.status == 400, "a page says what is wrong with the address"
    assert "News of tomorrow" in (await client.get("/ui/notifications", as_=alice)).text
    assert (await client.post("/ui/notifications/read-all", as_=alice, data={})).status == 303
    assert "0 unread" in (await client.get("/ui/bell", as_=alice)).text


async def test_standing_when_a_lent_credential_is_not_stored_then_pages_agree_that_one_is_needed(
    client: Api, deps: Deps, alice: Person
) -> None:
    service = await factories.make_service(
        deps, credential_policy="shared", shared_with={"roles": ["user"]}
    )
    await factories.make_panel(deps, service)

    for path in (f"/ui/services/{service.id}", "/ui/services", "/ui/jobs/new"):
        page = (await client.get(path, as_=alice)).text
        assert "Setup required" in page, path
        assert "shared account" not in page, path
