"""Services: what everybody may read, and what administrators set. No secret is ever shown."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from app.core.credentials import public_config
from app.core.models import Service
from app.usecases import catalogue
from app.usecases.catalogue import ServiceFields, has_shared_token, warnings_of
from app.usecases.deps import Actor
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging

_SERVICE = f"/services/{{id:{INT}}}"


class ServiceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A remote imputation service. `shared_with` is shown to administrators only."""

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
    health: str
    health_message: str | None
    health_checked_at: datetime | None
    latency_ms: float | None
    credential_kind: str
    credential_policy: str
    shared_with: dict[str, Any] | UnsetType = UNSET
    allow_insecure: bool
    api_config: dict[str, Any]
    poll_interval_s: float
    wait_limit_s: float
    max_remote_jobs: int | None
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


class ServiceIn(ServiceFields, frozen=True, kw_only=True):
    """A new service: `name`, `base_url` and `api_type` are needed."""

    api_type: Annotated[str, msgspec.Meta(max_length=50)] = "michigan"
    slug: Annotated[str, msgspec.Meta(max_length=63)] | None = None


class HealthCheckOut(msgspec.Struct, frozen=True, kw_only=True):
    checked_at: datetime
    state: str
    latency_ms: float | None
    message: str | None


class ServiceHealthOut(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is now, and how it was, newest first."""

    service_id: int
    state: str
    message: str | None
    checked_at: datetime | None
    latency_ms: float | None
    history: list[HealthCheckOut]


class HealthQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


def service_out(service: Service, actor: Actor | None) -> ServiceOut:
    """Give a service as this person may see it."""
    is_admin = actor is not None and actor.is_admin
    shown: dict[str, Any] = {
        name: getattr(service, name, None)
        for name in ServiceOut.__struct_fields__
        if name not in ("shared_with", "api_config", "warnings")
    }
    config = {**public_config(service.api_config), "has_api_token": has_shared_token(service)}
    return ServiceOut(
        **shown,
        shared_with=service.shared_with if is_admin else UNSET,
        api_config=config,
        warnings=warnings_of(service),
    )


async def list_all(call: Call) -> Page:
    query: Paging = call.query
    services, total = await catalogue.list_services(
        call.deps, call.maybe_actor, limit=query.limit, offset=query.offset
    )
    return Page([service_out(service, call.maybe_actor) for service in services], total)


async def get(call: Call) -> ServiceOut:
    service = await catalogue.get_service(call.deps.pool, call.path_int("id"))
    return service_out(service, call.maybe_actor)


async def create(call: Call) -> ServiceOut:
    body: ServiceIn = call.body
    actor = call.actor
    service = await catalogue.create_service(
        call.deps,
        actor,
        api_type=body.api_type,
        slug=body.slug,
        fields=body,
        once=call.once(lambda made: service_out(made, actor)),
    )
    return service_out(service, actor)


async def change(call: Call) -> ServiceOut:
    fields: ServiceFields = call.body
    service = await catalogue.change_service(call.deps, call.actor, call.path_int("id"), fields)
    return service_out(service, call.actor)


async def delete(call: Call) -> None:
    await catalogue.delete_service(call.deps, call.actor, call.path_int("id"))


async def health(call: Call) -> ServiceHealthOut:
    query: HealthQuery = call.query
    found = await catalogue.get_health(call.deps, call.path_int("id"), query.limit)
    service = found.service
    return ServiceHealthOut(
        service_id=service.id,
        state=service.health,
        message=service.health_message,
        checked_at=service.health_checked_at,
        latency_ms=service.latency_ms,
        history=msgspec.convert(found.history, list[HealthCheckOut], from_attributes=True),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/services",
        list_all,
        "services.list",
        "The services that jobs can be sent to",
        access=Access.PUBLIC,
        query=Paging,
        response=list[ServiceOut],
        tag="services",
    ),
    Endpoint(
        "POST",
        "/services",
        create,
        "services.create",
        "Add a service",
        access=Access.ADMIN,
        body=ServiceIn,
        response=ServiceOut,
        status=201,
        creates=True,
        tag="services",
    ),
    Endpoint(
        "GET",
        _SERVICE,
        get,
        "services.get",
        "One service",
        access=Access.PUBLIC,
        response=ServiceOut,
        tag="services",
    ),
    Endpoint(
        "PATCH",
        _SERVICE,
        change,
        "services.change",
        "Change a service; api_config.api_token sets the shared token",
        access=Access.ADMIN,
        body=ServiceFields,
        response=ServiceOut,
        tag="services",
    ),
    Endpoint(
        "DELETE",
        _SERVICE,
        delete,
        "services.delete",
        "Remove a service that never had a job",
        access=Access.ADMIN,
        status=204,
        tag="services",
    ),
    Endpoint(
        "GET",
        f"{_SERVICE}/health",
        health,
        "services.health",
        "How a service is, and was",
        query=HealthQuery,
        response=ServiceHealthOut,
        tag="services",
    ),
)
