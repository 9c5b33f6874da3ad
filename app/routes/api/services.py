"""The services that jobs can be sent to: shown to everybody without secrets, set by administrators."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from app.core.models import Service
from app.core.services import visible_config, warnings_for_users
from app.db.services import HealthCheck
from app.usecases import catalogue
from app.usecases.catalogue import NewService, ServiceChange, Written
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging

_ONE = f"/services/{{service_id:{INT}}}"


class ServiceHealthOut(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a service at the last look: `up`, `down`, `maintenance`, or `unknown` before the first one."""

    state: str
    message: str | None
    checked_at: datetime | None
    latency_ms: float | None

    @classmethod
    def of(cls, service: Service) -> "ServiceHealthOut":
        return cls(
            state=service.health,
            message=service.health_message,
            checked_at=service.health_checked_at,
            latency_ms=service.latency_ms,
        )


class ServiceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A service without its secrets. `max_remote_jobs` counts for each account; durations end in `_s` (seconds)."""

    id: int
    name: str
    slug: str
    description: str
    api_type: str
    base_url: str
    supported_builds: list[str]
    location: str | None
    country: str | None
    is_active: bool
    health: ServiceHealthOut
    credential_kind: str
    credential_policy: str
    shared_with: dict[str, Any] | UnsetType = UNSET
    """Whom the shared token is for; administrators alone see it."""
    allow_insecure: bool
    max_remote_jobs: int | None
    poll_interval_s: float
    wait_limit_s: float
    api_config: dict[str, Any]
    warnings: Sequence[str]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(
        cls, service: Service, *, for_admin: bool = False, warnings: Sequence[str] = ()
    ) -> "ServiceOut":
        return cls(
            id=service.id,
            name=service.name,
            slug=service.slug,
            description=service.description,
            api_type=service.api_type,
            base_url=service.base_url,
            supported_builds=service.supported_builds,
            location=service.location,
            country=service.country,
            is_active=service.is_active,
            health=ServiceHealthOut.of(service),
            credential_kind=service.credential_kind,
            credential_policy=service.credential_policy,
            shared_with=service.shared_with if for_admin else UNSET,
            allow_insecure=service.allow_insecure,
            max_remote_jobs=service.max_remote_jobs,
            poll_interval_s=service.poll_interval_s,
            wait_limit_s=service.wait_limit_s,
            api_config=visible_config(
                service.api_config, has_token=service.shared_secret is not None
            ),
            warnings=(*warnings_for_users(service), *warnings),
            created_at=service.created_at,
            updated_at=service.updated_at,
        )

    @classmethod
    def of_written(cls, written: Written) -> "ServiceOut":
        return cls.of(written.service, for_admin=True, warnings=written.warnings)


class HealthCheckOut(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a service."""

    checked_at: datetime
    state: str
    latency_ms: float | None
    message: str | None


class ServiceHealthHistoryOut(msgspec.Struct, frozen=True, kw_only=True):
    """A service's health now, and what was seen before, newest first."""

    service_id: int
    state: str
    message: str | None
    checked_at: datetime | None
    latency_ms: float | None
    history: list[HealthCheckOut]

    @classmethod
    def of(cls, service: Service, history: Sequence[HealthCheck]) -> "ServiceHealthHistoryOut":
        return cls(
            service_id=service.id,
            state=service.health,
            message=service.health_message,
            checked_at=service.health_checked_at,
            latency_ms=service.latency_ms,
            history=[
                msgspec.convert(item, HealthCheckOut, from_attributes=True) for item in history
            ],
        )


class ServicesQuery(Paging, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500
    is_active: bool | None = None
    api_type: Annotated[str, msgspec.Meta(max_length=50)] | None = None


class HealthQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


def _is_admin(call: Call) -> bool:
    return call.maybe_actor is not None and call.maybe_actor.is_admin


async def list_all(call: Call) -> Page:
    query: ServicesQuery = call.query
    services, total = await catalogue.list_services(
        call.deps,
        is_active=query.is_active,
        api_type=query.api_type,
        limit=query.limit,
        offset=query.offset,
    )
    for_admin = _is_admin(call)
    return Page([ServiceOut.of(service, for_admin=for_admin) for service in services], total)


async def get(call: Call) -> ServiceOut:
    service = await catalogue.get_service(call.deps, call.path_int("service_id"))
    return ServiceOut.of(service, for_admin=_is_admin(call))


async def add(call: Call) -> ServiceOut:
    new: NewService = call.body
    written = await catalogue.add_service(
        call.deps, call.actor, new, once=call.once(ServiceOut.of_written)
    )
    return ServiceOut.of_written(written)


async def change(call: Call) -> ServiceOut:
    body: ServiceChange = call.body
    return ServiceOut.of_written(
        await catalogue.change_service(call.deps, call.actor, call.path_int("service_id"), body)
    )


async def delete(call: Call) -> None:
    await catalogue.delete_service(call.deps, call.actor, call.path_int("service_id"))


async def health(call: Call) -> ServiceHealthHistoryOut:
    query: HealthQuery = call.query
    found = await catalogue.list_health(call.deps, call.path_int("service_id"), query.limit)
    return ServiceHealthHistoryOut.of(*found)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/services",
        list_all,
        "services.list",
        "The imputation services, without their secrets",
        access=Access.PUBLIC,
        query=ServicesQuery,
        response=list[ServiceOut],
        tag="services",
    ),
    Endpoint(
        "POST",
        "/services",
        add,
        "services.add",
        "Add a service",
        access=Access.ADMIN,
        body=NewService,
        response=ServiceOut,
        status=201,
        creates=True,
        tag="services",
    ),
    Endpoint(
        "GET",
        _ONE,
        get,
        "services.get",
        "One service, without its secrets",
        access=Access.PUBLIC,
        response=ServiceOut,
        tag="services",
    ),
    Endpoint(
        "PATCH",
        _ONE,
        change,
        "services.change",
        "Change a service; «api_config.api_token» sets its shared token, null removes it",
        access=Access.ADMIN,
        body=ServiceChange,
        response=ServiceOut,
        tag="services",
    ),
    Endpoint(
        "DELETE",
        _ONE,
        delete,
        "services.delete",
        "Remove a service that no job refers to",
        access=Access.ADMIN,
        status=204,
        tag="services",
    ),
    Endpoint(
        "GET",
        f"{_ONE}/health",
        health,
        "services.health",
        "A service's health now, and what was seen before, with latencies",
        query=HealthQuery,
        response=ServiceHealthHistoryOut,
        tag="services",
    ),
)
