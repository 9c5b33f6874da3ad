"""Guards over all routes: none is open by accident, none is moved by accident, all refuse in one shape."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from app.routes.pages.table import PAGES
from app.routes.table import API_PREFIX, ENDPOINTS, methods_of, paths_of
from app.usecases.deps import Deps
from app.web.endpoint import INT, UUID_PATTERN, Access, Endpoint
from app.web.middleware import ROWS
from tests.support.api import Api
from tests.support.app import serve
from tests.support.people import Person
from tests.web.test_problems import problem

PINNED = Path(__file__).with_name("routes.txt")

PUBLIC = {
    # sign-in, registration and reset, with the links that their e-mails (and the first start) give
    "POST /api/auth/login",
    "POST /api/auth/register",
    "POST /api/auth/password-reset",
    "GET /api/auth/password-reset/{token}",
    "POST /api/auth/password-reset/{token}",
    "GET /api/auth/email-confirm/{token}",
    "GET /api/auth/setup/{token}",
    "POST /api/auth/setup/{token}",
    # services, redacted
    "GET /services",
    "GET /services/{service_id}",
    # signed links
    "GET /files/download/{token}/{name}",
    "GET /files/remote/{token}/{name}",
    "PUT /files/push/{token}/{name}",
    # health, documentation; metrics ask for the same machine or a token themselves
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
    "GET /openapi.json",
    "GET /docs",
}

PRIVATE = [item for item in ENDPOINTS if item.access is not Access.PUBLIC]


def shown(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.plain_path}"


def example(path: str) -> str:
    """Give a path with something in place of its parameters."""
    path = path.replace(f":{INT}", "#int").replace(f":{UUID_PATTERN}", "#uuid")
    path = re.sub(r"\{\w+#int\}", "4711", path)
    path = re.sub(r"\{\w+#uuid\}", "0f3c1a52-5b1e-4a0c-9a2e-7d7f3b8e1c11", path)
    return re.sub(r"\{\w+(:[^{}]*(\{[^{}]*\})?[^{}]*)?\}", "x" * 40, path)


@pytest.fixture
async def platform(deps: Deps) -> AsyncIterator[tuple[web.Application, Api]]:
    async with serve(deps) as (app, base), aiohttp.ClientSession() as session:
        yield app, Api(session, base)


def test_routes_when_one_is_public_then_it_is_meant_to_be() -> None:
    assert {shown(item) for item in ENDPOINTS if item.access is Access.PUBLIC} == PUBLIC


def test_routes_when_the_table_changed_then_somebody_meant_it() -> None:
    table = "".join(f"{item.access:<7}{shown(item)}  {item.name}\n" for item in ENDPOINTS)

    assert table == PINNED.read_text(), f"if that is meant, write this to {PINNED.name}:\n{table}"


def test_rows_when_written_then_each_says_what_openapi_needs() -> None:
    names = [item.name for item in ENDPOINTS]
    assert len(set(names)) == len(names)
    for item in ENDPOINTS:
        assert item.summary, item.name
        assert item.tag, item.name
        assert item.body is None or not item.raw_body, item.name
        assert item.method in ("GET", "POST", "PUT", "PATCH", "DELETE"), item.name
        if item.method in ("GET", "DELETE"):
            assert item.body is None, item.name


def test_rows_when_a_post_creates_then_it_may_be_repeated_with_a_key() -> None:
    # Its link works once, and its answer holds a sign-in token, which is never kept.
    by_nature = {"auth.set_up"}
    for item in ENDPOINTS:
        is_made = item.method == "POST" and item.status == 201
        assert item.creates == (is_made and item.name not in by_nature), item.name


async def test_router_when_built_then_every_route_has_its_row(
    platform: tuple[web.Application, Api],
) -> None:
    app, _ = platform
    rows = app[ROWS]
    routes = list(app.router.routes())
    for route in routes:
        assert route.handler in rows, f"{route} is in no table"
    every = (*ENDPOINTS, *PAGES)
    assert len(routes) == sum(len(paths_of(item)) * len(methods_of(item)) for item in every)


async def test_routes_when_nobody_is_signed_in_then_all_but_the_public_ones_refuse(
    platform: tuple[web.Application, Api],
) -> None:
    _, api = platform
    for item in PRIVATE:
        for path in paths_of(item):
            for method in methods_of(item):
                answer = await api.request(method, example(path))
                assert answer.status == 401, f"{method} {path}: {answer.status}"
                if method != "HEAD":
                    problem(answer, 401, "not_authenticated")
                assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_routes_when_a_user_asks_then_those_of_administrators_refuse(
    platform: tuple[web.Application, Api], alice: Person
) -> None:
    _, api = platform
    for item in ENDPOINTS:
        if item.access is Access.ADMIN:
            answer = await api.request(item.method, example(item.path), as_=alice)
            problem(answer, 403, "forbidden")


async def test_routes_when_method_is_wrong_then_all_refuse_in_one_shape(
    platform: tuple[web.Application, Api],
) -> None:
    _, api = platform
    for path in {path for item in ENDPOINTS for path in paths_of(item)}:
        problem(await api.request("PROPFIND", example(path)), 405, "method_not_allowed")


async def test_routes_when_body_is_garbage_then_all_refuse_in_one_shape(
    platform: tuple[web.Application, Api], admin: Person
) -> None:
    _, api = platform
    for item in ENDPOINTS:
        if item.body is not None and item.per_minute == 0:
            answer = await api.request(
                item.method,
                example(item.path),
                as_=admin,
                data=b"{garbage",
                headers={"Content-Type": "application/json"},
            )
            problem(answer, 400, "invalid_json")


def test_paths_when_served_under_the_prefix_then_none_is_served_twice() -> None:
    paths = [(item.method, path) for item in ENDPOINTS for path in paths_of(item)]

    assert len(set(paths)) == len(paths)
    assert not any(path.startswith(f"{API_PREFIX}{API_PREFIX}/") for _, path in paths)
