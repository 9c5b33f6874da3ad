"""What answers in Cloudgene 2, submissions aside."""

import asyncio

from aiohttp import web

from app.sandbox import tokens
from app.sandbox.cloudgene.errors import ApiError
from app.sandbox.cloudgene2 import auth, form
from app.sandbox.cloudgene2.views import job_json, row_json
from app.sandbox.jobs.model import OPEN, Job
from app.sandbox.keys import ACCOUNTS, BOX, CONFIG, JOBS

_AUTHENTICATE = "The request requires user authentication."


async def server(request: web.Request) -> web.Response:
    """``GET /api/v2/server``: neither ``oauth`` nor versions."""
    identity = await auth.identify(request)
    body: dict[str, object] = {
        "name": request.app[CONFIG].name,
        "loggedIn": identity is not None,
        "maintenace": request.app[BOX].faults.maintenance,
        "apps": [],
        "deprecatedApps": [],
        "experimentalApps": [],
        "navigation": [],
    }
    if identity is not None:
        account = identity.account
        body["user"] = {"username": account.username, "mail": account.mail, "admin": False}
        body["apps"] = [{"id": f"{form.APP_ID}@{form.APP_VERSION}", "name": form.APP_NAME}]
    return web.json_response(body)


async def app(request: web.Request) -> web.Response:
    """``GET /api/v2/server/apps/{app}``."""
    await auth.require_for_app(request)
    name = request.match_info["app"]
    if not form.is_app(name):
        said = f"Application '{name}' not found or the request requires user authentication."
        raise ApiError(404, said)
    return web.json_response(form.describe(request.app[CONFIG].panels))


async def verify(request: web.Request) -> web.Response:
    """``POST /api/v2/tokens/verify``: always 200; ``expire`` in milliseconds, ``error`` where it is no token at all."""
    token = str((await request.post()).get("token", ""))
    config, accounts = request.app[CONFIG], request.app[ACCOUNTS]
    try:
        identity = await asyncio.to_thread(tokens.identify, config, accounts, token)
    except tokens.Revoked:
        return web.json_response({"valid": False, "message": "Invalid API Token."})
    if identity is None or identity.kind != "api":
        return web.json_response({"valid": False, "error": "Invalid or expired JWT."})
    account = identity.account
    return web.json_response(
        {
            "valid": True,
            "message": "API Token is valid.",
            "username": account.username,
            "name": account.full_name,
            "mail": account.mail,
            "expire": int(identity.expires_at * 1000),
        }
    )


async def list_jobs(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs``: all at once, as a bare array."""
    identity = await auth.require(request, 401, _AUTHENTICATE)
    jobs = request.app[JOBS]
    rows = jobs.book.list_of(identity.account.username)
    return web.json_response([row_json(job, jobs) for job in rows])


async def get_job(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}``."""
    return web.json_response(job_json(await _own_job(request), request.app[JOBS]))


async def get_status(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/status``: of a job that has ended neither steps nor downloads (``GetJobStatus``)."""
    job = await _own_job(request)
    show = job_json if job.state in OPEN else row_json
    return web.json_response(show(job, request.app[JOBS]))


async def cancel(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/cancel``: 404 for what is not in the queue."""
    job = await _own_job(request)
    if job.state not in OPEN:
        raise ApiError(404, f"Job {job.id} not found.")
    await request.app[JOBS].cancel(job)
    return web.json_response(job_json(job, request.app[JOBS]))


async def restart(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/restart``: for people who are signed in alone."""
    await _own_job(request)
    raise ApiError(401, _AUTHENTICATE)


async def _own_job(request: web.Request) -> Job:
    identity = await auth.require(request, 403, "Access denied.")
    job_id = request.match_info["id"]
    job = request.app[JOBS].book.find(job_id)
    if job is None:
        raise ApiError(404, f"Job {job_id} not found.")
    if job.user != identity.account.username and not identity.account.is_admin:
        raise ApiError(403, "Access denied.")
    return job
