"""What every request goes through, in this order:

request id → metrics and log → errors → cross-origin answers → who asks → cross-site refusal → rate limit → access

Security headers are put on when an answer is about to be sent, so that no answer lacks them, whoever made it.
"""

import math
import re
import time
from random import getrandbits
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from app.core.errors import AppError, Forbidden, NotAuthenticated, RateLimited
from app.core.throttle import TokenBuckets, address_key
from app.keys import ACTOR, CLIENT_ADDRESS, DEPS, REQUEST_ID, ROUTE_PATTERN, TOKEN
from app.settings import Settings
from app.usecases.accounts import authenticate
from app.usecases.deps import Deps
from app.web import metrics, pages, problem, session
from app.web.client import client_address, is_cross_site
from app.web.endpoint import Access, Endpoint

log = structlog.get_logger()

ROWS: web.AppKey[dict[object, Endpoint]] = web.AppKey("endpoints", dict)
"""The row behind each handler; filled by `app.routes.table.add_routes`."""

_OTHER_ORIGIN = web.RequestKey("other_origin", str)
_REFUSAL = web.RequestKey("refusal", NotAuthenticated)
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_UNMATCHED = "unmatched"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_TAKEN = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, X-Request-ID"
_EXPOSED = "X-Total-Count, Link, X-Request-ID, Retry-After, Idempotency-Replayed, Content-Disposition, ETag"

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer whose handler has not set the header itself."""


def middlewares(deps: Deps) -> list[Middleware]:
    """Give the chain, outermost first. The application also needs `add_headers` at `on_response_prepare`."""
    settings = deps.settings
    return [
        _identify_request(settings),
        _measure(),
        _turn_errors_into_problems,
        _answer_preflights(frozenset(settings.cors_origins)),
        _find_actor,
        _refuse_cross_site(settings),
        _limit_rate(settings),
        _judge_access,
    ]


def endpoint_of(request: web.Request) -> Endpoint | None:
    """Give the row behind a request, if its address and method have one."""
    return request.app[ROWS].get(request.match_info.handler)


def secure(headers: CIMultiDict[str], request_id: str) -> None:
    """Put on what every answer has, unless it is there."""
    headers[hdrs.SERVER] = "fip"  # aiohttp would tell its version
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("X-Request-ID", request_id)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put on what no answer may lack, whoever made it: called by aiohttp when an answer is about to be sent."""
    headers = response.headers
    secure(headers, request.get(REQUEST_ID, "unknown"))
    if (origin := request.get(_OTHER_ORIGIN)) is not None:
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        headers.add(hdrs.VARY, hdrs.ORIGIN)


def _identify_request(settings: Settings) -> Middleware:
    @web.middleware
    async def identify_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-ID", "")
        request[REQUEST_ID] = request_id = (
            given if _GIVEN_ID.fullmatch(given) else f"{getrandbits(128):032x}"
        )
        request[CLIENT_ADDRESS] = client_address(request, settings.trusted_proxies)
        endpoint = endpoint_of(request)
        request[ROUTE_PATTERN] = endpoint.plain_path if endpoint else _UNMATCHED
        # The next request of the connection binds its own.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        return await handler(request)

    return identify_request


def _measure() -> Middleware:
    bound = (
        log.bind()
    )  # the proxy would make a logger with each request, even for a line that nobody wants

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        status = 499  # nginx's number for a client that went away
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            took = time.monotonic() - began
            metrics.observe(request.method, request[ROUTE_PATTERN], status, took)
            bound.info(
                "request.done",
                method=request.method,
                route=request[ROUTE_PATTERN],
                status=status,
                took_ms=round(took * 1000, 1),
                user_id=actor.id if (actor := request.get(ACTOR)) else None,
            )

    return measure


@web.middleware
async def _turn_errors_into_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    request_id = request[REQUEST_ID]
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        if pages.wants_page(request, endpoint_of(request)):
            shown = problem.in_our_words(error)
            return pages.respond_to_error(request, shown, error.status)
        return problem.respond_to_http(error, request_id)
    except AppError as error:
        return _tell(request, error)
    except Exception as error:
        if request.transport is None or request.transport.is_closing():
            return _cut(request, 499)
        if (known := problem.translate(error)) is not None:
            log.warning("request.hindered", code=known.code, kind=type(error).__name__)
            return _tell(request, known)
        log.exception("request.crashed", route=request[ROUTE_PATTERN])
        if _has_begun(request):
            return _cut(request, 500)
        if pages.wants_page(request, endpoint_of(request)):
            return pages.respond_to_error(request, problem.crash(request_id), 500)
        return problem.respond_to_crash(request_id)


