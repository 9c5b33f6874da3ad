"""The services that people can send jobs to: what everybody may read, and what administrators set.

`api_config` holds no secret. An `api_token` given there becomes the service's shared secret, sealed for its origin; which users
it serves is the service's `credential_policy` and `shared_with`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from app.adapters.guard import AddressPolicy
from app.core.addresses import is_plain, origin_of
from app.core.catalogue import (
    MAX_TEXT_CHARS,
    check_builds,
    check_line,
    check_slug,
    merge,
    refuse,
)
from app.core.credentials import clean_token, secret_keys
from app.core.errors import Conflict, NotFound
from app.core.models import Service
from app.core.policy import check_shared_with
from app.db import services as db
from app.db.queries import Connection, Executor
from app.db.services import HealthCheck
from app.usecases import audit
from app.usecases.credentials import Secret, seal_secret, shared_context
from app.usecases.deps import Actor, Deps
from app.usecases.engine.wakeup import credential_replaced, service_recovered
from app.usecases.idempotency import Once

_TOKEN = "api_token"  # noqa: S105 - the name of a key


class ServiceFields(msgspec.Struct, frozen=True, kw_only=True):
    """What administrators set about a service; absent fields stay, or get their default in a new service."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    location: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    supported_builds: list[str] | UnsetType = UNSET
    credential_kind: Literal["none", "token", "password"] | UnsetType = UNSET
    credential_policy: Literal["per_user", "shared"] | UnsetType = UNSET
    shared_with: dict[str, Any] | UnsetType = UNSET
    allow_insecure: bool | UnsetType = UNSET
    api_config: dict[str, Any] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    poll_interval_s: Annotated[float, Meta(gt=0, le=86_400)] | UnsetType = UNSET
    wait_limit_s: Annotated[float, Meta(gt=0, le=3.2e8)] | UnsetType = UNSET
    max_remote_jobs: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType | None = UNSET


DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "location": None,
    "country": None,
    "supported_builds": ["hg19", "hg38"],
    "credential_kind": "token",
    "credential_policy": "per_user",
    "shared_with": {"roles": ["user", "admin"]},
    "allow_insecure": False,
    "api_config": {},
    "is_active": True,
    "poll_interval_s": 30.0,
    "wait_limit_s": 7 * 86_400.0,
    "max_remote_jobs": None,
}


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """How a service is now, and how it was."""

    service: Service
    history: list[HealthCheck]


async def list_services(
    deps: Deps, actor: Actor | None, *, limit: int, offset: int
) -> tuple[list[Service], int]:
    """Give a page of services and the number of all; those that are switched off to administrators only."""
    inactive_too = actor is not None and actor.is_admin
    return await db.list_services(deps.pool, inactive_too=inactive_too, limit=limit, offset=offset)


async def get_service(executor: Executor, service_id: int) -> Service:
    """Give a service. Raises NotFound."""
    service = await db.find_service(executor, service_id)
    if service is None:
        raise NotFound("There is no such service")
    return service


async def get_health(deps: Deps, service_id: int, limit: int) -> ServiceHealth:
    """Give how a service is and was, newest first. Raises NotFound."""
    service = await get_service(deps.pool, service_id)
    return ServiceHealth(service, await db.list_health(deps.pool, service_id, limit))


async def create_service(
    deps: Deps,
    actor: Actor | None,
    *,
    api_type: str,
    slug: str | None,
    fields: ServiceFields,
    once: Once | None = None,
) -> Service:
    """Add a service. Raises InvalidInput, Conflict when the short name is taken."""
    given = _given(fields)
    for name in ("name", "base_url"):
        if name not in given:
            raise refuse(name, "is missing")
    token = _take_token(given)
    values = _judge(deps, api_type, {**DEFAULTS, **given})
    short = check_slug(slug, values["name"])
    async with deps.pool.acquire() as connection, connection.transaction():
        service = await db.insert_service(connection, slug=short, api_type=api_type, values=values)
        if service is None:
            raise Conflict("There is a service with this slug", code="slug_taken")
        if token is not None:
            service = await _share(deps, connection, service, token)
        await _record(connection, actor, "created", service, sorted(given))
        if once is not None:
            await once.remember(connection, service)
    return service


