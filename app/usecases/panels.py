"""Reference panels: entered by hand, or read live from the service that has them."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.adapters.base import AdapterError, Credential, ServiceDescription
from app.adapters.base import Panel as LivePanel
from app.adapters.presets import PRESETS, PanelPreset, ServicePreset
from app.core import services as rules
from app.core.errors import Conflict, NoCredentials, NotFound, Unavailable
from app.core.models import Panel, Service
from app.db import services as db
from app.db.queries import Connection
from app.db.services import NewPanel
from app.security.vault import VaultError
from app.usecases import audit
from app.usecases.credentials import Secret, open_adapter, open_credential, shared_context
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once
from app.usecases.remote_errors import as_app_error

DESCRIBE_LIMIT_S = 180.0
"""A service is asked for its front page and a few forms; each call has a limit of its own besides."""


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


@dataclass(frozen=True, slots=True)
class Synced:
    """What a service said of its panels, and what followed from it. `unlisted` are active panels that it does not list."""

    service: Service
    read_at: datetime
    app_id: str | None
    app_version: str | None
    panels: list[Panel]
    added: list[str]
    retired: list[str]
    unlisted: list[str]


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
        changed = await db.update_panel(connection, replace(panel, **fields)) or panel
        await _record(connection, actor, "panel.updated", changed, fields=sorted(fields))
    return changed


async def delete_panel(deps: Deps, actor: Actor, service_id: int, panel_id: int) -> None:
    """Remove a panel; jobs that used it keep its key and name. Raises NotFound."""
    async with deps.pool.acquire() as connection, connection.transaction():
        await _lock_service(connection, service_id)
        panel = await db.find_panel(connection, service_id, panel_id)
        if panel is None or not await db.delete_panel(connection, service_id, panel_id):
            raise _unknown_panel()
        await _record(connection, actor, "panel.deleted", panel)


async def sync_panels(
    deps: Deps, actor: Actor | None, service_id: int, credential: Credential | None = None
) -> Synced:
    """Read what the service offers, live, and bring its panels up to date; those entered by hand stay.

    The service is asked with `credential`, else with the actor's own stored one, else with the shared one where allowed.
    Raises NotFound, NoCredentials, and what `as_app_error` gives.
    """
    service = await _get_service(deps, service_id)
    if credential is None:
        credential = await _credential(deps, service, actor)
    try:
        async with asyncio.timeout(DESCRIBE_LIMIT_S):
            description = await open_adapter(deps, service, credential).describe()
    except AdapterError as error:
        raise as_app_error(service.name, error) from error
    if credential is not None and credential.shows_in(msgspec.json.encode(description).decode()):
        raise Unavailable(
            f"{service.name} shows the credential itself in what it lists: nothing of it was kept",
            code="credential_echoed",
            action="Replace the credential at the service, and tell its operators.",
        )
    if not description.panels:
        raise Unavailable(
            f"{service.name} lists no reference panels now: everything stays as it was",
            code="no_panels_listed",
            action="Look at «api_config.app», or enter panels by hand.",
        )
    async with deps.pool.acquire() as connection, connection.transaction():
        return await _keep(deps, connection, actor, service, description)


async def _credential(deps: Deps, service: Service, actor: Actor | None) -> Credential | None:
    if actor is not None:
        return (await open_credential(deps, service, actor.id)).credential
    if service.credential_kind == "none":
        return None
    if service.credential_policy == "shared" and service.shared_secret is not None:
        context = shared_context(service.id, service.base_url)
        key_id = service.shared_secret_key_id or ""
        with suppress(VaultError):
            text = deps.vault.open(service.shared_secret, key_id, *context)
            return msgspec.json.decode(text, type=Secret).as_credential()
    raise NoCredentials(
        f"{service.name} asks for a credential and no shared one may be used",
        action="Give a token for this call alone (--api-token-file), or sign in and use your own.",
    )


async def _keep(
    deps: Deps,
    connection: Connection,
    actor: Actor | None,
    service: Service,
    description: ServiceDescription,
) -> Synced:
    if (await _lock_service(connection, service.id)).base_url != service.base_url:
        raise Conflict("The service was moved while it was being read", action="Send it again.")
    now = deps.now()
    await db.set_live_form(connection, service.id, msgspec.to_builtins(description), now)
    before, _ = await db.list_panels(connection, service.id, inactive_too=True)
    untouched = [panel.key for panel in before if is_as_preset(panel)]
    await db.release_panels(connection, service.id, untouched)
    for live in description.panels:
        await db.upsert_live_panel(connection, service.id, _live(live))
    listed = [panel.key for panel in description.panels]
    retired = await db.retire_live_panels(connection, service.id, listed)
    after, _ = await db.list_panels(connection, service.id, inactive_too=False)
    known = {panel.key for panel in before}
    synced = Synced(
        service,
        now,
        description.app_id,
        description.app_version,
        panels=after,
        added=[key for key in listed if key not in known],
        retired=retired,
        unlisted=[panel.key for panel in after if panel.key not in listed],
    )
    await audit.record(
        connection,
        "panels.synced",
        actor=actor,
        resource_type="service",
        resource_id=service.id,
        details={"listed": len(listed), "added": len(synced.added), "retired": len(retired)},
    )
    return synced


def _live(live: LivePanel) -> NewPanel:
    return NewPanel(
        key=live.key,
        name=live.name,
        populations=[{"key": item.key, "label": item.label} for item in live.populations],
        builds=list(live.builds),
        version=live.version,
    )


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


async def _get_service(deps: Deps, service_id: int) -> Service:
    service = await db.find_service(deps.pool, service_id)
    if service is None:
        raise _unknown_service()
    return service


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
