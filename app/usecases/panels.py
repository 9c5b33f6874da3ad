"""Reference panels: read live from the service where it can tell, entered by hand where it cannot."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.adapters import base as adapters
from app.adapters.base import AdapterError, CredentialRejected, ServiceDescription
from app.core.catalogue import BUILDS, check_builds, check_line, refuse
from app.core.errors import Conflict, NoCredentials, NotFound
from app.core.models import Panel, Service
from app.core.names import one_line
from app.db import services as db
from app.db.queries import Connection
from app.db.services import NewPanel
from app.usecases import audit
from app.usecases.catalogue import get_service
from app.usecases.credentials import open_adapter, open_credential, remote_trouble
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once

MAX_PANELS = 500
MAX_POPULATIONS = 100


class PanelFields(msgspec.Struct, frozen=True, kw_only=True):
    """What administrators set about a panel; absent fields stay, or get their default in a new panel."""

    name: str | UnsetType = UNSET
    populations: list[str | dict[str, str]] | UnsetType = UNSET
    """Keys, or objects with `key` and `label`."""
    builds: list[str] | UnsetType = UNSET
    version: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Synced:
    """What a service said of itself: its panels as they now stand, and the keys of those that vanished."""

    service: Service
    panels: list[Panel]
    retired: list[str]


async def list_panels(
    deps: Deps, actor: Actor, service_id: int, *, limit: int, offset: int
) -> tuple[list[Panel], int]:
    """Give a page of a service's panels and the number of all; switched-off ones to administrators. Raises NotFound."""
    await get_service(deps.pool, service_id)
    return await db.list_panels(
        deps.pool, service_id, inactive_too=actor.is_admin, limit=limit, offset=offset
    )


async def create_panel(
    deps: Deps,
    actor: Actor | None,
    service_id: int,
    key: str,
    fields: PanelFields,
    once: Once | None = None,
) -> Panel:
    """Add a panel by hand. Raises NotFound, InvalidInput, Conflict when the service has one with this key."""
    values = _judge(fields)
    new = NewPanel(
        key=check_line(key, "key"),
        name=values.get("name") or check_line(key, "name"),
        populations=values.get("populations", []),
        builds=values.get("builds", []),
        version=values.get("version"),
        is_active=values.get("is_active", True),
    )
    async with deps.pool.acquire() as connection, connection.transaction():
        await get_service(connection, service_id)
        panel = await db.insert_panel(connection, service_id, new)
        if panel is None:
            raise Conflict("The service has a panel with this key", code="panel_exists")
        await _record(connection, actor, "created", panel)
        if once is not None:
            await once.remember(connection, panel)
    return panel


async def change_panel(
    deps: Deps, actor: Actor, service_id: int, panel_id: int, fields: PanelFields
) -> Panel:
    """Change a panel. From then on it counts as entered by hand, and `sync` leaves it alone. Raises NotFound, InvalidInput."""
    values = _judge(fields)
    async with deps.pool.acquire() as connection, connection.transaction():
        panel = await db.find_panel(connection, service_id, panel_id)
        if panel is not None:
            panel = await db.update_panel(connection, replace(panel, **values, source="manual"))
        if panel is None:
            raise NotFound("There is no such panel")
        await _record(connection, actor, "changed", panel)
    return panel


async def delete_panel(deps: Deps, actor: Actor, service_id: int, panel_id: int) -> None:
    """Remove a panel; jobs that used it keep its key and name. Raises NotFound."""
    async with deps.pool.acquire() as connection, connection.transaction():
        panel = await db.find_panel(connection, service_id, panel_id)
        if panel is None or not await db.delete_panel(connection, service_id, panel_id):
            raise NotFound("There is no such panel")
        await _record(connection, actor, "deleted", panel)


