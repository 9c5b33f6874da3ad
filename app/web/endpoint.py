"""An endpoint is a row: what it is called, who may call it, what it takes and gives.

The row is the whole truth: routing, the check of access, reading body and query, writing the answer and OpenAPI come from it.
A handler gets a `Call` and gives a value of its declared type, or a response of its own when it streams.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from aiohttp import web

from app.core.errors import FieldError, InvalidInput, TooLarge, UnsupportedMedia
from app.keys import ACTOR, CLIENT_ADDRESS, DEPS
from app.usecases.deps import Actor, Deps

MAX_JSON_BYTES = 1024 * 1024


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


@dataclass(slots=True)
class Call:
    """One request, read and judged."""

    request: web.Request
    deps: Deps
    maybe_actor: Actor | None
    body: Any = None
    query: Any = None

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
        """Read an id of the path (its pattern admits digits only); too large ones cannot exist."""
        return min(int(self.request.match_info[name]), 2**62)


Handler = Callable[[Call], Awaitable[Any]]


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
    openapi: Mapping[str, Any] = field(default_factory=dict)
    """What joins the operation object in OpenAPI beyond what the row tells."""


def encode(value: Any) -> bytes:
    """Write JSON: times as ISO-8601 in UTC with Z, no spaces."""
    return msgspec.json.encode(value)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Give a JSON answer."""
    return web.Response(
        body=encode(value), status=status, content_type="application/json", headers=headers
    )


def bind(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make the aiohttp handler of a row. Access was judged by the middleware before it is called."""

    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(request, request.app[DEPS], request.get(ACTOR))
        if endpoint.query is not None:
            call.query = read_query(request, endpoint.query)
        if endpoint.body is not None:
            call.body = await read_json(request, endpoint.body)
        result = await endpoint.handler(call)
        if isinstance(result, web.StreamResponse):
            return result
        if isinstance(result, Page):
            return json_response(result.items, endpoint.status, page_headers(request, call.query, result))
        if endpoint.status == 204:
            return web.Response(status=204)
        return json_response(result, endpoint.status)

    return handle


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


def read_query(request: web.Request, kind: Any) -> Any:
    """Read the query into its Struct. Raises InvalidInput naming the parameter, never its value."""
    known = {item.encode_name for item in msgspec.structs.fields(kind)}
    given = {name: value for name, value in request.query.items() if name in known and value != ""}
    return _convert(given, kind, strict=False)


async def read_json(request: web.Request, kind: Any) -> Any:
    """Read a JSON body into its type. Raises UnsupportedMedia, TooLarge, InvalidInput."""
    if request.content_type != "application/json":
        raise UnsupportedMedia(
            "The body must be JSON", action="Send it with the header «Content-Type: application/json»."
        )
    raw = await request.content.read(MAX_JSON_BYTES + 1)
    while len(raw) <= MAX_JSON_BYTES and (more := await request.content.readany()):
        raw += more
    if len(raw) > MAX_JSON_BYTES:
        raise TooLarge(f"The JSON body is larger than {MAX_JSON_BYTES} bytes")
    try:
        return _convert(msgspec.json.decode(raw), kind, strict=True)
    except msgspec.DecodeError:
        raise InvalidInput("The body is not valid JSON", code="invalid_json") from None


def _convert(value: Any, kind: Any, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        where = path.strip("`").removeprefix("$").lstrip(".") or "body"
        raise InvalidInput(
            f"{where}: {message}", errors=[FieldError(where, message)]
        ) from None
