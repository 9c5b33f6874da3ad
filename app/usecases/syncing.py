"""What services offer, read live: by an administrator, and by itself every few hours. Panels keep their versions.

By itself only services are read that show their description to everybody or have a shared credential: nobody's own credential
is ever used for the platform's work. Where there is neither, a description that has become old is read in the same breath when a
user tests their own credential.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import structlog

from app.adapters.base import AdapterError, Credential, ServiceDescription
from app.adapters.base import Panel as LivePanel
from app.core.errors import AppError, Conflict, NoCredentials, NotFound, Unavailable
from app.core.models import Panel, Service
from app.db import services as db
from app.db.queries import Connection
from app.db.services import NewPanel
from app.security.vault import VaultError
from app.usecases import audit
from app.usecases.credentials import Secret, open_adapter, open_credential, shared_context
from app.usecases.deps import Actor, Deps
from app.usecases.lanes import work_off
from app.usecases.panels import is_as_preset
from app.usecases.remote_errors import as_app_error

log = structlog.get_logger(__name__)

DESCRIBE_LIMIT_S = 180.0
"""A service is asked for its front page and a few forms; each call has a limit of its own besides."""
READ_AT_A_TIME = 4
MAX_READ_PER_RUN = 200
READ_BESIDE_LIMIT_S = 15.0
"""A user who tests a credential waits so much longer at most."""
RETRY_S = 900.0
JITTER = 0.1
"""The interval varies by this share either way, so that services are not all asked at the same moment."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a service said of itself, and what followed from it. `unlisted` are active panels that it does not list."""

    service: Service
    read_at: datetime
    app_id: str | None
    app_version: str | None
    dialect: str | None
    warnings: list[str]
    panels: list[Panel]
    added: list[str]
    retired: list[str]
    unlisted: list[str]


async def sync_panels(
    deps: Deps, actor: Actor | None, service_id: int, credential: Credential | None = None
) -> Synced:
    """Read what the service offers, live, and bring its panels up to date; those entered by hand stay.

    The service is asked with `credential`, else with the actor's own stored one, else with the shared one where allowed.
    Raises NotFound, NoCredentials, and what `as_app_error` gives.
    """
    service = await db.find_service(deps.pool, service_id)
    if service is None:
        raise _unknown_service()
    if credential is None:
        credential = await _credential(deps, service, actor)
    return await _sync(deps, actor, service, credential)


async def sync_due(deps: Deps) -> int:
    """Read the services whose description is due; give how many were tried."""
    if deps.settings.panel_sync_interval_s <= 0:
        return 0
    retry = timedelta(seconds=min(RETRY_S, deps.settings.panel_sync_interval_s))

    async def claim() -> Service | None:
        now = deps.now()
        return await db.claim_description(deps.pool, now, now + retry)

    return await work_off(
        claim, partial(_sync_by_itself, deps), lanes=READ_AT_A_TIME, most=MAX_READ_PER_RUN
    )


async def read_beside(deps: Deps, actor: Actor, service_id: int) -> None:
    """Read a service whose description is old, with the credential that its user has just tested; trouble is passed over.

    Another account may be shown less: no panel is retired for what this one does not see.
    """
    now, interval_s = deps.now(), deps.settings.panel_sync_interval_s
    if interval_s <= 0:
        return
    until = now + timedelta(seconds=min(RETRY_S, interval_s))
    service = await db.claim_own_description(deps.pool, service_id, now, until)
    if service is None:
        return
    try:
        async with asyncio.timeout(READ_BESIDE_LIMIT_S):
            credential = await _credential(deps, service, actor)
            await _sync(deps, None, service, credential, by_itself=True, is_whole=False)
    except (AppError, TimeoutError) as error:
        log.info("registry.not_read", service=service.slug, reason=type(error).__name__)


async def _sync_by_itself(deps: Deps, service: Service) -> None:
    try:
        await _sync(deps, None, service, await _credential(deps, service, None), by_itself=True)
    except (AppError, TimeoutError) as error:
        log.info("registry.not_read", service=service.slug, reason=type(error).__name__)


