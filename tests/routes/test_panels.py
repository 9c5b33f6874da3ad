"""Reference panels over HTTP: entered by hand, and read live from a service."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.adapters.base import Choice, ServiceDescription
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.presets import PRESETS
from app.sandbox.panels import DEFAULT_PANELS, Panel
from app.usecases.deps import Deps
from tests import factories
from tests.support.api import Answer, Api
from tests.support.people import Person
from tests.support.sandbox import offer, open_sandbox
from tests.support.world import Sandbox

LIVE = [panel.key for panel in DEFAULT_PANELS]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A Cloudgene server that lists three panels to who has an account."""
    async with open_sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


@pytest.fixture
async def service(client: Api, admin: Person, sandbox: Sandbox) -> str:
    """The path of the sandbox as a service with a shared token."""
    body = {
        "name": "Sandbox",
        "base_url": sandbox.base,
        "allow_insecure": True,
        "credential_policy": "shared",
        "api_config": {"api_token": sandbox.token},
    }
    made = await client.post("/services", as_=admin, json=body)
    assert made.status == 201, made.text
    return f"/services/{made.json()['id']}"


async def sync(client: Api, admin: Person, service: str) -> Answer:
    return await client.post(f"{service}/reference-panels/sync", as_=admin)


async def panels(
    client: Api, person: Person, service: str, query: str = ""
) -> list[dict[str, Any]]:
    answer = await client.get(f"{service}/reference-panels{query}", as_=person)
    assert answer.status == 200, answer.text
    return list(answer.json())


async def test_sync_when_the_service_lists_panels_then_they_are_kept_in_its_order(
    client: Api, admin: Person, alice: Person, service: str, deps: Deps
) -> None:
    answer = await sync(client, admin, service)
    assert answer.status == 200, answer.text
    said = answer.json()
    assert said["added"] == LIVE
    assert (said["retired"], said["unlisted"]) == ([], [])

    found = await panels(client, alice, service)
    assert found == said["panels"]
    assert [panel["key"] for panel in found] == LIVE
    assert [panel["id"] for panel in found] == sorted(panel["id"] for panel in found)
    first = found[0]
    assert set(first) == {
        "id", "service_id", "key", "name", "populations", "builds", "version", "is_active", "source",
        "retired_at", "created_at", "updated_at",
    }  # fmt: skip
    assert first["name"] == "H3Africa Reference Panel (GRCh37/hg19)"
    assert (first["builds"], first["source"], first["is_active"]) == (["hg19"], "live", True)
    assert {"key": "afr", "label": "AFR"} in first["populations"]

    form, read_at = await deps.pool.fetchrow("select live_form, description_read_at from services")
    description = msgspec.convert(form, ServiceDescription)
    assert [panel.key for panel in description.panels] == LIVE
    assert description.builds
    assert read_at is not None
    details = await deps.pool.fetchval(
        "select details from audit_logs where action = 'panels.synced'"
    )
    assert details == {"listed": 3, "added": 3, "retired": 0}


async def test_sync_when_repeated_then_ids_stay_and_what_changed_is_followed(
    client: Api, admin: Person, service: str, sandbox: Sandbox
) -> None:
    before = (await sync(client, admin, service)).json()["panels"]
    offer(
        sandbox,
        DEFAULT_PANELS[1],
        Panel(id="new-panel", title="New Panel (GRCh38/hg38)", populations={"eas": "EAS"}),
    )
    said = (await sync(client, admin, service)).json()
    assert said["added"] == ["apps@new-panel@1.0.0"]
    assert sorted(said["retired"]) == sorted([LIVE[0], LIVE[2]])
    assert [panel["key"] for panel in said["panels"]] == [LIVE[1], "apps@new-panel@1.0.0"]
    assert said["panels"][0]["id"] == before[1]["id"]

    everything = await panels(client, admin, service, "?include_inactive=true")
    assert [(panel["key"], panel["is_active"]) for panel in everything] == [
        (LIVE[0], False),
        (LIVE[1], True),
        (LIVE[2], False),
        ("apps@new-panel@1.0.0", True),
    ]
    offer(sandbox, *DEFAULT_PANELS)
    back = (await sync(client, admin, service)).json()
    assert [panel["id"] for panel in back["panels"]] == [panel["id"] for panel in before]
    assert back["retired"] == ["apps@new-panel@1.0.0"]


