"""An endpoint is a row: what it is called, who may call it, what it takes and gives.

The row is the whole truth: routing, the check of access, reading body and query, writing the answer and OpenAPI come from it.
A handler gets a `Call` and gives a value of its declared type, or a response of its own when it streams.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import HttpVersion11, hdrs, web
from multidict import MultiDictProxy

from app.core.errors import Conflict, NotAuthenticated, NotFound
from app.keys import ACTOR, CLIENT_ADDRESS, DEPS
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import AlreadyDone, Once, find_answer
from app.web.reading import (
    ensure_uncompressed,
    is_text,
    read_fields,
    read_json,
    read_key,
    read_query,
)

INT = r"[0-9]{1,18}"
"""The pattern of a number in a path: `/files/{id:INT}`."""
UUID_PATTERN = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""The pattern of a UUID in a path."""

PATH_PARAM = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
"""A parameter in a path: its name, and its pattern if it has one."""

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""A number that names a row, in a body or a query."""


class Access(StrEnum):
    """Who may call an endpoint. Anything that is not PUBLIC needs a signed-in user."""

    PUBLIC = "public"
    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list with the number of all its items; becomes a bare array, `X-Total-Count` and `Link`."""

    items: list[Any]
    total: int


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """The query of every list. Lists' own queries inherit from it."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    offset: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


Handler = Callable[["Call"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the route table. `query` is a msgspec Struct, `body` and `response` any type that msgspec knows."""

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    access: Access = Access.USER
    body: Any = None
    query: Any = None
    response: Any = None
    status: int = 200
    tag: str = ""
    raw_body: str = ""
    """The content type of a body that the handler reads itself, e.g. `multipart/form-data`."""
    content: str = "application/json"
    """The content type of the answer."""
    creates: bool = False
    """A POST that creates something: it honours `Idempotency-Key`."""
    per_minute: int = 0
    """How often one user, or one address that is not signed in, may call it, besides the limit on everything; 0: no such limit."""
    unlimited: bool = False
    """Not even the limit on everything applies: probes, which must be answered whoever else is busy."""
    head: bool = True
    """HEAD is answered like GET, without a body."""
    is_page: bool = False
    """HTML for people: not in OpenAPI, not under `/api`, and what is refused is told on a page (`app.web.pages`)."""
    takes_form: bool = False
    """The body is a form without files; it is read into `Call.fields`."""
    openapi: Mapping[str, Any] = field(default_factory=dict)
    """What joins the operation object in OpenAPI beyond what the row tells."""

    plain_path: str = field(init=False)
    """The path without the patterns of its parameters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain_path", PATH_PARAM.sub(r"{\1}", self.path))

    @property
    def route(self) -> str:
        """Method and path, as kept answers name it."""
        return f"{self.method} {self.plain_path}"


@dataclass(slots=True)
class Call:
    """One request, read and judged."""

    request: web.Request
    deps: Deps
    maybe_actor: Actor | None
    endpoint: Endpoint
    body: Any = None
    query: Any = None
    fields: MultiDictProxy[str] | None = None
    idempotency_key: str | None = None
    content: bytes | None = None
    """Stands for what is asked, once `replay` was told; fingerprints of it are kept."""

    @property
    def actor(self) -> Actor:
        """Who asks. Only endpoints that are not PUBLIC may use it."""
        if self.maybe_actor is None:
            raise RuntimeError("a public endpoint asked for its actor")
        return self.maybe_actor

    @property
    def address(self) -> str:
        """The client's address, as far as trusted proxies tell it."""
        return self.request[CLIENT_ADDRESS]

    def path_int(self, name: str) -> int:
        """Read a number of the path, whose pattern is `INT`."""
        return int(self.request.match_info[name])

    def path_uuid(self, name: str) -> UUID:
        """Read a UUID of the path, whose pattern is `UUID_PATTERN`."""
        return UUID(self.request.match_info[name])

    def path_text(self, name: str) -> str:
        """Read a text of the path. Raises NotFound for what no name can be."""
        text = self.request.match_info[name]
        if not is_text(text):
            raise NotFound("There is nothing at this address")
        return text

    async def replay(self, content: bytes, owner_id: int | None = None) -> web.Response | None:
        """Give the answer that this request was given before, where it repeats its Idempotency-Key.

        `content` stands for what is asked. Endpoints with a `body` need not call this; one that reads its body itself calls it
        once it knows what it is asked for, before it creates anything. `owner_id` says whose key it is where nobody is
        signed in. Raises IdempotencyKeyReused.
        """
        if self.idempotency_key is None:
            return None
        place = sorted(self.request.match_info.items())
        self.content = repr(place).encode() + b"\n" + content
        owner = owner_id if self.maybe_actor is None else self.maybe_actor.id
        if owner is None:
            return None
        return await self._replay(self.idempotency_key, self.content, owner)

    async def replay_twin(self) -> web.Response:
        """Give the answer of a twin of this request that was faster. Raises Conflict when it has gone again."""
        if self.idempotency_key is None or self.content is None:
            raise RuntimeError("a request without an Idempotency-Key has no twin")
        response = await self._replay(self.idempotency_key, self.content, self.actor.id)
        if response is None:
            raise Conflict("The same request is being answered", action="Send it again.")
        return response

    async def _replay(self, key: str, content: bytes, owner_id: int) -> web.Response | None:
        kept = await find_answer(
            self.deps, user_id=owner_id, route=self.endpoint.route, key=key, content=content
        )
        if kept is None:
            return None
        return web.Response(
            body=kept.body,
            status=kept.status,
            content_type="application/json",
            headers={"Idempotency-Replayed": "true"},
        )

    def once(self, render: Callable[[Any], Any]) -> Once | None:
        """Give what a use case that creates needs to keep the answer: `render` makes the answer from what was created.

        None when the request has no Idempotency-Key. Raises RuntimeError in a handler that reads its body itself and has
        not called `replay`.
        """
        if self.idempotency_key is None:
            return None
        if self.content is None:
            raise RuntimeError(
                f"{self.endpoint.route} keeps an answer without having asked for one"
            )
        return Once(
            user_id=self.maybe_actor.id if self.maybe_actor is not None else None,
            route=self.endpoint.route,
            key=self.idempotency_key,
            fingerprint=self.deps.vault.fingerprint(self.content),
            status=self.endpoint.status,
            render=render,
        )