async def _sync(
    deps: Deps,
    actor: Actor | None,
    service: Service,
    credential: Credential | None,
    *,
    by_itself: bool = False,
    is_whole: bool = True,
) -> Synced:
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
        return await _keep(
            deps, connection, actor, service, description, by_itself=by_itself, is_whole=is_whole
        )


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
    *,
    by_itself: bool,
    is_whole: bool,
) -> Synced:
    current = await db.lock_service(connection, service.id)
    if current is None:
        raise _unknown_service()
    if current.base_url != service.base_url:
        raise Conflict("The service was moved while it was being read", action="Send it again.")
    now = deps.now()
    form = _form(current, description, now)
    await db.set_live_form(connection, service.id, form, now, _next_read(deps, now))
    before, _ = await db.list_panels(connection, service.id, inactive_too=True)
    untouched = [panel.key for panel in before if is_as_preset(panel)]
    await db.release_panels(connection, service.id, untouched)
    for live in description.panels:
        await db.put_live_panel(connection, service.id, _live(live))
    listed = [panel.key for panel in description.panels]
    retired = await db.retire_live_panels(connection, service.id, listed) if is_whole else []
    after, _ = await db.list_panels(connection, service.id, inactive_too=False)
    known = {(panel.key, panel.id) for panel in before}
    synced = Synced(
        current,
        now,
        description.app_id,
        description.app_version,
        description.dialect,
        warnings=[*description.warnings, *dialect_warnings(form)],
        panels=after,
        added=[panel.key for panel in after if (panel.key, panel.id) not in known],
        retired=retired,
        unlisted=[panel.key for panel in after if panel.key not in listed],
    )
    if synced.added or retired or not by_itself:
        await _audit(
            connection,
            "panels.synced",
            actor,
            service,
            listed=len(listed),
            added=len(synced.added),
            retired=len(retired),
        )
    if form.get("dialect_changed_at") == now.isoformat():
        await _audit(
            connection,
            "service.dialect_changed",
            actor,
            service,
            before=form["former_dialect"],
            now=description.dialect,
        )
    return synced


def _form(service: Service, description: ServiceDescription, now: datetime) -> dict[str, Any]:
    """Give what is kept of a description. That the dialect changed is remembered until the service is set up anew."""
    form: dict[str, Any] = msgspec.to_builtins(description)
    old: dict[str, Any] = service.live_form or {}
    form["dialect"] = description.dialect or old.get("dialect")
    if old.get("dialect") not in (None, form["dialect"]):
        return {**form, "former_dialect": old["dialect"], "dialect_changed_at": now.isoformat()}
    kept = ("former_dialect", "dialect_changed_at")
    return {**form, **{name: old[name] for name in kept if name in old}}


def dialect_warnings(form: dict[str, Any] | None) -> tuple[str, ...]:
    """Say that a service speaks another dialect than it did when it was first read."""
    if not form or not form.get("former_dialect"):
        return ()
    since, former = form["dialect_changed_at"][:10], form["former_dialect"]
    said = f"The service answers as «{form.get('dialect')}» since {since}; it was «{former}» before"
    return (f"{said}: check its settings and save them",)


def _next_read(deps: Deps, now: datetime) -> datetime:
    share = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads work, guards nothing
    return now + timedelta(seconds=deps.settings.panel_sync_interval_s * share)


def _live(live: LivePanel) -> NewPanel:
    return NewPanel(
        key=live.key,
        name=live.name,
        populations=[{"key": item.key, "label": item.label} for item in live.populations],
        builds=list(live.builds),
        version=live.version,
    )


def _unknown_service() -> NotFound:
    return NotFound("There is no such imputation service", code="service_not_found")


async def _audit(
    connection: Connection, action: str, actor: Actor | None, service: Service, **details: object
) -> None:
    await audit.record(
        connection,
        action,
        actor=actor,
        resource_type="service",
        resource_id=service.id,
        details=details,
    )