async def test_sync_when_panels_were_entered_by_hand_then_they_stay_as_entered(
    client: Api, admin: Person, service: str
) -> None:
    for key in ("hidden-panel", LIVE[0]):
        body = {"key": key, "name": "By hand", "populations": ["xyz"], "builds": ["hg38"]}
        made = await client.post(f"{service}/reference-panels", as_=admin, json=body)
        assert made.status == 201, made.text
    said = (await sync(client, admin, service)).json()
    assert said["unlisted"] == ["hidden-panel"]
    kept = {panel["key"]: panel for panel in said["panels"]}
    for key in ("hidden-panel", LIVE[0]):
        assert (kept[key]["name"], kept[key]["source"]) == ("By hand", "manual")
        assert kept[key]["populations"] == [{"key": "xyz", "label": "xyz"}]

    switched = await client.patch(
        f"{service}/reference-panels/{kept[LIVE[1]]['id']}", as_=admin, json={"is_active": False}
    )
    assert switched.json()["source"] == "manual"
    said = (await sync(client, admin, service)).json()
    assert LIVE[1] not in [panel["key"] for panel in said["panels"]]


async def test_sync_when_panels_stand_as_the_preset_left_them_then_the_live_list_replaces_them(
    client: Api, admin: Person, sandbox: Sandbox
) -> None:
    made = await client.post(
        "/services",
        as_=admin,
        json={
            "preset": "h3africa",
            "base_url": sandbox.base,
            "allow_insecure": True,
            "credential_policy": "shared",
            "api_config": {"api_token": sandbox.token},
        },
    )
    service = f"/services/{made.json()['id']}"
    entered = await panels(client, admin, service)
    touched = await client.patch(
        f"{service}/reference-panels/{entered[1]['id']}", as_=admin, json={"name": "Ours"}
    )
    assert touched.status == 200
    said = (await sync(client, admin, service)).json()
    keys = [panel.key for panel in PRESETS["h3africa"].panels]
    assert sorted(said["retired"]) == sorted([keys[0], keys[2]])
    assert said["unlisted"] == [keys[1]]


async def test_sync_when_the_administrator_has_a_token_then_it_is_used_before_the_shared_one(
    client: Api, admin: Person, service: str, sandbox: Sandbox
) -> None:
    service_id = int(service.rpartition("/")[2])
    stored = await client.post(
        "/users/me/service-credentials",
        as_=admin,
        json={"service_id": service_id, "api_token": "not-a-token-of-this-server", "label": "own"},
    )
    assert stored.status == 201, stored.text
    answer = await sync(client, admin, service)
    assert answer.status == 400
    said = answer.json()
    assert said["code"] == "credential_rejected"
    assert said["message"].startswith("Sandbox authentication failed: ")
    assert "not-a-token" not in answer.text
    assert await panels(client, admin, service) == []


async def test_sync_when_no_credential_may_be_used_then_says_so(
    client: Api, admin: Person, service: str
) -> None:
    await client.patch(service, as_=admin, json={"credential_policy": "per_user"})
    answer = await sync(client, admin, service)
    assert (answer.status, answer.json()["code"]) == (400, "no_credentials")


async def test_sync_when_the_service_is_in_trouble_then_panels_stay_as_they_are(
    client: Api, admin: Person, service: str, sandbox: Sandbox
) -> None:
    await sync(client, admin, service)
    before = await panels(client, admin, service)
    for answer_kind in ("html_502", "garbage_json", "empty", "redirect"):
        sandbox.set_faults(answer=answer_kind)
        answer = await sync(client, admin, service)
        assert (answer.status, answer.json()["code"]) == (503, "service_unavailable"), answer.text
    sandbox.set_faults()
    offer(sandbox)
    answer = await sync(client, admin, service)
    assert (answer.status, answer.json()["code"]) == (503, "no_panels_listed")
    assert await panels(client, admin, service) == before


