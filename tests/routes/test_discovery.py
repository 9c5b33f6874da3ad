"""Adding a service with nothing but its address."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.sandbox.panels import DEFAULT_PANELS
from app.usecases import discovery
from app.usecases.deps import Deps
from tests import factories
from tests.fakes.recording import RecordingServer, silent
from tests.support.api import Answer, Api
from tests.support.people import Person
from tests.support.sandbox import open_sandbox
from tests.support.world import Sandbox


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A Cloudgene server."""
    async with open_sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


async def ask(client: Api, admin: Person, url: str, **fields: Any) -> Answer:
    body = {"base_url": url, "allow_insecure": True, **fields}
    return await client.post("/services/discover", as_=admin, json=body)


async def test_discover_when_only_the_address_is_known_then_its_proposal_can_be_added(
    client: Api, admin: Person, sandbox: Sandbox, deps: Deps
) -> None:
    answer = await ask(client, admin, f"{sandbox.base}/index.html?x=1#!pages/home")
    assert answer.status == 200, answer.text
    said = answer.json()
    found = next(item for item in said["proposals"] if item["api_type"] == "michigan")
    assert found["dialect"] == "cloudgene3"
    assert found["base_url"] == sandbox.base
    assert "recognised" in said["tried"]["michigan"]
    added = await client.post("/services", as_=admin, json=found["service"])
    assert added.status == 201, added.text
    assert added.json()["name"] == found["name"]

    again = (await ask(client, admin, sandbox.base)).json()["proposals"][0]
    assert any("there already" in note for note in again["notes"])
    assert again["service"]["slug"] == f"{added.json()['slug']}-2"
    details = await deps.pool.fetchval(
        "select details from audit_logs where action = 'services.discovered' limit 1"
    )
    assert details["origin"] == sandbox.base


async def test_discover_when_a_token_is_given_then_panels_are_shown_and_the_token_is_not(
    client: Api, admin: Person, sandbox: Sandbox, deps: Deps
) -> None:
    answer = await ask(client, admin, sandbox.base, api_token=sandbox.token)
    found = answer.json()["proposals"][0]
    assert [panel["key"] for panel in found["panels"]] == [panel.id and f"apps@{panel.id}@1.0.0" for panel in DEFAULT_PANELS]  # fmt: skip
    assert found["apps"]
    assert found["service"]["supported_builds"] == ["hg19", "hg38"]
    rows = await deps.pool.fetch("select to_jsonb(a)::text as all from audit_logs a")
    assert sandbox.token not in answer.text + "".join(row["all"] for row in rows)


async def test_discover_when_a_service_of_another_kind_has_the_slug_then_another_is_proposed(
    client: Api, admin: Person, sandbox: Sandbox, deps: Deps
) -> None:
    first = (await ask(client, admin, sandbox.base)).json()["proposals"][0]["service"]
    await factories.make_service(deps, slug=first["slug"], api_type="ga4gh_wes")
    again = (await ask(client, admin, sandbox.base)).json()["proposals"][0]["service"]
    added = await client.post("/services", as_=admin, json=again)
    assert added.status == 201, added.text


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="<html>hello</html>", content_type="text/html")


async def test_discover_when_something_else_answers_then_says_what_was_tried(
    client: Api, admin: Person, deps: Deps
) -> None:
    async with RecordingServer() as server:
        server.misbehave(hello)
        answer = await ask(client, admin, f"{server.url}/my/page")
    said = answer.json()
    assert (answer.status, said["code"]) == (400, "service_not_recognised")
    for kind in deps.adapters.kinds():
        assert f"{kind}: " in said["message"]
    assert {item["field"] for item in said["errors"]} == {"base_url"}
    assert "/my/page" not in said["message"]


async def test_discover_when_nothing_answers_then_unavailable_and_in_time(
    client: Api, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await ask(client, admin, "http://127.0.0.1:1")
    assert (answer.status, answer.json()["code"]) == (503, "service_unavailable")
    monkeypatch.setattr(discovery, "DISCOVER_LIMIT_S", 0.2)
    async with RecordingServer() as server:
        server.misbehave(silent)
        answer = await ask(client, admin, server.url)
    assert (answer.status, answer.json()["code"]) == (503, "service_unavailable")
    assert "0.2 seconds" in answer.json()["message"]


@pytest.mark.parametrize(
    ("url", "fields", "code"),
    [
        ("http://169.254.169.254/latest/meta-data", {}, "untrusted_address"),
        ("http://10.1.2.3", {}, "untrusted_address"),
        ("http://[::1]:1/", {}, "untrusted_address"),
        ("http://127.0.0.1:1", {"allow_insecure": False}, "insecure_base_url"),
        ("https://user:pw@127.0.0.1:1", {}, "invalid_input"),
        ("ftp://127.0.0.1", {}, "invalid_input"),
        ("", {}, "invalid_input"),
        ("https://..", {}, "invalid_input"),
        ("http://127.0.0.1:1", {"api_token": "a b"}, None),
    ],
)
async def test_discover_when_the_address_may_not_be_then_is_refused_unrepeated(
    client: Api, admin: Person, url: str, fields: dict[str, Any], code: str | None
) -> None:
    answer = await ask(client, admin, url, **fields)
    assert answer.status == 400, answer.text
    assert code in (None, answer.json()["code"])
    assert "pw@" not in answer.text


async def test_discover_when_asked_by_others_then_is_refused(client: Api, alice: Person) -> None:
    body = {"base_url": "http://127.0.0.1:1"}
    assert (await client.post("/services/discover", json=body)).status == 401
    assert (await client.post("/services/discover", as_=alice, json=body)).status == 403
