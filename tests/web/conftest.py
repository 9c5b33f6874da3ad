"""Rows of the tests' own: each shows one thing that can happen in a handler."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import aiohttp
import msgspec
import pytest
from aiohttp import web

from app.core.errors import AppError, NotFound
from app.usecases.deps import Deps
from app.web.endpoint import INT, Access, Call, Endpoint, Page, Paging
from tests.support.api import Api
from tests.support.app import serve_rows

SECRET = "tok-SUPERSECRET-42"


class Thing(msgspec.Struct, frozen=True):
    name: str
    kind: Literal["big", "small"] = "big"
    number: int = 0
    tags: list[str] = []


class Filter(Paging, frozen=True, kw_only=True):
    kind: Literal["big", "small"] | None = None
    word: str | None = None


async def echo(call: Call) -> Thing:
    thing: Thing = call.body
    return thing


async def whoami(call: Call) -> dict[str, object]:
    actor = call.maybe_actor
    return {"username": actor.user.username if actor else None, "address": call.address}


async def numbers(call: Call) -> Page:
    query: Filter = call.query
    return Page(list(range(23))[query.offset : query.offset + query.limit], 23)


async def crash(_call: Call) -> None:
    raise RuntimeError(f"the token is {SECRET}")


async def refuse(_call: Call) -> None:
    raise NotFound("There is no such thing", action="Look elsewhere.", extra={"thing_id": 7})


async def unknown_refusal(_call: Call) -> None:
    raise AppError("odd")


async def half(call: Call) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(call.request)
    await response.write(b"x" * 10)
    raise NotFound("the rest is gone")


async def slow(call: Call) -> web.Response:
    await asyncio.sleep(0.1)
    await call.request.read()
    return web.Response(text="done")


async def number(call: Call) -> int:
    return call.path_int("id")


ROWS = (
    Endpoint("POST", "/echo", echo, "t.echo", "Echo", Access.PUBLIC, body=Thing, response=Thing),
    Endpoint("GET", "/open", whoami, "t.open", "Open", Access.PUBLIC),
    Endpoint("GET", "/mine", whoami, "t.mine", "For users"),
    Endpoint("POST", "/mine", whoami, "t.post", "For users"),
    Endpoint("GET", "/admin-only", whoami, "t.admin", "For administrators", Access.ADMIN),
    Endpoint("GET", "/probe", whoami, "t.probe", "A probe", Access.PUBLIC, unlimited=True),
    Endpoint("GET", "/rare", whoami, "t.rare", "Rarely", Access.PUBLIC, per_minute=2),
    Endpoint("GET", "/numbers", numbers, "t.numbers", "List", Access.PUBLIC, query=Filter),
    Endpoint("GET", f"/numbers/{{id:{INT}}}", number, "t.number", "One", Access.PUBLIC),
    Endpoint("GET", "/crash", crash, "t.crash", "Crash", Access.PUBLIC),
    Endpoint("GET", "/refuse", refuse, "t.refuse", "Refuse", Access.PUBLIC),
    Endpoint("GET", "/unknown-refusal", unknown_refusal, "t.odd", "Odd", Access.PUBLIC),
    Endpoint("GET", "/half", half, "t.half", "Half", Access.PUBLIC),
    Endpoint("POST", "/slow", slow, "t.slow", "Slow", Access.PUBLIC, raw_body="text/plain"),
)


@pytest.fixture
async def site(deps: Deps) -> AsyncIterator[Api]:
    """An application that has all middlewares and the rows above."""
    async with serve_rows(deps, ROWS) as (_, base), aiohttp.ClientSession() as session:
        yield Api(session, base)
