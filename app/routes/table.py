"""Every endpoint of the API, in one list: routing, access, metrics and OpenAPI come from it. The pages have a list of their own."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

from aiohttp import web

from app.routes import docs, ops
from app.routes.api import (
    analyses,
    audit,
    auth,
    batches,
    credentials,
    events,
    files,
    jobs,
    links,
    notifications,
    panels,
    services,
    users,
)
from app.routes.pages.table import PAGES
from app.web import templating
from app.web.endpoint import Endpoint, bind, encode, no_continue_yet
from app.web.middleware import ROWS, add_headers
from app.web.openapi import build

ENDPOINTS: tuple[Endpoint, ...] = (
    *auth.ENDPOINTS,
    *users.ENDPOINTS,
    *credentials.ENDPOINTS,
    *services.ENDPOINTS,
    *panels.ENDPOINTS,
    *jobs.ENDPOINTS,
    *analyses.ENDPOINTS,
    *batches.ENDPOINTS,
    *files.ENDPOINTS,
    *links.ENDPOINTS,
    *notifications.ENDPOINTS,
    *events.ENDPOINTS,
    *audit.ENDPOINTS,
    *ops.ENDPOINTS,
    *docs.ENDPOINTS,
)

API_PREFIX = "/api"


@cache
def openapi_document() -> bytes:
    """Give the description of the API as JSON."""
    return encode(build(ENDPOINTS))


ROUTES: tuple[Endpoint, ...] = (*ENDPOINTS, *PAGES)


def add_routes(app: web.Application, endpoints: Iterable[Endpoint] = ROUTES) -> None:
    """Put every row into the router, at its path and under `/api`; and what the middlewares need to know of the rows."""
    app[docs.OPENAPI] = cast("Callable[[], bytes]", openapi_document)
    templating.set_up(app)
    app.on_response_prepare.append(add_headers)
    resources, rows = _all_resources() if endpoints is ROUTES else _resources_of(endpoints)
    app[ROWS] = dict(rows)
    for resource in resources:
        app.router.register_resource(resource)


@cache
def _all_resources() -> tuple[tuple[web.AbstractResource, ...], dict[object, Endpoint]]:
    """Give what an application serves. It knows no application, and is made once for however many a process has."""
    return _resources_of(ROUTES)


def _resources_of(
    endpoints: Iterable[Endpoint],
) -> tuple[tuple[web.AbstractResource, ...], dict[object, Endpoint]]:
    """Give the resources of some rows, and the rows by their handlers."""
    router = web.UrlDispatcher()
    rows: dict[object, Endpoint] = {}
    for endpoint in endpoints:
        handler = bind(endpoint)
        rows[handler] = endpoint
        for path in paths_of(endpoint):
            for method in methods_of(endpoint):
                router.add_route(method, path, handler, expect_handler=no_continue_yet)
    return tuple(router.resources()), rows


def paths_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Give the paths under which a row is served; a slash at the end, as many scripts have it, makes no difference."""
    if endpoint.is_page:
        return (endpoint.path,)
    if endpoint.path.startswith(f"{API_PREFIX}/"):
        return (endpoint.path, f"{endpoint.path}/")
    prefixed = API_PREFIX + endpoint.path
    return (endpoint.path, prefixed, f"{endpoint.path}/", f"{prefixed}/")


def methods_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Give the methods under which a row is served."""
    if endpoint.method == "GET" and endpoint.head:
        return ("GET", "HEAD")
    return (endpoint.method,)
