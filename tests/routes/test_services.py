"""The catalogue of services over HTTP: public and without secrets, changed by administrators alone."""

from typing import Any

import pytest

from app.core.models import Service, build
from app.usecases.credentials import open_credential
from app.usecases.deps import Deps
from tests import factories
from tests.support.api import Answer, Api
from tests.support.people import Person

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaGFyZWQifQ.c2lnbmF0dXJl"
OTHER = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvdGhlciJ9.c2lnbmF0dXJl"
BODY: dict[str, Any] = {
    "name": "Test Service",
    "slug": "test",
    "api_type": "michigan",
    "base_url": "https://Impute.Example.org/api/",
}
PUBLIC = {
    "id", "name", "slug", "description", "api_type", "base_url", "supported_builds", "location", "country",
    "is_active", "health", "credential_kind", "credential_policy", "allow_insecure", "max_remote_jobs",
    "poll_interval_s", "wait_limit_s", "api_config", "warnings", "created_at", "updated_at",
}  # fmt: skip


async def add(client: Api, admin: Person, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/services", as_=admin, json={**BODY, **changes})
    assert answer.status == 201, answer.text
    return dict(answer.json())


async def patch(client: Api, admin: Person, service: dict[str, Any], **changes: Any) -> Answer:
    return await client.patch(f"/services/{service['id']}", as_=admin, json=changes)


async def shared_token(deps: Deps, service_id: int, person: Person) -> str | None:
    """The token that a person's jobs would be sent with."""
    row = await deps.pool.fetchrow("select * from services where id = $1", service_id)
    opened = await open_credential(deps, build(Service, row), person.id)
    return opened.credential.token if opened.credential else None


async def audited(deps: Deps) -> list[tuple[str, dict[str, Any]]]:
    rows = await deps.pool.fetch("select action, details from audit_logs order by id")
    return [(row["action"], row["details"]) for row in rows]


async def test_add_when_an_administrator_asks_then_everybody_sees_it_redacted(
    client: Api, admin: Person, deps: Deps
) -> None:
    made = await add(client, admin, api_config={"app": "imputationserver2"})
    assert made["shared_with"] == {"roles": ["user", "admin"]}

    listed = await client.get("/services")
    assert listed.status == 200
    assert listed.headers["X-Total-Count"] == "1"
    (shown,) = listed.json()
    assert set(shown) == PUBLIC
    assert shown["base_url"] == "https://impute.example.org/api"
    assert shown["api_config"] == {"app": "imputationserver2", "has_api_token": False}
    assert shown["health"] == {
        "state": "unknown", "message": None, "checked_at": None, "latency_ms": None,
    }  # fmt: skip
    assert shown["warnings"] == []
    assert (await client.get(f"/api/services/{made['id']}")).json() == shown
    assert (await audited(deps))[-1] == (
        "service.created",
        {"slug": "test", "fields": ["api_config", "base_url", "name"]},
    )


async def test_services_when_filtered_then_only_those_are_listed_and_counted(
    client: Api, admin: Person
) -> None:
    for number in range(3):
        await add(client, admin, slug=f"s{number}", is_active=number != 1)
    page = await client.get("/services?limit=1&offset=1")
    assert [item["slug"] for item in page.json()] == ["s1"]
    assert page.headers["X-Total-Count"] == "3"
    assert 'rel="next"' in page.headers["Link"]
    active = await client.get("/services?is_active=true&api_type=michigan")
    assert [item["slug"] for item in active.json()] == ["s0", "s2"]
    assert active.headers["X-Total-Count"] == "2"
    assert (await client.get("/services?api_type=ga4gh_wes")).json() == []
    assert (await client.get("/services?is_active=perhaps")).status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/services"), ("PATCH", "/services/{id}"), ("DELETE", "/services/{id}")],
)
async def test_changes_when_asked_by_others_then_are_refused(
    client: Api, admin: Person, alice: Person, method: str, path: str
) -> None:
    made = await add(client, admin)
    place = path.format(id=made["id"])
    assert (await client.request(method, place, json=BODY)).status == 401
    assert (await client.request(method, place, as_=alice, json=BODY)).status == 403
    assert (await client.get(f"/services/{made['id']}")).json()["name"] == "Test Service"


