"""What the server is and offers: ``/api/v2/server...``."""

import asyncio

from aiohttp import web

from app.sandbox.cloudgene import auth, form
from app.sandbox.cloudgene.errors import ApiError
from app.sandbox.jobs.model import State
from app.sandbox.keys import ACCOUNTS, BOX, CONFIG, JOBS

_SUCCESSFUL = frozenset({State.SUCCESS, State.SUCCESS_NOTIFIED, State.RETIRED})


async def root(request: web.Request) -> web.Response:
    """``GET /api/v2/server``: without a token still an answer, but without applications."""
    config = request.app[CONFIG]
    identity = await auth.identify(request)
    body: dict[str, object] = {
        "name": config.name,
        "loggedIn": identity is not None,
        "oauth": [],
        "maintenace": request.app[BOX].faults.maintenance,  # spelt so on the wire
        "apps": [],
        "deprecatedApps": [],
        "experimentalApps": [],
        "navigation": [],
    }
    if request.app[BOX].faults.maintenance:
        body["maintenaceMessage"] = "This service is under maintenance."
    if identity is not None:
        account = identity.account
        body["user"] = {
            "username": account.username,
            "name": account.full_name,
            "mail": account.mail,
            "admin": account.is_admin,
        }
        app_id = f"{form.APP_ID}@{form.APP_VERSION}"
        body["apps"] = [{"id": app_id, "name": form.APP_NAME, "version": form.APP_VERSION}]
    return web.json_response(body)


async def app(request: web.Request) -> web.Response:
    """``GET /api/v2/server/apps/{app}``: the form."""
    identity = await auth.require(request)
    auth.block_in_maintenance(request, identity)
    name = request.match_info["app"]
    if not form.is_app(name):
        raise ApiError(404, f"Application '{name}' not found.")
    return web.json_response(form.describe_app(request.app[CONFIG].panels))


async def counters(request: web.Request) -> web.Response:
    """``GET /api/v2/server/counters``: open to all."""
    jobs = request.app[JOBS]
    done = sum(job.state in _SUCCESSFUL for job in jobs.book.list_all())
    users = await asyncio.to_thread(request.app[ACCOUNTS].list_all)
    body = {"complete": {"runs": done}, "queue": {"size": jobs.waiting}, "users": len(users)}
    return web.json_response(body)
