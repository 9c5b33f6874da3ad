"""Who calls: ``Authorization: Bearer`` with the same tokens that the Cloudgene dialect takes."""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from app.sandbox import tokens
from app.sandbox.jobs.model import Job
from app.sandbox.keys import ACCOUNTS, BOX, CONFIG, JOBS
from app.sandbox.wes.errors import WesError

_SCHEME = "bearer "
ANYBODY = "anybody"
MAINTENANCE = "This service is under maintenance."


@dataclass(frozen=True, slots=True)
class Caller:
    """``sees_all``: an administrator, or anybody where no token is asked for."""

    username: str
    sees_all: bool


async def require(request: web.Request) -> Caller:
    """The caller.

    Raises:
        WesError: 401 without a good token, 503 under maintenance.
        Revoked: an API token that a newer one replaced.
    """
    caller = await _identify(request)
    if request.app[BOX].faults.maintenance and not (
        caller.sees_all and request.app[CONFIG].wes_auth
    ):
        raise WesError(503, MAINTENANCE)
    return caller


async def _identify(request: web.Request) -> Caller:
    config = request.app[CONFIG]
    if not config.wes_auth:
        return Caller(ANYBODY, sees_all=True)
    header = request.headers.get("Authorization", "")
    if not header.lower().startswith(_SCHEME):
        raise WesError(401, "Not authenticated")
    token = header[len(_SCHEME) :].strip()
    identity = await asyncio.to_thread(tokens.identify, config, request.app[ACCOUNTS], token)
    if identity is None:
        raise WesError(401, "The token is not valid.")
    return Caller(identity.account.username, sees_all=identity.account.is_admin)


async def own_run(request: web.Request) -> Job:
    """The run that the path names.

    Raises:
        WesError: 404 where there is none, 403 where it is somebody else's; and as ``require``.
    """
    caller = await require(request)
    run_id = request.match_info["id"]
    job = request.app[JOBS].book.find_run(run_id)
    if job is None or request.app[BOX].strikes("wes_missing"):
        raise WesError(404, f"Run ID {run_id} not found.")
    if job.user != caller.username and not caller.sees_all:
        raise WesError(403, f"You are not allowed to see the run {run_id}.")
    return job