async def test_shared_token_when_set_then_is_sealed_and_appears_nowhere(
    client: Api, admin: Person, alice: Person, deps: Deps
) -> None:
    made = await add(client, admin, credential_policy="shared", api_config={"api_token": TOKEN})
    assert made["api_config"] == {"has_api_token": True}
    assert made["warnings"] == []
    assert await shared_token(deps, made["id"], alice) == TOKEN

    answer = await patch(
        client, admin, made, api_config={"api_token": f"  {OTHER}\n", "app": "imputationserver"}
    )
    assert answer.status == 200
    assert answer.json()["api_config"] == {"app": "imputationserver", "has_api_token": True}
    assert await shared_token(deps, made["id"], alice) == OTHER
    shown = await client.get(f"/services/{made['id']}", as_=admin)
    rows = await deps.pool.fetch("select to_jsonb(s)::text as all from services s")
    rows += await deps.pool.fetch("select to_jsonb(a)::text as all from audit_logs a")
    everything = answer.text + shown.text + "".join(row["all"] for row in rows)
    for token in (TOKEN, OTHER):
        assert token not in everything
        assert token.encode().hex() not in everything
    assert (await audited(deps))[-1][1]["shared_token"] == "set"

    removed = await patch(client, admin, made, api_config={"api_token": None})
    assert removed.json()["api_config"] == {"app": "imputationserver", "has_api_token": False}
    assert "no shared token" in removed.json()["warnings"][0]
    row = await deps.pool.fetchrow("select shared_secret, shared_secret_key_id from services")
    assert tuple(row) == (None, None)


async def test_shared_token_when_the_policy_is_per_user_then_is_kept_with_a_warning(
    client: Api, admin: Person
) -> None:
    made = await add(client, admin)
    answer = await patch(client, admin, made, api_config={"api_token": TOKEN})
    assert answer.status == 200
    assert "per_user" in answer.json()["warnings"][0]
    quiet = await patch(client, admin, made, credential_policy="shared")
    assert quiet.json()["warnings"] == []


@pytest.mark.parametrize("token", ["", "  ", "a b", '"quoted"', "x" * 9000, 7, ["x"], "a\nb"])
async def test_shared_token_when_it_can_be_none_then_is_refused_unrepeated(
    client: Api, admin: Person, token: object
) -> None:
    answer = await client.post(
        "/services", as_=admin, json={**BODY, "api_config": {"api_token": token}}
    )
    assert answer.status == 400
    if isinstance(token, str) and len(token.strip()) > 1:
        assert token.strip() not in answer.text
    assert (await client.get("/services")).json() == []


async def test_base_url_when_the_origin_changes_then_the_shared_token_is_gone(
    client: Api, admin: Person, deps: Deps
) -> None:
    made = await add(client, admin, credential_policy="shared", api_config={"api_token": TOKEN})
    same = await patch(client, admin, made, base_url="https://impute.example.org/v2")
    assert same.json()["api_config"] == {"has_api_token": True}

    moved = await patch(client, admin, made, base_url="https://elsewhere.example.org")
    assert moved.json()["api_config"] == {"has_api_token": False}
    assert any("former address" in text for text in moved.json()["warnings"])
    assert await deps.pool.fetchval("select shared_secret is null from services")

    again = await patch(
        client, admin, made, base_url="https://third.example.org", api_config={"api_token": OTHER}
    )
    assert again.json()["api_config"] == {"has_api_token": True}
    assert again.json()["warnings"] == []
    assert await shared_token(deps, made["id"], admin) == OTHER


