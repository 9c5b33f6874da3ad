"""The two shapes of errors: Cloudgene's own, and that of the framework below it (Micronaut)."""

import http
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from app.sandbox.keys import CONFIG
from app.sandbox.tokens import Revoked

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """An error that Cloudgene raises itself: ``{"success": false, "message": ...}`` (``MessageWrapper``)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unauthorized(Exception):
    """No token, or one that means nobody (Micronaut's 401)."""


class Forbidden(Exception):
    """A token of the wrong kind for this call (Micronaut's 403)."""


def wrapped(status: int, message: str, **more: Any) -> web.Response:
    """Cloudgene's shape for answers without an object of their own."""
    body = {"success": status < http.HTTPStatus.BAD_REQUEST, "message": message, **more}
    return web.json_response(body, status=status)


def framework_error(
    request: web.Request, status: int, detail: str | None = None, message: str | None = None
) -> web.Response:
    """Micronaut's shape (``HateoasErrorResponseProcessor``)."""
    phrase = message or http.HTTPStatus(status).phrase
    if request.app[CONFIG].dialect == "simple":  # no Micronaut there
        return web.json_response({"message": detail or phrase}, status=status)
    return web.json_response(
        {
            "_links": {"self": [{"href": request.rel_url.raw_path, "templated": False}]},
            "_embedded": {"errors": [{"message": detail or phrase}]},
            "message": phrase,
        },
        status=status,
    )


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what handlers and the router raise into answers."""
    try:
        return await handler(request)
    except ApiError as error:
        return wrapped(error.status, str(error))
    except Unauthorized:
        return framework_error(request, 401)
    except (Forbidden, Revoked):
        return framework_error(request, 403)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = (
            f"Method [{request.method}] not allowed for URI [{request.rel_url.raw_path}]. "
            f"Allowed methods: [{allowed}]"
        )
        return framework_error(request, 405, detail)
    except web.HTTPNotFound:
        return framework_error(request, 404, "Page Not Found")
    except web.HTTPException as error:
        return framework_error(request, error.status)
