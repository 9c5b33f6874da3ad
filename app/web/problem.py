"""The one shape of errors: `application/problem+json` (RFC 9457), with a stable `code` and, for people, `message` and `action`.

This module alone knows which HTTP status an error has. What was not foreseen becomes a 500 that says nothing of our inside; the log
has it under the same request id.
"""

import errno
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType

import asyncpg
import msgspec
from aiohttp import hdrs, web

from app.core import errors
from app.core.errors import FieldError

CONTENT_TYPE = "application/problem+json"

STATUS: Mapping[type[errors.AppError], HTTPStatus] = MappingProxyType(
    {
        errors.InvalidInput: HTTPStatus.BAD_REQUEST,
        errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
        errors.Forbidden: HTTPStatus.FORBIDDEN,
        errors.NotFound: HTTPStatus.NOT_FOUND,
        errors.Conflict: HTTPStatus.CONFLICT,
        errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
        errors.QuotaExceeded: HTTPStatus.FORBIDDEN,
        errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    }
)

# What aiohttp itself refuses, in our words.
_FRAMEWORK: Mapping[int, tuple[str, str, str]] = MappingProxyType(
    {
        404: ("not_found", "There is nothing at this address", "GET /docs lists all addresses."),
        405: (
            "method_not_allowed",
            "This address does not take this method",
            "The header «Allow» names those that it takes.",
        ),
        413: ("too_large", "The body is too large", "Send less at once."),
        417: ("expectation_failed", "This expectation cannot be met", "Leave «Expect» out."),
    }
)

DATABASE_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # What asyncpg makes of a connection that dies while the pool hands it out, or in the middle of a query.
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)
"""What a database that is away, full or restarting makes of a query."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a client gets it, as OpenAPI describes it. Some errors add ids that help to act on them."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: Sequence[FieldError] = ()
    error: str
    message: str
    action: str | None = None


def status_of(error: errors.AppError) -> HTTPStatus:
    """Give the HTTP status of an error: its class's, or that of the nearest class above it."""
    for cls in type(error).__mro__:
        if (status := STATUS.get(cls)) is not None:
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def respond(error: errors.AppError, request_id: str) -> web.Response:
    """Give the answer to a client."""
    return _render(error, status_of(error), request_id, headers_of(error))


def headers_of(error: errors.AppError) -> dict[str, str]:
    """Give the headers that belong to an error."""
    if isinstance(error, errors.RateLimited):
        return {hdrs.RETRY_AFTER: str(error.retry_after_s)}
    if isinstance(error, errors.NotAuthenticated):
        # RFC 6750 §3: what was wrong with the token is named only where there was one.
        refused = error.code != errors.NotAuthenticated.default_code
        return {hdrs.WWW_AUTHENTICATE: "Bearer" + (' error="invalid_token"' if refused else "")}
    return {}


def respond_to_http(error: web.HTTPException, request_id: str) -> web.Response:
    """Give the answer for something that aiohttp refused."""
    headers: dict[str, str] = {}
    if hdrs.ALLOW in error.headers:
        headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    return _render(in_our_words(error), HTTPStatus(error.status), request_id, headers)


def in_our_words(error: web.HTTPException) -> errors.AppError:
    """Give what people are told of something that aiohttp refused."""
    phrase = HTTPStatus(error.status).phrase
    unknown = (phrase.lower().replace(" ", "_"), phrase, None)
    code, message, action = _FRAMEWORK.get(error.status, unknown)
    return errors.AppError(message, code=code, action=action)


def respond_to_malformed(request_id: str) -> web.Response:
    """Give the answer to what is not a request of HTTP."""
    shown = errors.AppError(
        "This is not a well-formed HTTP request",
        code="malformed_request",
        action="Look for characters that headers and addresses may not have, such as line breaks in a token.",
    )
    return _render(shown, HTTPStatus.BAD_REQUEST, request_id, {})


def respond_to_crash(request_id: str) -> web.Response:
    """Give the answer for what nobody foresaw."""
    return _render(crash(request_id), HTTPStatus.INTERNAL_SERVER_ERROR, request_id, {})


def crash(request_id: str) -> errors.AppError:
    """Give what people are told of what nobody foresaw."""
    return errors.AppError(
        "Something went wrong on our side",
        code="internal_error",
        action=f"Try again. If it happens again, tell the administrator this id: {request_id}.",
    )


def translate(error: Exception) -> errors.AppError | None:
    """Give what a client should be told of a fault in what we stand on; None for what nobody foresaw."""
    if isinstance(error, web.RequestPayloadError):
        return errors.BrokenUpload("The body ended early or is not framed as it says")
    # A Unix socket that is not there is an error without a file name, unlike a missing file.
    has_no_socket = isinstance(error, FileNotFoundError) and error.filename is None
    if isinstance(error, DATABASE_AWAY) or has_no_socket:
        return errors.Unavailable("The database is away for a moment", action="Try again soon.")
    if isinstance(error, TimeoutError):
        return errors.Unavailable("That took too long", action="Try again soon.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.StorageFull("The storage is full")
    return None


def _render(
    error: errors.AppError, status: HTTPStatus, request_id: str, headers: Mapping[str, str]
) -> web.Response:
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=error.message,
        code=error.code,
        request_id=request_id,
        errors=error.errors,
        error=error.code,
        message=error.message,
        action=error.action,
    )
    shown = {**error.extra, **msgspec.structs.asdict(problem)}
    if error.action is None:
        del shown["action"]
    return web.Response(
        body=msgspec.json.encode(shown), status=status, content_type=CONTENT_TYPE, headers=headers
    )
