"""Reading services live: versions of panels, the schedule, what is kept, and dialects that change."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from app.adapters.base import (
    Adapter,
    Choice,
    Credential,
    Option,
    Panel,
    ServiceDescription,
    ServiceUnavailable,
)
from app.adapters.michigan.recognise import recognise
from app.adapters.registry import AdapterRegistry, Dialect
from app.adapters.transport import Transport
from app.core.models import Service
from app.usecases.catalogue import change_service
from app.usecases.credentials import Secret, seal_secret, shared_context
from app.usecases.deps import Actor, Deps
from app.usecases.service_fields import ServiceChange
from app.usecases.syncing import read_beside, sync_due, sync_panels
from tests import factories
from tests.support.api import Api
from tests.support.deps import Clock
from tests.support.jobs import make_desk
from tests.support.people import Person

POPULATIONS = (Choice("afr", "AFR"),)


@dataclass(slots=True)
class Teller:
    """A service that says what a test wants it to, and remembers with what it was asked."""

    panels: Sequence[Panel] = ()
    dialect: str | None = "one"
    warnings: tuple[str, ...] = ()
    error: Exception | None = None
    asked: list[Credential | None] = field(default_factory=list)

    def list(self, *panels: tuple[str, str | None]) -> None:
        self.panels = [Panel(key, f"Panel {key}", POPULATIONS, (), version) for key, version in panels]  # fmt: skip

    def open(self, credential: Credential | None) -> Adapter:
        self.asked.append(credential)
        return cast("Adapter", self)

    async def describe(self) -> ServiceDescription:
        if self.error is not None:
            raise self.error
        return ServiceDescription(
            app_id="app@2",
            app_version="2",
            server_name="Teller",
            panels=tuple(self.panels),
            builds=("hg19", "hg38"),
            phasings=("eagle", "none"),
            default_phasing="eagle",
            modes=("imputation",),
            options=(Option("r2", "choice", "R2 filter", "0", (Choice("0", "off"),)),),
            dialect=self.dialect,
            warnings=self.warnings,
        )


@pytest.fixture
def teller() -> Teller:
    made = Teller()
    made.list(("a", "1.0"), ("b", None))
    return made


@pytest.fixture
def told(deps: Deps, teller: Teller) -> Deps:
    """Deps over which every service is the teller."""
    dialect = Dialect(lambda _transport, _url, _config, credential: teller.open(credential), recognise)  # fmt: skip
    registry = AdapterRegistry(cast("Transport", None), {"michigan": dialect})
    return replace(deps, adapters=registry)


@pytest.fixture
async def service(deps: Deps) -> Service:
    return await factories.make_service(deps, credential_kind="none")


async def rows(deps: Deps) -> list[tuple[str, str | None, bool, bool]]:
    found = await deps.pool.fetch("select * from reference_panels order by id")
    return [
        (row["key"], row["version"], row["is_active"], row["retired_at"] is None) for row in found
    ]


async def test_sync_when_a_version_changes_then_another_row_and_the_former_is_kept(
    told: Deps, teller: Teller, service: Service
) -> None:
    first = await sync_panels(told, None, service.id)
    assert first.added == ["a", "b"]
    teller.list(("a", "2.0"), ("b", "1.0"))
    second = await sync_panels(told, None, service.id)
    assert second.added == ["a"]
    assert await rows(told) == [
        ("a", "1.0", False, False),
        ("b", "1.0", True, True),
        ("a", "2.0", True, True),
    ], "a version that was not known before is filled in"
    teller.list(("a", None), ("b", "1.0"))
    assert (await sync_panels(told, None, service.id)).added == []
    teller.list(("a", "1.0"), ("b", "1.0"))
    await sync_panels(told, None, service.id)
    assert await rows(told) == [
        ("a", "1.0", True, True),
        ("b", "1.0", True, True),
        ("a", "2.0", False, False),
    ], "the version that was there before is itself again"


async def test_sync_when_a_panel_vanishes_and_comes_back_then_it_is_the_same_one(
    told: Deps, teller: Teller, service: Service
) -> None:
    ids = [panel.id for panel in (await sync_panels(told, None, service.id)).panels]
    teller.list(("b", None))
    gone = await sync_panels(told, None, service.id)
    assert (gone.retired, [panel.id for panel in gone.panels]) == (["a"], ids[1:])
    assert ("a", "1.0", False, False) in await rows(told)
    teller.list(("a", "1.0"), ("b", None))
    back = await sync_panels(told, None, service.id)
    assert [panel.id for panel in back.panels] == ids


async def test_panels_by_hand_when_versions_change_then_they_stay_as_they_are(
    told: Deps, teller: Teller, client: Api, admin: Person, service: Service
) -> None:
    place = f"/services/{service.id}/reference-panels"
    body = {"key": "a", "name": "Ours", "version": "0.1"}
    made = await client.post(place, as_=admin, json=body)
    assert made.status == 201
    for version in ("1.0", "2.0"):
        teller.list(("a", version))
        await sync_panels(told, None, service.id)
    teller.list(("z", None))
    await sync_panels(told, None, service.id)
    found = {row[0]: row for row in await rows(told)}
    assert found["a"] == ("a", "0.1", True, True)


async def test_retired_panel_when_switched_on_by_hand_then_only_if_no_other_took_its_place(
    told: Deps, teller: Teller, client: Api, admin: Person, service: Service
) -> None:
    panel = (await sync_panels(told, None, service.id)).panels[0]
    place = f"/services/{service.id}/reference-panels/{panel.id}"
    teller.list(("a", "2.0"))
    await sync_panels(told, None, service.id)
    refused = await client.patch(place, as_=admin, json={"is_active": True})
    assert (refused.status, refused.json()["code"]) == (409, "panel_exists")
    teller.list(("z", None))
    await sync_panels(told, None, service.id)
    await told.pool.execute("delete from reference_panels where key = 'a' and version = '2.0'")
    kept = await client.patch(place, as_=admin, json={"is_active": True})
    assert kept.status == 200
    assert (kept.json()["is_active"], kept.json()["retired_at"]) == (True, None)
    await sync_panels(told, None, service.id)
    assert ("a", "1.0", True, True) in await rows(told), "it is kept by hand from then on"


async def test_schedule_when_due_then_read_and_not_again_before_its_time(
    told: Deps, teller: Teller, service: Service, clock: Clock
) -> None:
    assert await sync_due(told) == 1
    assert await sync_due(told) == 0
    assert len(await rows(told)) == 2
    clock.move(hours=5)
    assert await sync_due(told) == 0
    clock.move(hours=2)
    assert await sync_due(told) == 1
    assert await told.pool.fetchval("select count(*) from audit_logs") == 1, "nothing changed"
    assert service.id


async def test_schedule_when_it_fails_then_tried_again_soon_and_panels_stay(
    told: Deps, teller: Teller, service: Service, clock: Clock
) -> None:
    await sync_due(told)
    before = await rows(told)
    clock.move(hours=7)
    for trouble in (ServiceUnavailable("away"), None):
        teller.error = trouble
        if trouble is None:
            teller.list()
        assert await sync_due(told) == 1
        assert await rows(told) == before
        assert await sync_due(told) == 0
        clock.move(minutes=16)
    teller.list(("a", "1.0"))
    assert await sync_due(told) == 1
    assert (await rows(told))[1][2] is False
    assert service.id


@pytest.mark.parametrize(
    "fields",
    [
        {"credential_kind": "token"},
        {"credential_kind": "token", "credential_policy": "shared"},
        {"is_active": False},
        {"maintenance": True},
    ],
)
async def test_schedule_when_it_would_need_somebodys_own_credential_then_is_not_read(
    told: Deps, teller: Teller, alice: Person, fields: dict[str, Any]
) -> None:
    service = await factories.make_service(told, **{"credential_kind": "none", **fields})
    await told.pool.execute(
        "insert into user_service_credentials (user_id, service_id, credential_type, secret, secret_key_id, origin, is_verified)"
        " values ($1, $2, 'token', '', 'k1', 'https://imputation.example.org', true)",
        alice.id,
        service.id,
    )
    assert await sync_due(told) == 0
    assert teller.asked == []


async def test_schedule_when_there_is_a_shared_token_then_it_is_used(
    told: Deps, teller: Teller
) -> None:
    service = await factories.make_service(told, credential_policy="shared")
    secret, key_id = seal_secret(
        told, Secret(token="shared-token"), shared_context(service.id, service.base_url)
    )
    await told.pool.execute(
        "update services set shared_secret = $1, shared_secret_key_id = $2", secret, key_id
    )
    assert await sync_due(told) == 1
    (credential,) = teller.asked
    assert credential is not None
    assert credential.token == "shared-token"


async def test_schedule_when_switched_off_then_nothing_is_read(
    told: Deps, service: Service
) -> None:
    off = replace(told, settings=replace(told.settings, panel_sync_interval_s=0.0))
    assert await sync_due(off) == 0
    assert service.id


async def test_capabilities_when_read_then_everybody_sees_them_and_administrators_the_warnings(
    told: Deps, teller: Teller, client: Api, admin: Person, service: Service
) -> None:
    place = f"/services/{service.id}"
    assert (await client.get(place)).json()["capabilities"] is None
    teller.warnings = ("the workflow has moved",)
    synced = await sync_panels(told, None, service.id)
    assert synced.warnings == ["the workflow has moved"]
    shown = (await client.get(place)).json()["capabilities"]
    assert shown["read_at"] is not None
    assert (shown["dialect"], shown["app_id"], shown["app_version"]) == ("one", "app@2", "2")
    assert [panel["key"] for panel in shown["panels"]] == ["a", "b"]
    assert shown["populations"] == [{"key": "afr", "label": "AFR"}]
    assert shown["options"][0]["choices"] == [{"key": "0", "label": "off"}]
    assert shown["limits"] == {"max_remote_jobs": None}
    assert "warnings" not in shown
    for_admin = (await client.get(place, as_=admin)).json()["capabilities"]
    assert for_admin["warnings"] == ["the workflow has moved"]
    assert "capabilities" not in (await client.get("/services")).json()[0]


async def test_capabilities_when_they_were_read_by_a_former_version_then_still_shown(
    told: Deps, client: Api, service: Service
) -> None:
    await sync_panels(told, None, service.id)
    await told.pool.execute("update services set live_form = live_form - 'dialect' - 'warnings'")
    shown = (await client.get(f"/services/{service.id}")).json()["capabilities"]
    assert shown["dialect"] is None


async def test_dialect_when_it_changes_then_warned_about_and_audited_until_seen_to(
    told: Deps, teller: Teller, client: Api, admin: Person, service: Service
) -> None:
    await sync_panels(told, None, service.id)
    teller.dialect = "two"
    for _ in range(2):
        synced = await sync_panels(told, None, service.id)
        assert "«two»" in synced.warnings[0]
        assert "«one»" in synced.warnings[0]
    shown = (await client.get(f"/services/{service.id}", as_=admin)).json()
    assert "«one»" in shown["warnings"][-1]
    assert (await client.get(f"/services/{service.id}")).json()["warnings"] == []
    audited = await told.pool.fetch(
        "select details from audit_logs where action = 'service.dialect_changed'"
    )
    assert [row["details"] for row in audited] == [{"before": "one", "now": "two"}]
    await change_service(told, None, service.id, ServiceChange(api_config={}))
    assert (await sync_panels(told, None, service.id)).warnings == []


async def test_dialect_when_it_changes_back_or_is_not_told_then_only_changes_are_noted(
    told: Deps, teller: Teller, service: Service
) -> None:
    for dialect, warned in (("one", 0), (None, 0), ("two", 1), ("one", 1), (None, 1), ("one", 1)):
        teller.dialect = dialect
        synced = await sync_panels(told, None, service.id)
        assert len(synced.warnings) == warned, dialect
    actions = await told.pool.fetch("select action from audit_logs")
    changes = [row for row in actions if row["action"] == "service.dialect_changed"]
    assert len(changes) == 2


async def test_own_token_when_tested_and_the_description_is_old_then_read_and_nothing_is_retired(
    told: Deps, teller: Teller, alice: Person, clock: Clock
) -> None:
    desk = await make_desk(told, alice)
    await read_beside(told, Actor(alice.user), desk.service.id)
    assert [item and item.token for item in teller.asked] == ["a-token-of-the-user"]
    assert len(await rows(told)) == 3
    await read_beside(told, Actor(alice.user), desk.service.id)
    assert len(teller.asked) == 1, "it is not old"
    clock.move(hours=7)
    teller.list(("b", None), ("c", None))
    await read_beside(told, Actor(alice.user), desk.service.id)
    assert [row[0] for row in await rows(told) if row[2]] == [desk.panel.key, "a", "b", "c"]


async def test_own_token_when_the_reading_fails_then_nobody_is_bothered(
    told: Deps, teller: Teller, alice: Person
) -> None:
    desk = await make_desk(told, alice)
    teller.error = ServiceUnavailable("away")
    await read_beside(told, Actor(alice.user), desk.service.id)
    await read_beside(told, Actor(alice.user), desk.service.id)
    assert len(teller.asked) == 1


async def test_own_token_when_the_platform_reads_by_itself_then_it_is_not_needed(
    told: Deps, teller: Teller, alice: Person, service: Service
) -> None:
    await read_beside(told, Actor(alice.user), service.id)
    assert teller.asked == []