def _tell(request: web.Request, error: AppError) -> web.StreamResponse:
    if _has_begun(request):
        return _cut(request, problem.status_of(error))
    if pages.wants_page(request, endpoint_of(request)):
        return pages.respond_to_error(request, error, problem.status_of(error))
    return problem.respond(error, request[REQUEST_ID])


def _has_begun(request: web.Request) -> bool:
    return request.writer.output_size > 0


def _cut(request: web.Request, status: int) -> web.StreamResponse:
    """Cut the connection: nothing else can tell a client that the answer it is reading is not whole.

    Where the client has gone already, nobody is there to be told. aiohttp drops the response, which is for the log only.
    """
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=status)


def _answer_preflights(allowed: frozenset[str]) -> Middleware:
    """Answer what browsers ask before they send a request to another origin (Fetch standard, §3.2.2)."""

    @web.middleware
    async def answer_preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin not in allowed:
            return await handler(request)
        request[_OTHER_ORIGIN] = origin
        asks = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if request.method != hdrs.METH_OPTIONS or not asks:
            return await handler(request)
        return web.Response(
            status=204,
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST, PATCH, DELETE",
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _TAKEN,
                hdrs.ACCESS_CONTROL_MAX_AGE: "600",
            },
        )

    return answer_preflights


@web.middleware
async def _find_actor(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find who asks. A token that is not good is judged later, where the endpoint asks for one."""
    deps = request.app[DEPS]
    token = _token_of(request, deps.settings)
    is_reading = request.method in _SAFE
    if token is not None:
        request[TOKEN] = token
        address = request[CLIENT_ADDRESS]
        try:
            request[ACTOR] = await authenticate(deps, token, address, is_reading=is_reading)
        except NotAuthenticated as error:
            request[_REFUSAL] = error
    try:
        return await handler(request)
    finally:
        if not is_reading:  # it may have changed somebody's standing, or ended a token
            deps.recent_users.forget()


def _token_of(request: web.Request, settings: Settings) -> str | None:
    """Give the token of the header, else that of the cookie: whoever sends both as a program means the header."""
    if (header := request.headers.get(hdrs.AUTHORIZATION)) is None:
        return session.read_token(request, settings)
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _refuse_cross_site(settings: Settings) -> Middleware:
    parts = urlsplit(settings.base_url)
    ours = f"{parts.scheme}://{parts.netloc}"
    own = {ours, *settings.cors_origins}

    @web.middleware
    async def refuse_cross_site(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A browser adds no Authorization by itself: whoever sent it knows the token. A cookie it does add: then the origins
        # that may use the API are strangers like all others.
        carries_itself = hdrs.AUTHORIZATION not in request.headers
        # Nor do they sign a browser in as somebody else: the forms of the pages are ours alone.
        endpoint = endpoint_of(request)
        is_page = endpoint is not None and endpoint.is_page
        known = {ours} if is_page or TOKEN in request else own
        if request.method not in _SAFE and carries_itself and is_cross_site(request, known):
            raise Forbidden(
                "This request comes from a page of another site",
                code="cross_site_request",
                action="Send it from a page of this platform, or with «Authorization: Bearer <token>».",
            )
        return await handler(request)

    return refuse_cross_site


def _limit_rate(settings: Settings) -> Middleware:
    everything = TokenBuckets(settings.rate_limit_per_minute)
    own: dict[str, TokenBuckets] = {}

    @web.middleware
    async def limit_rate(request: web.Request, handler: Handler) -> web.StreamResponse:
        endpoint = endpoint_of(request)
        if endpoint is not None and endpoint.unlimited:
            return await handler(request)
        actor = request.get(ACTOR)
        party = actor.id if actor is not None else address_key(request[CLIENT_ADDRESS])
        now = time.monotonic()
        wait = everything.take(party, now)
        if wait == 0 and endpoint is not None and endpoint.per_minute:
            buckets = own.setdefault(endpoint.route, TokenBuckets(endpoint.per_minute))
            wait = buckets.take(party, now)
        if wait > 0:
            raise RateLimited("Too many requests", retry_after_s=math.ceil(wait))
        return await handler(request)

    return limit_rate


@web.middleware
async def _judge_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Closed by default: what has no row, or a row that does not say PUBLIC, needs somebody signed in."""
    if request.match_info.http_exception is not None:
        return await handler(request)
    endpoint = endpoint_of(request)
    access = endpoint.access if endpoint is not None else Access.USER
    if access is not Access.PUBLIC:
        actor = request.get(ACTOR)
        if actor is None:
            raise request.get(_REFUSAL) or NotAuthenticated(
                "You are not signed in",
                action="Sign in at POST /api/auth/login and send «Authorization: Bearer <token>».",
            )
        if access is Access.ADMIN and not actor.is_admin:
            raise Forbidden("Only administrators may do this", action="Ask an administrator.")
    return await handler(request)
