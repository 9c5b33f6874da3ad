"""The catalogue of services: shown to everybody, changed by administrators."""

from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET, UnsetType

from app.adapters.presets import ServicePreset
from app.core import services as rules
from app.core.addresses import origin_of
from app.core.credentials import clean_token
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.health import MAINTENANCE
from app.core.models import Service
from app.db import services as db
from app.db.queries import Connection
from app.usecases import audit
from app.usecases.credentials import Secret, seal_secret, shared_context
from app.usecases.deps import Actor, Deps
from app.usecases.engine.upkeep import note_look
from app.usecases.engine.wakeup import credential_replaced, service_reconfigured
from app.usecases.fitting import misfits
from app.usecases.idempotency import Once
from app.usecases.panels import add_preset_panels
from app.usecases.service_fields import DEFAULTS, NewService, ServiceChange, fields_of, preset_of
from app.usecases.syncing import dialect_warnings

_WAKES = frozenset(
    {"base_url", "api_config", "allow_insecure", "is_active", "max_remote_jobs", "maintenance"}
)
# Changes after which the description that was read may be another one's.
_READ_AGAIN = frozenset(
    {"base_url", "api_config", "allow_insecure", "credential_kind", "credential_policy"}
)

EVERY_SERVICE = 10_000
"""More than anybody has: where pages look through all services. What they show is paged."""


@dataclass(frozen=True, slots=True)
class Written:
    """A service as it now stands, and what its administrator should know."""

    service: Service
    warnings: tuple[str, ...] = ()


async def list_services(
    deps: Deps, *, is_active: bool | None, api_type: str | None, limit: int, offset: int
) -> tuple[list[Service], int]:
    """Give a page of services, oldest first, and the number of all."""
    return await db.list_services(
        deps.pool, is_active=is_active, api_type=api_type, limit=limit, offset=offset
    )


async def get_service(deps: Deps, service_id: int) -> Service:
    """Give a service. Raises NotFound."""
    service = await db.find_service(deps.pool, service_id)
    if service is None:
        raise _unknown()
    return service


async def get_service_by_slug(deps: Deps, slug: str) -> Service:
    """Give a service by its short name. Raises NotFound."""
    service = await db.find_service_by_slug(deps.pool, slug)
    if service is None:
        raise _unknown()
    return service


async def add_service(
    deps: Deps, actor: Actor | None, new: NewService, once: Once | None = None
) -> Written:
    """Add a service. `actor` is None for a command. Raises InvalidInput, Conflict when the short name is taken."""
    preset = preset_of(new.preset)
    given, api_type, values, token = settle_new(deps, new)
    slug = _slug(new, preset, values["name"])
    unfit = await misfits(deps, api_type, values, token if isinstance(token, str) else None)
    async with deps.pool.acquire() as connection, connection.transaction():
        service = await db.insert_service(connection, slug=slug, api_type=api_type, values=values)
        if service is None:
            raise Conflict(
                "There is a service with this slug already",
                code="slug_taken",
                action="Choose another slug, or change that service.",
            )
        if isinstance(token, str):
            service = await _share(deps, connection, service, token)
        if service.maintenance:
            service = await _follow_maintenance(deps, connection, service)
        if preset is not None:
            await add_preset_panels(connection, service.id, preset)
        await _record(connection, actor, "service.created", service, given, token)
        written = Written(service, (*unfit, *warnings_for(service)))
        if once is not None:
            await once.remember(connection, written)
    return written


def settle_new(
    deps: Deps, new: NewService
) -> tuple[dict[str, Any], str, dict[str, Any], str | UnsetType | None]:
    """Give what was given about a new service, its kind, all its settings, and its shared token. Raises InvalidInput."""
    preset = preset_of(new.preset)
    given, token = _judge(new, {})
    values = {**DEFAULTS, **(fields_of(preset) if preset else {}), **given}
    for field in ("name", "base_url"):
        if field not in values:
            raise rules.refuse(field, "is missing")
    api_type = new.api_type or (preset.api_type if preset else "michigan")
    _check(deps, api_type, values)
    return given, api_type, values, token


def settle_change(
    deps: Deps, old: Service, change: ServiceChange
) -> tuple[Service, str | UnsetType | None]:
    """Give a service as a change would make it, and the shared token that comes with it. Raises InvalidInput."""
    _refuse_renaming(old, change)
    given, token = _judge(change, old.api_config)
    service = replace(old, **given)
    _check(deps, service.api_type, {name: getattr(service, name) for name in db.SETTABLE})
    return service, token


async def change_service(
    deps: Deps, actor: Actor | None, service_id: int, change: ServiceChange
) -> Written:
    """Change what an administrator may about a service. Raises NotFound, InvalidInput."""
    unfit = await _misfits_of_change(deps, await get_service(deps, service_id), change)
    async with deps.pool.acquire() as connection, connection.transaction():
        old = await _lock(connection, service_id)
        _refuse_renaming(old, change)
        given, token = _judge(change, old.api_config)
        if not given and token is UNSET:
            return Written(old, warnings_for(old))
        service = replace(old, **given)
        _check(deps, service.api_type, {name: getattr(service, name) for name in db.SETTABLE})
        service = await db.update_service(connection, service) or service
        warnings: list[str] = []
        if old.shared_secret is not None and origin_of(old.base_url) != origin_of(service.base_url):
            service = await _unshare(connection, service)
            if not isinstance(token, str):
                warnings.append(
                    "The shared token was for the former address and was removed: set it again"
                )
        if isinstance(token, str):
            service = await _share(deps, connection, service, token)
        elif token is None:
            service = await _unshare(connection, service)
        if service.maintenance or old.maintenance:
            service = await _follow_maintenance(deps, connection, service)
        if service.is_active and not service.maintenance and _WAKES & given.keys():
            await service_reconfigured(connection, service.id)
        if _READ_AGAIN & given.keys() or token is not UNSET:
            await db.read_again(connection, service.id)
            service = await db.lock_service(connection, service.id) or service
        if "credential_policy" in given or "shared_with" in given:
            await credential_replaced(connection, service.id, None)
        await _record(connection, actor, "service.updated", service, given, token)
    return Written(service, (*warnings, *unfit, *warnings_for(service)))


