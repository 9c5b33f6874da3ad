"""Who calls: the header ``X-Auth-Token``, raw, without ``Bearer`` (cloudgene3 ``application.yml``)."""

import asyncio

from aiohttp import web

from app.sandbox import tokens
from app.sandbox.cloudgene.errors import ApiError, Forbidden, Unauthorized
from app.sandbox.keys import ACCOUNTS, BOX, CONFIG
from app.sandbox.tokens import Identity

HEADER = "X-Auth-Token"
MAINTENANCE = "This functionality is currently under maintenance."


async def identify(request: web.Request) -> Identity | None:
    """The caller; None for a missing, garbled or expired token.

    Raises:
        Revoked: an API token that a newer one replaced.
    """
    token = request.headers.get(HEADER, "")
    if not token:
        return None
    config, accounts = request.app[CONFIG], request.app[ACCOUNTS]
    return await asyncio.to_thread(tokens.identify, config, accounts, token)


async def require(request: web.Request, *, login: bool = False) -> Identity:
    """The caller. With ``login`` an API token is not enough (``getUserByAuthentication``'s default).

    Raises:
        Unauthorized, Forbidden, Revoked: 401, 403, 403.
    """
    identity = await identify(request)
    if identity is None:
        raise Unauthorized
    if login and identity.kind == "api":
        raise Forbidden
    return identity


def block_in_maintenance(request: web.Request, identity: Identity) -> None:
    """503 during maintenance, but not for administrators (``blockInMaintenanceMode``).

    Raises:
        ApiError: under maintenance.
    """
    if request.app[BOX].faults.maintenance and not identity.account.is_admin:
        raise ApiError(503, MAINTENANCE)
