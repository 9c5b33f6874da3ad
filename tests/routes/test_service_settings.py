"""Settings of a service held against what its server says of itself, at the moment they are saved."""

from typing import Any

import pytest

from app.usecases import fitting
from tests.fakes.wes_weskit import FakeWeskit
from tests.support.api import Api
from tests.support.people import Person

WORKFLOW = {"url": "imputation/main.nf", "type": "NFL", "type_version": "22.10.0"}
SETTINGS: dict[str, Any] = {
    "dialect": "weskit",
    "workflow": WORKFLOW,
    "params": {"input": "{input_urls}", "job_id": "{job_id}"},
    "params_as_strings": True,
    "panels": {"v6": {"value": "v6_b38"}},
}


def body(url: str, **settings: Any) -> dict[str, Any]:
    return {
        "name": "Node",
        "api_type": "ga4gh_wes",
        "base_url": url,
        "allow_insecure": True,
        "credential_kind": "none",
        "api_config": {**SETTINGS, **settings},
    }


async def test_settings_when_they_fit_the_server_then_nothing_is_said_of_it(
    client: Api, admin: Person
) -> None:
    async with FakeWeskit() as server:
        made = (await client.post("/services", as_=admin, json=body(server.url))).json()
    assert not [line for line in made["warnings"] if "server" in line.lower()], made["warnings"]


@pytest.mark.parametrize(
    ("unfit", "said"),
    [
        ({"workflow": {**WORKFLOW, "type": "CWL"}}, "does not offer the workflow type CWL"),
        ({"workflow": {**WORKFLOW, "type_version": "20.10.0"}}, "20.10.0"),
        ({"dialect": "sapporo"}, "the server answers as weskit"),
    ],
)
async def test_settings_when_the_server_does_not_offer_them_then_adding_and_changing_say_so(
    client: Api, admin: Person, unfit: dict[str, Any], said: str
) -> None:
    async with FakeWeskit() as server:
        made = await client.post("/services", as_=admin, json=body(server.url, **unfit))
        assert made.status == 201, made.text
        assert any(said in line for line in made.json()["warnings"]), made.json()["warnings"]
        place = f"/services/{made.json()['id']}"
        mended = await client.patch(place, as_=admin, json={"api_config": SETTINGS})
        assert not any(said in line for line in mended.json()["warnings"])
        broken = await client.patch(place, as_=admin, json={"api_config": unfit})
        assert any(said in line for line in broken.json()["warnings"])


async def test_settings_when_the_server_hangs_then_they_are_saved_and_it_is_said(
    client: Api, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "ASK_LIMIT_S", 0.1)
    made = await client.post("/services", as_=admin, json=body("http://127.0.0.1:9/ga4gh/wes/v1"))
    assert made.status == 201
    assert any("could not be asked" in line for line in made.json()["warnings"])
    renamed = await client.patch(
        f"/services/{made.json()['id']}", as_=admin, json={"name": "Other"}
    )
    assert not any("could not be asked" in line for line in renamed.json()["warnings"])