async def test_plain_http_when_not_allowed_then_is_refused_and_else_is_a_warning(
    client: Api, admin: Person
) -> None:
    body = {**BODY, "base_url": "http://impute.example.org"}
    refused = await client.post("/services", as_=admin, json=body)
    assert (refused.status, refused.json()["code"]) == (400, "insecure_base_url")
    made = await add(client, admin, base_url="http://impute.example.org", allow_insecure=True)
    assert "unencrypted" in (await client.get(f"/services/{made['id']}")).json()["warnings"][0]
    back = await patch(client, admin, made, allow_insecure=False)
    assert back.status == 400


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"api_type": "galaxy"}, "api_type"),
        ({"api_type": "ga4gh_wes", "api_config": {"dialekt": "weskit"}}, "dialekt"),
        ({"api_type": "ga4gh_wes", "api_config": {"auth": {"token": TOKEN}}}, "auth.token"),
        ({"base_url": "https://u:p@impute.example.org"}, "base_url"),
        ({"api_config": {"app": "../../x"}}, "app"),
        ({"api_config": {"token": TOKEN}}, "api_config.token"),
        ({"api_config": {"allow_insecure": True}}, "allow_insecure"),
        ({"slug": "No Slug"}, "slug"),
        ({"credential_kind": "hope"}, "credential_kind"),
        ({"credential_kind": "none", "api_config": {"api_token": TOKEN}}, "api_token"),
        ({"supported_builds": ["hg18"]}, "supported_builds"),
        ({"poll_interval_s": 0}, "poll_interval_s"),
        ({"shared_with": {"groups": ["x"]}}, "shared_with"),
        ({"preset": "unheard-of"}, "preset"),
        ({"name": None}, "name"),
    ],
)
async def test_add_when_something_is_wrong_then_says_what_and_adds_nothing(
    client: Api, admin: Person, changes: dict[str, Any], field: str
) -> None:
    answer = await client.post("/services", as_=admin, json={**BODY, **changes})
    assert answer.status == 400, answer.text
    assert field in answer.json()["message"]
    assert TOKEN not in answer.text
    assert (await client.get("/services")).json() == []


async def test_add_when_of_the_preset_of_ilifu_then_plain_http_and_no_credential_with_its_panel(
    client: Api, admin: Person
) -> None:
    answer = await client.post("/services", as_=admin, json={"preset": "ilifu"})
    assert answer.status == 201, answer.text
    made = answer.json()
    assert (made["api_type"], made["credential_kind"]) == ("ga4gh_wes", "none")
    assert made["allow_insecure"] is True
    assert made["api_config"]["dialect"] == "weskit"
    shown = await client.get(f"/services/{made['id']}/reference-panels", as_=admin)
    assert [panel["key"] for panel in shown.json()] == ["h3africa-v6"]


async def test_add_when_name_or_address_is_missing_then_is_refused(
    client: Api, admin: Person
) -> None:
    for body in ({"name": "X"}, {"base_url": "https://x.example.org"}, {}):
        assert (await client.post("/services", as_=admin, json=body)).status == 400


async def test_add_when_the_slug_is_taken_then_conflict(client: Api, admin: Person) -> None:
    await add(client, admin)
    again = await client.post("/services", as_=admin, json={**BODY, "name": "Another"})
    assert (again.status, again.json()["code"]) == (409, "slug_taken")


