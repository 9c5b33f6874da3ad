"""The administration of services, without JavaScript."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.jobs import make_desk
from tests.support.notices import add_job
from tests.support.people import Person
from tests.support.sandbox import open_sandbox
from tests.support.world import Sandbox

LIST = "/ui/admin/services"
SECRET = "plantedsecrettoken4711"
MICHIGAN: dict[str, Any] = {
    "api_type": "michigan", "name": "Sandbox", "slug": "sandbox", "description": "", "allow_insecure": "on",
    "supported_builds": "hg38", "credential_kind": "token", "credential_policy": "per_user", "shared_roles": "user",
    "poll_interval_s": "30", "wait_limit_s": "7", "do": "save",
}  # fmt: skip


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


async def add(client: Api, admin: Person, sandbox: Sandbox, **more: str) -> int:
    fields = {**MICHIGAN, "base_url": sandbox.base, **more}
    answer = await client.post(f"{LIST}/new", as_=admin, data=fields)
    assert answer.status == 303, answer.text
    found = re.search(rf"{LIST}/(\d+)", answer.headers["Location"])
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    "path", ["/ui/admin/", LIST, f"{LIST}/new", f"{LIST}/1", f"{LIST}/1/delete", f"{LIST}/1/panels/new"]
)  # fmt: skip
async def test_page_when_somebody_is_no_administrator_then_it_is_forbidden(
    client: Api, alice: Person, path: str
) -> None:
    assert (await client.get(path, as_=alice)).status == 403


async def test_overview_when_opened_then_it_tells_the_state(client: Api, admin: Person) -> None:
    answer = await client.get("/ui/admin/", as_=admin)

    assert answer.status == 200
    for words in ("Database", "Redis", "Storage", "Open jobs", "E-mail", "Add a service"):
        assert words in answer.text


async def test_list_when_filters_are_nonsense_then_it_is_shown(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    await add(client, admin, sandbox)
    answer = await client.get(f"{LIST}?show=nonsense", as_=admin)
    assert "of 1 services" in answer.text
    answer = await client.get(f"{LIST}?show=disabled", as_=admin)
    assert "No service fits" in answer.text


async def test_address_when_private_and_plain_then_it_is_explained(
    client: Api, admin: Person
) -> None:
    answer = await client.post(f"{LIST}/discover", as_=admin, data={"base_url": "http://10.0.0.1"})
    assert answer.status in {400, 422}
    assert "plain http" in answer.text


async def test_address_when_a_service_answers_then_the_form_is_filled_in(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    fields = {"base_url": sandbox.base, "allow_insecure": "on", "api_token": sandbox.token}
    answer = await client.post(f"{LIST}/discover", as_=admin, data=fields)

    assert answer.status == 200, answer.text
    assert "What was found" in answer.text
    assert f'value="{sandbox.base}"' in answer.text
    assert sandbox.token not in answer.text


@pytest.mark.parametrize("path", [f"{LIST}/new?preset={name}" for name in ("h3africa", "michigan", "ilifu", "nonsense")] + [f"{LIST}/new?api_type=ga4gh_wes", f"{LIST}/new?api_type=odd"])  # fmt: skip
async def test_form_when_begun_with_anything_then_it_is_shown(
    client: Api, admin: Person, path: str
) -> None:
    assert (await client.get(path, as_=admin)).status == 200


async def test_settings_when_checked_then_told_and_nothing_is_stored(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    fields = {**MICHIGAN, "base_url": sandbox.base, "api_token": sandbox.token, "do": "check"}
    whole = await client.post(f"{LIST}/new", as_=admin, data=fields)
    part = await client.post(f"{LIST}/new", as_=admin, data=fields, headers={"HX-Request": "true"})

    for answer in (whole, part):
        assert answer.status == 200, answer.text
        assert "The service answers" in answer.text
        assert "Panels that it lists" in answer.text
        assert sandbox.token not in answer.text
    assert "<html" not in part.text
    assert (await client.get("/services", as_=admin)).json() == []


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("base_url", "ftp://x", "must begin with https://"),
        ("name", "", "must not be empty"),
        ("latitude", "north", "must be a number"),
        ("latitude", "12", "latitude and longitude go together"),
        ("country", "ZAF", "must be a code of two letters"),
        ("poll_interval_s", "0.1", "must be at least 1"),
        ("poll_interval_s", "", "is missing"),
        ("max_remote_jobs", "1.5", "must be a whole number"),
        ("credential_kind", "odd", "is not one of the values"),
        ("slug", "Not A Slug", "must be 1 to 63"),
        ("api_config.app", "not an app", "must be an app id"),
        ("api_config.account_limit", "x", "must be a whole number"),
        ("api_config.extra_fields", "token = abc", "looks like a secret"),
        ("api_config.extra_fields", "nothing", "name = value"),
    ],
)
async def test_field_when_wrong_then_the_error_is_at_it(
    client: Api, admin: Person, sandbox: Sandbox, field: str, text: str, words: str
) -> None:
    fields = {**MICHIGAN, "base_url": sandbox.base, field: text}
    answer = await client.post(f"{LIST}/new", as_=admin, data=fields)

    assert answer.status in (400, 422), answer.text
    place = "longitude" if words.startswith("latitude and") else field
    around = answer.text.partition(f'name="{place}"')[2][:25_000]
    assert words in around.lower(), around
    assert (await client.get("/services", as_=admin)).json() == []


async def test_settings_when_saved_then_they_are_those_of_the_api(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service_id = await add(
        client, admin, sandbox, latitude="-33.5", longitude="18", city="Cape Town", country="ZA",
        **{"api_config.account_limit": "3", "api_config.extra_fields": "a = b"},
    )  # fmt: skip
    service = (await client.get(f"/services/{service_id}", as_=admin)).json()

    assert (service["latitude"], service["longitude"], service["country"]) == (-33.5, 18.0, "ZA")
    assert service["wait_limit_s"] == 7 * 86_400
    assert service["api_config"] == {
        "account_limit": 3,
        "extra_fields": {"a": "b"},
        "has_api_token": False,
    }

    fields = {**MICHIGAN, "base_url": sandbox.base, "name": "Renamed", "supported_builds": "hg19"}
    answer = await client.post(f"{LIST}/{service_id}", as_=admin, data=fields)
    assert answer.status == 303, answer.text
    service = (await client.get(f"/services/{service_id}", as_=admin)).json()
    assert (service["name"], service["supported_builds"]) == ("Renamed", ["hg19"])
    assert (service["city"], service["latitude"]) == (None, None)
    assert service["api_config"] == {"has_api_token": False}


async def test_settings_when_sent_back_untouched_then_nothing_changes(
    client: Api, admin: Person, sandbox: Sandbox, deps: Deps
) -> None:
    service_id = await add(client, admin, sandbox)
    before = (await client.get(f"/services/{service_id}", as_=admin)).json()
    count = "select count(*) from audit_logs where action = 'service.updated'"
    await client.post(
        f"{LIST}/{service_id}", as_=admin, data={**MICHIGAN, "base_url": sandbox.base}
    )

    assert (await client.get(f"/services/{service_id}", as_=admin)).json() == before
    assert await deps.pool.fetchval(count) == 0


async def test_token_when_stored_then_it_stands_on_no_page(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service_id = await add(client, admin, sandbox, credential_policy="shared", api_token=SECRET)
    one = f"{LIST}/{service_id}"
    answer = await client.post(f"{one}/panels/new", as_=admin, data={"key": "p", "name": "P"})
    assert answer.status == 303, answer.text
    panels = (await client.get(f"/services/{service_id}/reference-panels", as_=admin)).json()

    paths = ["/ui/admin/", LIST, f"{LIST}/new", one, f"{one}/delete", f"{one}/token/remove", f"{one}/panels/{panels[0]['id']}", f"{one}/panels/new"]  # fmt: skip
    for path in paths:
        answer = await client.get(path, as_=admin)
        assert answer.status == 200, path
        assert SECRET not in answer.text, path
    fields = {**MICHIGAN, "base_url": sandbox.base, "api_token": SECRET, "credential_policy": "shared"}  # fmt: skip
    for do in ("check", "save"):
        answer = await client.post(one, as_=admin, data={**fields, "name": "", "do": do})
        assert answer.status in (400, 422)
        assert SECRET not in answer.text
    answer = await client.post(f"{one}/token", as_=admin, data={"token": SECRET + "2"})
    assert answer.status == 303
    answer = await client.post(f"{one}/token/remove", as_=admin)
    assert answer.status == 303
    service = (await client.get(f"/services/{service_id}", as_=admin)).json()
    assert service["api_config"]["has_api_token"] is False


async def test_panel_when_entered_changed_and_retired_then_it_is(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service_id = await add(client, admin, sandbox)
    one = f"{LIST}/{service_id}/panels"
    fields = {"key": "panel", "name": "Panel", "populations": "afr\neur = European", "builds": "hg38"}  # fmt: skip
    assert (await client.post(f"{one}/new", as_=admin, data=fields)).status == 303
    again = await client.post(f"{one}/new", as_=admin, data=fields)
    assert again.status == 409
    assert "has a panel with this key" in again.text
    url = f"/services/{service_id}/reference-panels?include_inactive=true"
    panel = (await client.get(url, as_=admin)).json()[0]
    assert panel["populations"] == [{"key": "afr", "label": "afr"}, {"key": "eur", "label": "European"}]  # fmt: skip

    shown = await client.get(f"{one}/{panel['id']}", as_=admin)
    assert "eur = European" in shown.text
    wrong = await client.post(f"{one}/{panel['id']}", as_=admin, data={**fields, "name": " "})
    assert "must not be empty" in wrong.text.lower()
    for path, done in (("/retire", False), ("/restore", True)):
        assert (await client.post(f"{one}/{panel['id']}{path}", as_=admin)).status == 303
        assert (await client.get(url, as_=admin)).json()[0]["is_active"] is done
    assert (await client.get(f"{one}/99999", as_=admin)).status == 404


async def test_service_when_switched_checked_and_deleted_then_it_is(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service_id = await add(client, admin, sandbox)
    one = f"{LIST}/{service_id}"
    assert (await client.post(f"{one}/check", as_=admin)).status == 303
    assert (await client.get(f"/services/{service_id}", as_=admin)).json()["health"]["state"] == "up"  # fmt: skip
    for path, done in (("disable", False), ("enable", True)):
        assert (await client.post(f"{one}/{path}", as_=admin)).status == 303
        assert (await client.get(f"/services/{service_id}", as_=admin)).json()["is_active"] is done
    fields = {"maintenance": "on", "maintenance_message": "Back on Monday"}
    assert (await client.post(f"{one}/maintenance", as_=admin, data=fields)).status == 303
    assert "Back on Monday" in (await client.get(one, as_=admin)).text
    assert (await client.post(f"{one}/maintenance", as_=admin, data={})).status == 303
    assert (await client.get(f"/services/{service_id}", as_=admin)).json()["maintenance"] is False
    refused = await client.post(f"{one}/sync", as_=admin)
    assert "credential" in refused.text
    assert refused.status != 200

    assert "This cannot be undone" in (await client.get(f"{one}/delete", as_=admin)).text
    assert (await client.post(f"{one}/delete", as_=admin)).status == 303
    assert (await client.get(one, as_=admin)).status == 404


async def test_base_url_when_the_host_changes_then_the_shared_token_is_gone_and_it_is_said(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    service_id = await add(client, admin, sandbox, credential_policy="shared", api_token=SECRET)
    fields = {**MICHIGAN, "base_url": "http://127.0.0.1:9", "credential_policy": "shared"}
    answer = await client.post(f"{LIST}/{service_id}", as_=admin, data=fields)

    assert answer.status == 200
    assert "The shared token was for the former address and was removed" in answer.text
    assert "Saved." in answer.text


async def test_configuration_when_it_cannot_be_used_then_the_error_is_at_its_field(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    fields = {
        **MICHIGAN, "api_type": "ga4gh_wes", "base_url": f"{sandbox.base}/ga4gh/wes/v1",
        "api_config.workflow.engine_version": "1", "api_config.params": "[1]",
        "api_config.panels.0.:key": "a", "api_config.panels.0.value": "x",
    }  # fmt: skip
    answer = await client.post(f"{LIST}/new", as_=admin, data=fields)
    assert answer.status in {400, 422}
    assert 'id="e-api_config.params"' in answer.text
    answer = await client.post(f"{LIST}/new", as_=admin, data={**fields, "api_config.params": ""})
    assert 'id="e-api_config.workflow.engine_version"' in answer.text
    assert 'value="x"' in answer.text  # what was typed stays

    missing = {**fields, "api_config.panels.0.:key": ""}
    answer = await client.post(f"{LIST}/new", as_=admin, data={**missing, "do": "check"})
    assert answer.status in {400, 422}
    assert 'href="#f-api_config.panels.0.:key"' in answer.text


async def test_text_when_it_is_none_then_the_form_is_refused(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    for name in ("description", "api_config.app", "base_url"):
        fields = {**MICHIGAN, "base_url": sandbox.base, name: "a\x00b"}
        assert (await client.post(f"{LIST}/new", as_=admin, data=fields)).status in {400, 422}
    assert (await client.post(f"{LIST}/new", as_=admin, data={})).status in {400, 422}
    assert (await client.post(f"{LIST}/new", as_=admin, data={"api_type": "michigan"})).status in {400, 422}  # fmt: skip
    assert (await client.post(f"{LIST}/discover", as_=admin, data={})).status in {400, 422}


async def test_overview_when_something_waits_then_it_is_shown(
    client: Api, alice: Person, admin: Person, deps: Deps
) -> None:
    desk = await make_desk(deps, alice)
    account = await deps.pool.fetchval(
        "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
        desk.service.id,
        alice.id,
    )
    job_id = await add_job(deps.pool, alice.id, (desk.service.id, account))
    await deps.pool.execute(
        "update imputation_jobs set status = 'queued', stage = 'credential_needed' where id = $1",
        job_id,
    )
    await deps.pool.execute(
        "insert into outbox (dedup_key, template, recipient, attempts, gave_up_at, last_error)"
        " values ('d', 'job_failed', 'a@example.org', 5, now(), 'Connection refused')"
    )
    text = (await client.get("/ui/admin/", as_=admin)).text

    assert "Held, or waiting for long" in text
    assert "Credential needed" in text
    assert "Connection refused" in text
    assert "1 given up within a week" in text


async def test_check_when_the_address_changed_then_no_stored_token_goes_there(
    client: Api, admin: Person, sandbox: Sandbox, tmp_path: Path
) -> None:
    more = {"credential_policy": "shared", "shared_roles": "admin"}
    service_id = await add(client, admin, sandbox, api_token=sandbox.token, **more)
    fields = {**MICHIGAN, **more, "base_url": sandbox.base, "do": "check"}
    here = await client.post(f"{LIST}/{service_id}", as_=admin, data=fields)
    async with open_sandbox(tmp_path / "other") as other:
        moved = {**fields, "base_url": other.base}
        there = await client.post(f"{LIST}/{service_id}", as_=admin, data=moved)

    assert "the shared token" in here.text.partition("Asked with")[2][:60]
    assert "no credential" in there.text.partition("Asked with")[2][:60]
    service = (await client.get(f"/services/{service_id}", as_=admin)).json()
    assert service["base_url"] == sandbox.base


async def test_form_when_fields_are_wrong_then_it_names_them_as_it_draws_them(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    fields = {
        **MICHIGAN,
        "base_url": sandbox.base,
        "wait_limit_s": "soon",
        "latitude": "north",
    }
    answer = await client.post(f"{LIST}/new", as_=admin, data=fields)

    assert answer.status in {400, 422}
    named = dict(re.findall(r'<li class="break"><a href="#f-([^"]+)">([^<]+)</a>', answer.text))
    assert named["wait_limit_s"] == "Tell the owner after (days)"
    assert named["latitude"] == "Latitude"
    for place, label in named.items():
        assert f'id="f-{place}"' in answer.text
        assert re.search(rf'<label for="f-{re.escape(place)}">{re.escape(label)}', answer.text)