async def sync_panels(deps: Deps, actor: Actor, service_id: int) -> Synced:
    """Ask a service what it offers, with the credential of who asks (or the shared one, where allowed), and keep it.

    Panels that vanished are switched off; those entered by hand stay as they are.
    Raises NotFound, NoCredentials, Unavailable, Conflict.
    """
    service = await get_service(deps.pool, service_id)
    opened = await open_credential(deps, service, actor.id)
    described = await _describe(deps, service, opened.credential)
    async with deps.pool.acquire() as connection, connection.transaction():
        retired = await keep_description(deps, connection, service.id, described)
        await audit.record(
            connection,
            "service.synced",
            actor=actor,
            resource_type="service",
            resource_id=service.id,
            details={"panels": len(described.panels), "retired": retired[:50]},
        )
        panels, _ = await db.list_panels(connection, service.id, inactive_too=True)
    return Synced(service, panels, retired)


async def keep_description(
    deps: Deps, connection: Connection, service_id: int, described: ServiceDescription
) -> list[str]:
    """Write down what a service offers; give the keys of panels that vanished.

    A service that lists no panel at all most likely hides them from this account, so nothing vanishes then.
    """
    await db.lock_service(connection, service_id)
    panels = described.panels[:MAX_PANELS]
    for panel in panels:
        await db.upsert_live_panel(connection, service_id, _live(panel))
    form = msgspec.to_builtins(described)
    form.pop("panels")
    await db.set_live_form(connection, service_id, form, deps.now())
    if not panels:
        return []
    return await db.retire_live_panels(connection, service_id, [panel.key for panel in panels])


async def _describe(
    deps: Deps, service: Service, credential: adapters.Credential | None
) -> ServiceDescription:
    adapter = open_adapter(deps, service, credential)
    try:
        return await adapter.describe()
    except CredentialRejected as error:
        raise NoCredentials(
            f"{service.name} does not accept your credential: {error.reason}",
            code="credential_rejected",
            action="Go to Settings → Service Credentials",
            extra={"service_id": service.id},
        ) from error
    except AdapterError as error:
        raise remote_trouble(service, error) from error


def _live(panel: adapters.Panel) -> NewPanel:
    return NewPanel(
        key=panel.key[:500],
        name=one_line(panel.name)[:200] or panel.key[:200],
        populations=[
            {"key": choice.key[:100], "label": one_line(choice.label)[:100]}
            for choice in panel.populations[:MAX_POPULATIONS]
        ],
        builds=[build for build in BUILDS if build in panel.builds],
        version=panel.version[:100] if panel.version else None,
    )


def _judge(fields: PanelFields) -> dict[str, Any]:
    given = msgspec.structs.asdict(fields)
    values = {name: value for name, value in given.items() if value is not UNSET}
    if "name" in values:
        values["name"] = check_line(values["name"], "name")
    if values.get("version"):
        values["version"] = check_line(values["version"], "version", 100)
    if "builds" in values:
        values["builds"] = check_builds(values["builds"], may_be_empty=True)
    if "populations" in values:
        values["populations"] = _populations(values["populations"])
    return values


def _populations(given: list[str | dict[str, str]]) -> list[dict[str, str]]:
    if len(given) > MAX_POPULATIONS:
        raise refuse("populations", f"must be at most {MAX_POPULATIONS}")
    choices = []
    for item in given:
        shown = {"key": item} if isinstance(item, str) else item
        if not {"key"} <= shown.keys() <= {"key", "label"}:
            raise refuse("populations", "must be texts, or objects with key and label")
        key = check_line(shown["key"], "populations", 100)
        label = check_line(shown.get("label") or key, "populations", 100)
        choices.append({"key": key, "label": label})
    if len({choice["key"].casefold() for choice in choices}) < len(choices):
        raise refuse("populations", "must differ by more than case")
    return choices


async def _record(connection: Connection, actor: Actor | None, what: str, panel: Panel) -> None:
    await audit.record(
        connection,
        f"panel.{what}",
        actor=actor,
        resource_type="panel",
        resource_id=panel.id,
        details={"service_id": panel.service_id, "key": panel.key},
    )