async def test_add_when_repeated_with_its_key_then_is_one_service(
    client: Api, admin: Person
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await client.post("/services", as_=admin, json=BODY, headers=headers)
    second = await client.post("/services", as_=admin, json=BODY, headers=headers)
    assert (first.status, second.status) == (201, 201)
    assert second.body == first.body
    assert len((await client.get("/services")).json()) == 1
    other = {**BODY, "slug": "other"}
    assert (await client.post("/services", as_=admin, json=other, headers=headers)).status == 422


async def test_add_when_a_preset_is_named_then_its_panels_come_with_it(
    client: Api, admin: Person
) -> None:
    answer = await client.post(
        "/services", as_=admin, json={"preset": "h3africa", "name": "Ours", "max_remote_jobs": 7}
    )
    assert answer.status == 201
    made = answer.json()
    assert (made["slug"], made["name"], made["max_remote_jobs"]) == ("h3africa", "Ours", 7)
    panels = (await client.get(f"/services/{made['id']}/reference-panels", as_=admin)).json()
    assert [panel["name"] for panel in panels] == [
        "H3Africa Reference Panel",
        "1000 Genomes - African Subset",
        "African Genome Variation Project",
    ]
    assert panels[0]["populations"][0] == {"key": "afr", "label": "afr"}


async def test_change_when_the_shown_service_is_sent_back_then_nothing_changes(
    client: Api, admin: Person
) -> None:
    made = await add(client, admin, credential_policy="shared", api_config={"api_token": TOKEN})
    shown = (await client.get(f"/services/{made['id']}", as_=admin)).json()
    answer = await patch(client, admin, made, **shown)
    assert answer.status == 200
    assert {**answer.json(), "updated_at": 0} == {**shown, "updated_at": 0}


async def test_change_when_the_slug_or_dialect_is_another_then_is_refused(
    client: Api, admin: Person
) -> None:
    made = await add(client, admin)
    for changes in ({"slug": "new"}, {"api_type": "ga4gh_wes"}):
        answer = await patch(client, admin, made, **changes)
        assert answer.status == 400
        assert "cannot be changed" in answer.json()["message"]


async def test_change_when_the_configuration_becomes_impossible_then_nothing_is_written(
    client: Api, admin: Person, deps: Deps
) -> None:
    made = await add(client, admin)
    answer = await patch(client, admin, made, name="New", api_config={"account_limit": 0})
    assert answer.status == 400
    assert (await client.get(f"/services/{made['id']}")).json()["name"] == "Test Service"
    assert [action for action, _ in await audited(deps)] == ["service.created"]


async def test_change_when_empty_then_writes_nothing(
    client: Api, admin: Person, deps: Deps
) -> None:
    made = await add(client, admin)
    assert (await patch(client, admin, made)).status == 200
    assert [action for action, _ in await audited(deps)] == ["service.created"]


async def test_delete_when_jobs_refer_to_it_then_is_refused_and_else_it_goes(
    client: Api, admin: Person, alice: Person, deps: Deps
) -> None:
    used, unused = await add(client, admin), await add(client, admin, slug="unused")
    account = await deps.pool.fetchval(
        "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
        used["id"],
        alice.id,
    )
    await deps.pool.execute(
        "insert into imputation_jobs (user_id, name, service_id, account_id, panel_key, panel_name, build, phasing,"
        " remote_name, archive_secret, archive_secret_key_id)"
        " values ($1, 'j', $2, $3, 'k', 'n', 'hg19', true, 'r', '', 'k')",
        alice.id,
        used["id"],
        account,
    )
    refused = await client.delete(f"/services/{used['id']}", as_=admin)
    assert (refused.status, refused.json()["code"]) == (409, "service_in_use")
    assert "is_active" in refused.json()["action"]
    assert (await client.delete(f"/services/{unused['id']}", as_=admin)).status == 204
    assert (await client.delete(f"/services/{unused['id']}", as_=admin)).status == 404
    assert [item["id"] for item in (await client.get("/services")).json()] == [used["id"]]
    assert [action for action, _ in await audited(deps)][-1] == "service.deleted"


async def test_secrets_when_they_got_into_the_row_then_are_not_shown(
    client: Api, deps: Deps
) -> None:
    service = await factories.make_service(
        deps, api_config={"api_token": TOKEN, "note": TOKEN, "app": "x"}
    )
    shown = await client.get(f"/services/{service.id}")
    assert shown.json()["api_config"] == {"app": "x", "has_api_token": False}
    assert TOKEN not in shown.text


async def test_health_when_looked_at_then_now_and_history_newest_first(
    client: Api, alice: Person, deps: Deps
) -> None:
    service = await factories.make_service(
        deps, health="down", health_message="no answer", latency_ms=None
    )
    for age, state, latency in ((3, "up", 12.5), (2, "maintenance", 8.0), (1, "down", None)):
        await deps.pool.execute(
            "insert into service_health (service_id, checked_at, state, latency_ms)"
            " values ($1, now() - make_interval(mins => $2), $3, $4)",
            service.id,
            age,
            state,
            latency,
        )
    place = f"/services/{service.id}/health"
    answer = await client.get(f"{place}?limit=2", as_=alice)
    assert answer.status == 200
    said = answer.json()
    assert (said["state"], said["message"]) == ("down", "no answer")
    assert [(item["state"], item["latency_ms"]) for item in said["history"]] == [
        ("down", None),
        ("maintenance", 8.0),
    ]
    assert (await client.get(place)).status == 401
    assert (await client.get(f"{place}?limit=0", as_=alice)).status == 400
    assert (await client.get("/services/999/health", as_=alice)).status == 404


async def test_service_when_there_is_none_then_404(client: Api, admin: Person) -> None:
    for place in ("/services/999", "/services/0", "/services/999999999999999999"):
        answer = await client.get(place)
        assert (answer.status, answer.json()["code"]) == (404, "service_not_found")
    assert (await client.get("/services/x")).status == 404
    assert (await client.patch("/services/999", as_=admin, json={"name": "x"})).status == 404
