"""Runs: list, look, cancel, tasks."""

from aiohttp import web

from app.sandbox.cloudgene.downloads import base_url
from app.sandbox.jobs.model import OPEN, Job
from app.sandbox.keys import BOX, JOBS
from app.sandbox.wes import auth, views
from app.sandbox.wes.errors import WesError

_PAGE_SIZE = 50
_LARGEST_PAGE = 1000


async def list_runs(request: web.Request) -> web.Response:
    """``GET /runs?page_size&page_token&tags=key:value``: the caller's, the newest first.

    A token is the number of the last run shown, so that pages neither repeat nor lose a run.
    """
    caller = await auth.require(request)
    faults = request.app[BOX].faults
    size = min(_number(request, "page_size", _PAGE_SIZE), _LARGEST_PAGE)
    before = _number(request, "page_token", 0)
    user = None if caller.sees_all else caller.username
    found = [job for job in request.app[JOBS].book.list_runs(user) if _matches(request, job)]
    if faults.wes_unlisted:
        listed = {"open": {views.COMPLETE}, "all": set[str]()}[faults.wes_unlisted]
        found = [job for job in found if views.wes_state(job) in listed]
    rest = [job for job in found if not before or job.number < before]
    page = rest[:size]
    more = str(page[-1].number) if len(rest) > size else ""
    shown = [views.summary(job, short=faults.wes_short_list) for job in page]
    return web.json_response({"runs": shown, "next_page_token": more})


async def get_run(request: web.Request) -> web.Response:
    """``GET /runs/{id}``."""
    job = await auth.own_run(request)
    return web.json_response(views.run_log(job, base_url(request)))


async def get_status(request: web.Request) -> web.Response:
    """``GET /runs/{id}/status``."""
    return web.json_response(views.summary(await auth.own_run(request), short=True))


async def cancel(request: web.Request) -> web.Response:
    """``POST /runs/{id}/cancel``: says that the request was taken; a run that ended stays as it is."""
    job = await auth.own_run(request)
    if job.state in OPEN:
        await request.app[JOBS].cancel(job)
    return web.json_response({"run_id": job.id})


async def list_tasks(request: web.Request) -> web.Response:
    """``GET /runs/{id}/tasks``: the steps of the pipeline, all on one page."""
    job = await auth.own_run(request)
    tasks = [views.task_log(job, i, step) for i, step in enumerate(job.steps, 1)]
    return web.json_response({"task_logs": tasks, "next_page_token": ""})


async def get_task(request: web.Request) -> web.Response:
    """``GET /runs/{id}/tasks/{task}``."""
    job = await auth.own_run(request)
    for i, step in enumerate(job.steps, 1):
        if str(i) == request.match_info["task"]:
            return web.json_response(views.task_log(job, i, step))
    raise WesError(404, "No such task.")


def _matches(request: web.Request, job: Job) -> bool:
    """Whether the run has every tag that ``tags=key:value`` asks for."""
    tags = job.wes.tags if job.wes else {}
    for wanted in request.query.getall("tags", []):
        key, _, value = wanted.partition(":")
        if tags.get(key) != value:
            return False
    return True


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) > 0):
        raise WesError(400, f"Invalid {name}.")
    return int(text)