async def change_service(
    deps: Deps, actor: Actor | None, service_id: int, fields: ServiceFields
) -> Service:
    """Change a service. A new origin makes credentials unusable until confirmed, and ends the shared one.

    `api_config` is merged; its `api_token` sets the shared token (null removes it). Raises NotFound, InvalidInput.
    """
    given = _given(fields)
    has_token = _TOKEN in given.get("api_config", {})
    token = _take_token(given)
    async with deps.pool.acquire() as connection, connection.transaction():
        old = await db.lock_service(connection, service_id)
        if old is None:
            raise NotFound("There is no such service")
        if "api_config" in given:
            given["api_config"] = merge(old.api_config, given["api_config"])
        current = {name: getattr(old, name) for name in db.SETTABLE}
        values = _judge(deps, old.api_type, {**current, **given})
        service = await db.update_service(connection, replace(old, **values))
        if service is None:
            raise NotFound("There is no such service")
        moved = origin_of(old.base_url) != origin_of(service.base_url)
        if has_token or moved:
            service = await _share(deps, connection, service, token)
        if service.credential_policy != old.credential_policy:
            await credential_replaced(connection, service.id, None)
        if service.is_active and not old.is_active:
            await service_recovered(connection, service.id)
        await _record(connection, actor, "changed", service, sorted(given))
    return service


async def delete_service(deps: Deps, actor: Actor, service_id: int) -> None:
    """Remove a service that never had a job. Raises NotFound, Conflict."""
    async with deps.pool.acquire() as connection, connection.transaction():
        service = await db.lock_service(connection, service_id)
        if service is None:
            raise NotFound("There is no such service")
        if not await db.delete_service(connection, service_id):
            raise Conflict(
                "There are jobs of this service",
                code="service_has_jobs",
                action='Switch it off instead: PATCH {"is_active": false}.',
            )
        await _record(connection, actor, "deleted", service, [])


def has_shared_token(service: Service) -> bool:
    """Tell whether a shared secret is stored."""
    return service.shared_secret is not None


def warnings_of(service: Service) -> tuple[str, ...]:
    """Say what people should know before they use a service."""
    if is_plain(service.base_url):
        return ("The connection to this service is not encrypted: others may read what is sent",)
    return ()


def _given(fields: ServiceFields) -> dict[str, Any]:
    given = msgspec.structs.asdict(fields)
    return {name: value for name, value in given.items() if value is not UNSET}


def _take_token(given: dict[str, Any]) -> str | None:
    """Take the shared token out of `api_config`, where it must not stay."""
    config = given.get("api_config")
    if config is None or _TOKEN not in config:
        return None
    given["api_config"] = {key: value for key, value in config.items() if key != _TOKEN}
    token = config[_TOKEN]
    if token is None:
        return None
    if not isinstance(token, str):
        raise refuse("api_config.api_token", "must be a text")
    return clean_token(token)


def _judge(deps: Deps, api_type: str, values: dict[str, Any]) -> dict[str, Any]:
    """Give all values as they are stored. Raises InvalidInput."""
    values["name"] = check_line(values["name"], "name")
    if len(values["description"]) > MAX_TEXT_CHARS:
        raise refuse("description", f"must have at most {MAX_TEXT_CHARS} characters")
    for name in ("location", "country"):
        values[name] = check_line(values[name], name) if values[name] else None
    values["supported_builds"] = check_builds(values["supported_builds"])
    values["shared_with"] = check_shared_with(values["shared_with"])
    _judge_address(deps, values)
    if places := secret_keys(values["api_config"]):
        raise refuse(places[0], "looks like a secret; only api_token may be given there")
    config = {**values["api_config"], "allow_insecure": values["allow_insecure"]}
    try:
        deps.adapters.check(api_type, base_url=values["base_url"], config=config)
    except ValueError as error:
        raise refuse("service:", str(error)) from None
    return values


def _judge_address(deps: Deps, values: dict[str, Any]) -> None:
    url = values["base_url"] = values["base_url"].strip().rstrip("/")
    try:
        host = urlsplit(url).hostname or ""
        origin_of(url)
    except ValueError:
        raise refuse("base_url", "is not an address") from None
    if not AddressPolicy(deps.settings.allowed_networks).permits_host(host):
        raise refuse("base_url", "is a private address that FIP_ALLOWED_NETWORKS does not list")
    if is_plain(url) and not values["allow_insecure"]:
        raise refuse("base_url", "is not https; set allow_insecure if that is meant")


async def _share(
    deps: Deps, connection: Connection, service: Service, token: str | None
) -> Service:
    sealed: tuple[bytes | None, str | None] = (None, None)
    if token is not None:
        context = shared_context(service.id, service.base_url)
        sealed = seal_secret(deps, Secret(token=token), context)
        await credential_replaced(connection, service.id, None)
    changed = await db.set_shared_secret(connection, service.id, *sealed)
    if changed is None:
        raise NotFound("There is no such service")
    return changed


async def _record(
    connection: Connection, actor: Actor | None, what: str, service: Service, fields: list[str]
) -> None:
    await audit.record(
        connection,
        f"service.{what}",
        actor=actor,
        resource_type="service",
        resource_id=service.id,
        details={"slug": service.slug, "fields": fields},
    )