async def _misfits_of_change(deps: Deps, old: Service, change: ServiceChange) -> tuple[str, ...]:
    """Ask the server before anything is locked: a slow one must not keep others from their service."""
    _refuse_renaming(old, change)
    given, token = _judge(change, old.api_config)
    if not _READ_AGAIN & given.keys():
        return ()
    service = replace(old, **given)
    values = {name: getattr(service, name) for name in db.SETTABLE}
    _check(deps, service.api_type, values)
    return await misfits(deps, service.api_type, values, token if isinstance(token, str) else None)


def warnings_for(service: Service) -> tuple[str, ...]:
    """Say what an administrator should look at."""
    return (*rules.warnings_for_admins(service), *dialect_warnings(service.live_form))


async def delete_service(deps: Deps, actor: Actor | None, service_id: int) -> None:
    """Remove a service with its panels and everybody's credentials for it. Raises NotFound, Conflict while jobs refer to it."""
    async with deps.pool.acquire() as connection, connection.transaction():
        service = await _lock(connection, service_id)
        if not await db.delete_service(connection, service_id):
            raise Conflict(
                "Jobs refer to this service",
                code="service_in_use",
                action="Switch it off instead: PATCH it with «is_active» false. Nobody can submit to it then.",
            )
        await _record(connection, actor, "service.deleted", service, {}, UNSET)


def _unknown() -> NotFound:
    return NotFound(
        "There is no such imputation service",
        code="service_not_found",
        action="GET /services lists them.",
    )


async def _lock(connection: Connection, service_id: int) -> Service:
    service = await db.lock_service(connection, service_id)
    if service is None:
        raise _unknown()
    return service


def _slug(new: NewService, preset: ServicePreset | None, name: str) -> str:
    if not isinstance(new.slug, UnsetType):
        return rules.clean_slug(new.slug)
    return preset.slug if preset is not None else rules.slug_of(name)


def _refuse_renaming(old: Service, change: ServiceChange) -> None:
    for field in ("slug", "api_type"):
        value = getattr(change, field)
        if value is not UNSET and value != getattr(old, field):
            raise rules.refuse(field, "cannot be changed: add another service")


def _judge(
    change: ServiceChange, old_config: dict[str, Any]
) -> tuple[dict[str, Any], str | UnsetType | None]:
    """Give the settable fields that were given, cleaned, and the shared token (None: to be removed). Raises InvalidInput."""
    given = {name: getattr(change, name) for name in db.SETTABLE}
    given = rules.clean_settings(
        {name: value for name, value in given.items() if value is not UNSET}
    )
    token: str | UnsetType | None = UNSET
    if not isinstance(change.api_config, UnsetType):
        config = dict(change.api_config)
        token = config.pop("api_token", UNSET)
        given["api_config"] = rules.merge_config(old_config, config)
    if token is not UNSET and token is not None:
        if not isinstance(token, str):
            raise rules.refuse("api_config.api_token", "must be a text")
        token = clean_token(token)
    return given, token


def _check(deps: Deps, api_type: str, values: dict[str, Any]) -> None:
    rules.check_insecure(values["base_url"], allow_insecure=values["allow_insecure"])
    rules.check_place(values["latitude"], values["longitude"])
    config = {**values["api_config"], "allow_insecure": values["allow_insecure"]}
    try:
        deps.adapters.check(api_type, base_url=values["base_url"], config=config)
    except ValueError as error:
        raise InvalidInput(str(error), code="invalid_service") from None


async def _share(deps: Deps, connection: Connection, service: Service, token: str) -> Service:
    if service.credential_kind != "token":
        raise rules.refuse("api_config.api_token", "is for services whose credential_kind is token")
    secret, key_id = seal_secret(
        deps, Secret(token=token), shared_context(service.id, service.base_url)
    )
    shared = await db.set_shared_secret(connection, service.id, secret, key_id)
    await credential_replaced(connection, service.id, None)
    return shared or service


async def _unshare(connection: Connection, service: Service) -> Service:
    return await db.set_shared_secret(connection, service.id, None, None) or service


async def _follow_maintenance(deps: Deps, connection: Connection, service: Service) -> Service:
    """Show an administrator's maintenance at once; after it, nothing is known until the next look, which is due now."""
    if service.maintenance:
        await note_look(deps, connection, service, MAINTENANCE, None)
    elif service.health == MAINTENANCE:
        await db.forget_health(connection, service.id)
    return await db.lock_service(connection, service.id) or service


async def _record(
    connection: Connection,
    actor: Actor | None,
    action: str,
    service: Service,
    given: dict[str, Any],
    token: str | UnsetType | None,
) -> None:
    details: dict[str, Any] = {"slug": service.slug, "fields": sorted(given)}
    if token is not UNSET:
        details["shared_token"] = "removed" if token is None else "set"
    await audit.record(
        connection,
        action,
        actor=actor,
        resource_type="service",
        resource_id=service.id,
        details=details,
    )
