"""Jobs: list, look, cancel, restart, delete, and the log."""

import time

from aiohttp import web

from app.sandbox.cloudgene import auth
from app.sandbox.cloudgene.errors import ApiError, framework_error, wrapped
from app.sandbox.cloudgene.views import job_json, page_json
from app.sandbox.jobs.model import Job, State
from app.sandbox.keys import JOBS
from app.sandbox.tokens import Identity


async def list_jobs(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs[?page=N]``."""
    identity = await auth.require(request)
    auth.block_in_maintenance(request, identity)
    try:
        page = int(request.query["page"]) if "page" in request.query else None
    except ValueError:
        return framework_error(request, 400, "Failed to convert argument [page]")
    jobs = request.app[JOBS]
    return web.json_response(page_json(jobs.book.list_of(identity.account.username), jobs, page))


async def get_job(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}`` and ``.../status``, which answer alike."""
    job, identity = await _own_job(request)
    return _answer(request, job, identity)


async def cancel(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/cancel``: a finished job stays as it is, and that is no error."""
    job, identity = await _own_job(request)
    await request.app[JOBS].cancel(job)
    return _answer(request, job, identity)


async def restart(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/restart``: only for a dead job."""
    job, _ = await _own_job(request)
    if job.state != State.DEAD:
        raise ApiError(400, f"Job {job.id} is not pending.")
    await request.app[JOBS].restart(job)
    return wrapped(200, "Your job was successfully added to the job queue.")


async def delete(request: web.Request) -> web.Response:
    """``DELETE /api/v2/jobs/{id}``: an API token may not."""
    job, identity = await _own_job(request, login=True)
    await request.app[JOBS].delete(job)
    return _answer(request, job, identity)


async def log(request: web.Request) -> web.Response:
    """``GET /logs/{id}``: text with all inputs, the password among them (``LogController``)."""
    job, _ = await _own_job(request)
    if not job.log:
        stamp = time.strftime("%y/%m/%d %H:%M:%S")
        return web.Response(text=f"{stamp} Job {job.id} has no log yet.\n")
    return web.Response(text="\n".join(job.log) + "\n")


async def _own_job(request: web.Request, *, login: bool = False) -> tuple[Job, Identity]:
    identity = await auth.require(request, login=login)
    auth.block_in_maintenance(request, identity)
    job_id = request.match_info["id"]
    job = request.app[JOBS].book.find(job_id)
    if job is None:
        raise ApiError(404, f"Job {job_id} not found.")
    if job.user != identity.account.username and not identity.account.is_admin:
        raise ApiError(403, "Access denied.")
    return job, identity


def _answer(request: web.Request, job: Job, identity: Identity) -> web.Response:
    body = job_json(job, request.app[JOBS], is_admin=identity.account.is_admin)
    return web.json_response(body)
