"""The one shape of errors: ``{msg, status_code}`` (WES 1.1 ``ErrorResponse``)."""

import http
from collections.abc import Awaitable, Callable

from aiohttp import web

from app.sandbox.tokens import Revoked

BASE = "/ga4gh/wes/v1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WesError(Exception):
    """What a handler refuses with."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or http.HTTPStatus(status).phrase)
        self.status = status


def wes_error(request: web.Request, status: int, text: str = "") -> web.Response:  # noqa: ARG001 - shaped like Cloudgene's
    """The answer for an error."""
    body = {"msg": text or http.HTTPStatus(status).phrase, "status_code": status}
    return web.json_response(body, status=status)


@web.middleware
async def wes_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what handlers and the router raise into answers, below the dialect's own path."""
    if not request.path.startswith(BASE):
        return await handler(request)
    try:
        return await handler(request)
    except WesError as error:
        return wes_error(request, error.status, str(error))
    except Revoked:
        return wes_error(request, 401, "The token was replaced by a newer one.")
    except web.HTTPException as error:
        return wes_error(request, error.status)