def encode(value: Any) -> bytes:
    """Write JSON: times as ISO-8601 in UTC with Z, no spaces."""
    return msgspec.json.encode(value)


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Give a JSON answer."""
    return web.Response(
        body=encode(value), status=status, content_type="application/json", headers=headers
    )


def bind(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make the aiohttp handler of a row. Access was judged by the middleware before it is called."""

    async def handle(request: web.Request) -> web.StreamResponse:
        actor = request.get(ACTOR)
        if actor is None and endpoint.access is not Access.PUBLIC:
            raise NotAuthenticated("Nobody is signed in")  # the middleware has said so already
        call = Call(request, request.app[DEPS], actor, endpoint)
        if endpoint.creates:
            call.idempotency_key = read_key(request)
        if endpoint.query is not None:
            call.query = read_query(request, endpoint.query)
        if endpoint.body is not None or endpoint.raw_body or endpoint.takes_form:
            ensure_uncompressed(request)
        await send_continue(request)
        content = b""
        if endpoint.takes_form:
            call.fields = await read_fields(request)
        if endpoint.body is not None:
            content, call.body = await read_json(request, endpoint.body)
        if not endpoint.raw_body and (replayed := await call.replay(content)) is not None:
            return replayed
        try:
            result = await endpoint.handler(call)
        except AlreadyDone:
            return await call.replay_twin()
        return _answer(call, result)

    return handle


def _answer(call: Call, result: Any) -> web.StreamResponse:
    if isinstance(result, web.StreamResponse):
        return result
    status = call.endpoint.status
    if isinstance(result, Page):
        return json_response(result.items, status, page_headers(call.request, call.query, result))
    if status == 204:
        return web.Response(status=204)
    return json_response(result, status)


async def no_continue_yet(_request: web.Request) -> None:
    """Take `Expect: 100-continue` without an answer: a client may keep its body until the request was judged."""


async def send_continue(request: web.Request) -> None:
    """Tell a client that waits for it to send its body (RFC 9110 §10.1.1). Raises HTTPExpectationFailed for what we cannot meet."""
    expected = request.headers.get(hdrs.EXPECT, "").lower()
    if expected not in ("", "100-continue"):
        raise web.HTTPExpectationFailed
    if expected and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp's own handler does: the answer has not begun


def page_headers(request: web.Request, paging: Any, page: Page) -> dict[str, str]:
    """Give `X-Total-Count` and `Link` (RFC 8288: first, prev, next, last) for a page."""
    limit, offset = paging.limit, paging.offset
    last = max(0, (page.total - 1) // limit * limit)
    places = {"first": 0, "last": last}
    if offset > 0:
        places["prev"] = max(0, offset - limit)
    if offset + limit < page.total:
        places["next"] = offset + limit
    links = []
    for relation, place in places.items():
        url = request.rel_url.update_query(limit=str(limit), offset=str(place))
        links.append(f'<{url}>; rel="{relation}"')
    return {"X-Total-Count": str(page.total), "Link": ", ".join(links)}
