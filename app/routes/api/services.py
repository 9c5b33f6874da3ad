"""The services that jobs can be sent to: shown to everybody without secrets, set by administrators."""

from typing import Annotated

import msgspec

from app.routes.api.service_views import DiscoveryOut, ServiceHealthHistoryOut, ServiceOut
from app.usecases import catalogue, monitoring
from app.usecases.discovery import Address, discover
from app.usecases.service_fields import NewService, ServiceChange
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging

_ONE = f"/services/{{service_id:{INT}}}"


class ServicesQuery(Paging, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500
    is_active: bool | None = None
    api_type: Annotated[str, msgspec.Meta(max_length=50)] | None = None


class HealthQuery(Paging, frozen=True, kw_only=True):
    """Which looks to show: a page of the history."""


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
    for_admin = _is_admin(call)
    warnings = catalogue.warnings_for(service) if for_admin else ()
    return ServiceOut.of(service, for_admin=for_admin, warnings=warnings, whole=True)


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
    return ServiceHealthHistoryOut.of(
        await monitoring.get_health(
            call.deps, call.path_int("service_id"), query.limit, query.offset
        )
    )


async def find_out(call: Call) -> DiscoveryOut:
    body: Address = call.body
    return DiscoveryOut.of(await discover(call.deps, call.actor, body))


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
        "POST",
        "/services/discover",
        find_out,
        "services.discover",
        "Find out what kind of service answers at an address, and how to add it",
        access=Access.ADMIN,
        body=Address,
        response=DiscoveryOut,
        tag="services",
        per_minute=20,
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
        per_minute=60,
    ),
)
