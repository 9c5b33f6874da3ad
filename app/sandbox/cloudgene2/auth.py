"""Who calls, and what a bad token gives: 401 for the list, 404 for apps, 403 for jobs (it falls back to the user ``public``)."""

from aiohttp import web

from app.sandbox.cloudgene import auth
from app.sandbox.cloudgene.errors import ApiError
from app.sandbox.tokens import Identity, Revoked


async def identify(request: web.Request) -> Identity | None:
    """The caller; None for any token that is not good, a replaced one too."""
    try:
        return await auth.identify(request)
    except Revoked:
        return None


async def require(request: web.Request, status: int, message: str) -> Identity:
    """The caller.

    Raises:
        ApiError: the given one where there is none, 503 in maintenance.
    """
    identity = await identify(request)
    if identity is None:
        raise ApiError(status, message)
    auth.block_in_maintenance(request, identity)
    return identity


async def require_for_app(request: web.Request) -> Identity:
    """The caller who asks for an app (``SubmitJob``): unknown apps and bad tokens are answered alike."""
    name = request.match_info["app"]
    message = f"Application '{name}' not found or the request requires user authentication."
    return await require(request, 404, message)