async def test_sync_when_the_service_lists_the_token_itself_then_nothing_is_kept(
    client: Api,
    admin: Person,
    service: str,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cloudgene's own tokens are too long to pass as keys; those of other services need not be."""
    described = MichiganAdapter.describe

    async def echo(adapter: MichiganAdapter) -> ServiceDescription:
        read = await described(adapter)
        echoed = replace(read.panels[0], populations=(Choice(sandbox.token, "All"),))
        return replace(read, panels=(*read.panels[1:], echoed))

    monkeypatch.setattr(MichiganAdapter, "describe", echo)
    answer = await sync(client, admin, service)
    assert (answer.status, answer.json()["code"]) == (503, "credential_echoed")
    assert sandbox.token not in answer.text
    assert await panels(client, admin, service) == []
    assert sandbox.token not in (await client.get(service)).text


async def test_sync_when_the_address_is_forbidden_then_is_refused(
    client: Api, admin: Person
) -> None:
    body = {
        "name": "Metadata",
        "base_url": "http://169.254.169.254",
        "allow_insecure": True,
        "credential_kind": "none",
    }
    made = (await client.post("/services", as_=admin, json=body)).json()
    answer = await sync(client, admin, f"/services/{made['id']}")
    assert (answer.status, answer.json()["code"]) == (400, "untrusted_address")


async def test_panels_when_listed_then_pages_are_bare_arrays_for_signed_in_users(
    client: Api, alice: Person, deps: Deps
) -> None:
    service = await factories.make_service(deps)
    other = await factories.make_service(deps)
    made = [await factories.make_panel(deps, service) for _ in range(3)]
    await factories.make_panel(deps, other)
    place = f"/services/{service.id}/reference-panels"
    page = await client.get(f"{place}?limit=2", as_=alice)
    assert [panel["id"] for panel in page.json()] == [panel.id for panel in made[:2]]
    assert page.headers["X-Total-Count"] == "3"
    assert (await client.get(place)).status == 401
    assert (await client.get("/services/999/reference-panels", as_=alice)).status == 404


async def test_panel_when_entered_changed_and_deleted_then_each_is_audited(
    client: Api, admin: Person, deps: Deps
) -> None:
    service = await factories.make_service(deps)
    place = f"/services/{service.id}/reference-panels"
    body = {"key": "apps@x@1.0", "name": "X", "populations": [{"key": "afr", "label": "Africa"}]}
    headers = {"Idempotency-Key": "p1"}
    made = await client.post(place, as_=admin, json=body, headers=headers)
    again = await client.post(place, as_=admin, json=body, headers=headers)
    assert (made.status, again.body) == (201, made.body)
    taken = await client.post(place, as_=admin, json=body)
    assert (taken.status, taken.json()["code"]) == (409, "panel_exists")

    panel = made.json()
    one = f"{place}/{panel['id']}"
    changed = await client.patch(
        one, as_=admin, json={"builds": ["hg38"], "version": None, "name": "Y"}
    )
    assert changed.status == 200
    assert {**panel, "builds": ["hg38"], "name": "Y", "updated_at": 0} == {
        **changed.json(),
        "updated_at": 0,
    }
    assert (await client.delete(one, as_=admin)).status == 204
    assert (await client.delete(one, as_=admin)).status == 404
    rows = await deps.pool.fetch("select action from audit_logs order by id")
    assert [row["action"] for row in rows] == ["panel.created", "panel.updated", "panel.deleted"]


async def test_panel_when_it_belongs_to_another_service_then_404(
    client: Api, admin: Person, deps: Deps
) -> None:
    service, other = await factories.make_service(deps), await factories.make_service(deps)
    panel = await factories.make_panel(deps, other)
    place = f"/services/{service.id}/reference-panels/{panel.id}"
    assert (await client.patch(place, as_=admin, json={"name": "Mine"})).status == 404
    assert (await client.delete(place, as_=admin)).status == 404


async def test_panel_changes_when_asked_by_others_then_are_refused(
    client: Api, alice: Person, deps: Deps
) -> None:
    panel = await factories.make_panel(deps, await factories.make_service(deps))
    place = f"/services/{panel.service_id}/reference-panels"
    for method, path, body in (
        ("POST", place, {"key": "k", "name": "n"}),
        ("PATCH", f"{place}/{panel.id}", {"name": "n"}),
        ("DELETE", f"{place}/{panel.id}", None),
        ("POST", f"{place}/sync", None),
    ):
        assert (await client.request(method, path, json=body)).status == 401
        assert (await client.request(method, path, as_=alice, json=body)).status == 403


@pytest.mark.parametrize(
    "body",
    [
        {"key": "a b", "name": "n"},
        {"key": "k", "name": ""},
        {"key": "k", "name": "n", "builds": ["hg18"]},
        {"key": "k", "name": "n", "populations": [{"label": "no key"}]},
        {"key": "k", "name": "n", "populations": "afr"},
        {"key": "k"},
        [],
    ],
)
async def test_panel_when_a_field_is_wrong_then_is_refused(
    client: Api, admin: Person, deps: Deps, body: object
) -> None:
    service = await factories.make_service(deps)
    answer = await client.post(f"/services/{service.id}/reference-panels", as_=admin, json=body)
    assert answer.status == 400
    assert answer.json()["errors"]
