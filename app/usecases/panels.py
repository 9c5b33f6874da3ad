"""Reference panels as administrators enter and change them. How they are read live: `app.usecases.syncing`."""

from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.adapters.presets import PRESETS, PanelPreset, ServicePreset
from app.core import services as rules
from app.core.errors import Conflict, NotFound
from app.core.models import Panel, Service
from app.db import services as db
from app.db.queries import Connection
from app.db.services import NewPanel
from app.usecases import audit
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once


class PanelChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator sets about a panel; absent fields stay. Such a panel is no longer changed by a sync."""

    name: str | UnsetType = UNSET
    populations: list[dict[str, str] | str] | UnsetType = UNSET
    builds: list[str] | UnsetType = UNSET
    version: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


class PanelIn(msgspec.Struct, frozen=True, kw_only=True):
    """A panel entered by hand. `key` is what is submitted. Populations are `{key, label}` objects or plain keys."""

    key: str
    name: str
    populations: list[dict[str, str] | str] = []
    builds: list[str] = []
    version: str | None = None
    is_active: bool = True


async def list_panels(
    deps: Deps, service_id: int, *, inactive_too: bool, limit: int, offset: int
) -> tuple[list[Panel], int]:
    """Give a page of a service's panels in the order of its form, and the number of all. Raises NotFound."""
    await _get_service(deps, service_id)
    return await db.list_panels(
        deps.pool, service_id, inactive_too=inactive_too, limit=limit, offset=offset
    )


async def add_panel(
    deps: Deps, actor: Actor, service_id: int, given: PanelIn, once: Once | None = None
) -> Panel:
    """Add a panel by hand. Raises NotFound, InvalidInput, Conflict when the service has one with this key."""
    new = NewPanel(
        key=rules.clean_panel_key(given.key),
        name=rules.clean_name(given.name),
        populations=rules.clean_populations(given.populations),
        builds=rules.clean_builds(given.builds, "builds"),
        version=rules.clean_line(given.version, "version"),
        is_active=given.is_active,
    )
    async with deps.pool.acquire() as connection, connection.transaction():
        await _lock_service(connection, service_id)
        panel = await db.insert_panel(connection, service_id, new)
        if panel is None:
            raise Conflict("The service has a panel with this key already", code="panel_exists")
        await _record(connection, actor, "panel.created", panel)
        if once is not None:
            await once.remember(connection, panel)
    return panel


async def change_panel(
    deps: Deps, actor: Actor, service_id: int, panel_id: int, change: PanelChange
) -> Panel:
    """Change a panel; from then on it is kept by hand. Raises NotFound, InvalidInput."""
    fields: dict[str, Any] = {"source": "manual"}
    if not isinstance(change.name, UnsetType):
        fields["name"] = rules.clean_name(change.name)
    if not isinstance(change.populations, UnsetType):
        fields["populations"] = rules.clean_populations(change.populations)
    if not isinstance(change.builds, UnsetType):
        fields["builds"] = rules.clean_builds(change.builds, "builds")
    if not isinstance(change.version, UnsetType):
        fields["version"] = rules.clean_line(change.version, "version")
    if not isinstance(change.is_active, UnsetType):
        fields["is_active"] = change.is_active
    async with deps.pool.acquire() as connection, connection.transaction():
        await _lock_service(connection, service_id)
        panel = await db.find_panel(connection, service_id, panel_id)
        if panel is None:
            raise _unknown_panel()
        if len(fields) == 1:
            return panel
        if fields.get("is_active") and panel.retired_at is not None:
            await _check_current(connection, panel)
        changed = await db.update_panel(connection, replace(panel, **fields)) or panel
        await _record(connection, actor, "panel.updated", changed, fields=sorted(fields))
    return changed


async def _check_current(connection: Connection, panel: Panel) -> None:
    """Raise Conflict where a later version of a retired panel is listed under its key."""
    others, _ = await db.list_panels(connection, panel.service_id, inactive_too=True)
    if any(other.key == panel.key and other.retired_at is None for other in others):
        raise Conflict("The service lists another version under this key now", code="panel_exists")


async def delete_panel(deps: Deps, actor: Actor, service_id: int, panel_id: int) -> None:
    """Remove a panel; jobs that used it keep its key and name. Raises NotFound."""
    async with deps.pool.acquire() as connection, connection.transaction():
        await _lock_service(connection, service_id)
        panel = await db.find_panel(connection, service_id, panel_id)
        if panel is None or not await db.delete_panel(connection, service_id, panel_id):
            raise _unknown_panel()
        await _record(connection, actor, "panel.deleted", panel)


async def _get_service(deps: Deps, service_id: int) -> Service:
    service = await db.find_service(deps.pool, service_id)
    if service is None:
        raise _unknown_service()
    return service


async def add_preset_panels(connection: Connection, service_id: int, preset: ServicePreset) -> None:
    """Enter the panels of a preset."""
    for panel in preset.panels:
        await db.insert_panel(connection, service_id, _from_preset(panel))


def _from_preset(panel: PanelPreset) -> NewPanel:
    return NewPanel(
        key=panel.key,
        name=panel.name,
        populations=[{"key": key, "label": key} for key in panel.populations],
        builds=list(panel.builds),
        version=None,
    )


def is_as_preset(panel: Panel) -> bool:
    """Tell whether a panel stands as a preset entered it: nobody looked after it, so the service's own list replaces it."""
    as_now = NewPanel(
        panel.key, panel.name, panel.populations, panel.builds, panel.version, panel.is_active
    )
    return panel.source == "manual" and any(
        as_now == _from_preset(item) for preset in PRESETS.values() for item in preset.panels
    )


async def _lock_service(connection: Connection, service_id: int) -> Service:
    service = await db.lock_service(connection, service_id)
    if service is None:
        raise _unknown_service()
    return service


def _unknown_service() -> NotFound:
    return NotFound("There is no such imputation service", code="service_not_found")


def _unknown_panel() -> NotFound:
    return NotFound("The service has no such reference panel", code="panel_not_found")


async def _record(
    connection: Connection, actor: Actor, action: str, panel: Panel, **details: object
) -> None:
    await audit.record(
        connection,
        action,
        actor=actor,
        resource_type="reference_panel",
        resource_id=panel.id,
        details={"service_id": panel.service_id, "key": panel.key, **details},
    )
