"""The side door ``/sandbox/...``: switch faults, read counts, force states. Not part of any dialect.

Bodies are JSON and must say so, which keeps web pages of other origins from posting them unasked.
"""

import hmac
from typing import Any

from aiohttp import web

from app.sandbox.faults import Faults, parse_faults
from app.sandbox.jobs.model import State
from app.sandbox.keys import BOX, CONFIG, ENGINE, JOBS, STATS

TOKEN_HEADER = "X-Sandbox-Token"  # noqa: S105 - the name of a header


def routes() -> list[web.RouteDef]:
    return [
        web.get("/sandbox/faults", get_faults),
        web.put("/sandbox/faults", put_faults),
        web.patch("/sandbox/faults", patch_faults),
        web.get("/sandbox/stats", get_stats),
        web.get("/sandbox/jobs", list_jobs),
        web.post("/sandbox/jobs/{id}/state", set_state),
    ]


async def get_faults(request: web.Request) -> web.Response:
    """The switches in force."""
    _admit(request)
    return web.json_response(request.app[BOX].as_json())


async def put_faults(request: web.Request) -> web.Response:
    """Put exactly the given switches in force; all others go back to healthy."""
    return await _change(request, Faults())


async def patch_faults(request: web.Request) -> web.Response:
    """Change the given switches, leave the others (counts and chance start anew)."""
    return await _change(request, request.app[BOX].faults)


async def get_stats(request: web.Request) -> web.Response:
    """All counts; ``jobs_by_name`` covers every job ever accepted, also by earlier processes."""
    _admit(request)
    by_name: dict[str, int] = {}
    states: dict[str, int] = {}
    for job in request.app[JOBS].book.list_all():
        by_name[job.name] = by_name.get(job.name, 0) + 1
        states[str(int(job.state))] = states.get(str(int(job.state)), 0) + 1
    return web.json_response(
        {
            "engine": request.app[ENGINE],
            "jobs": sum(by_name.values()),
            "jobs_by_name": by_name,
            "jobs_by_state": states,
            **request.app[STATS].as_json(),
        }
    )


async def list_jobs(request: web.Request) -> web.Response:
    """Every job of every user, as it really stands."""
    _admit(request)
    rows = [
        {
            "id": job.id,
            "name": job.name,
            "user": job.user,
            "state": int(job.state),
            "dialect": "cloudgene" if job.wes is None else "wes",
            "files": job.files,
            "inputs": {k: v for k, v in job.inputs.items() if k != "password"},
            "results": {r.name: r.left for r in job.results},
        }
        for job in request.app[JOBS].book.list_all()
    ]
    return web.json_response(rows)


async def set_state(request: web.Request) -> web.Response:
    """``{"state": n}``: put a job in a state (-1, 1 to 10; 10 makes it answer 404), whatever it does."""
    body = await _body(request)
    try:
        state = State(body["state"])
    except (KeyError, ValueError):
        raise web.HTTPBadRequest from None
    for job in request.app[JOBS].book.list_all():
        if job.id == request.match_info["id"]:
            await request.app[JOBS].force(job, state)
            return web.json_response({"id": job.id, "state": int(job.state)})
    raise web.HTTPNotFound


async def _change(request: web.Request, base: Faults) -> web.Response:
    body = await _body(request)
    try:
        faults = parse_faults(body, base)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
    request.app[BOX].replace(faults)
    return web.json_response(request.app[BOX].as_json())


async def _body(request: web.Request) -> dict[str, Any]:
    _admit(request)
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body


def _admit(request: web.Request) -> None:
    """Raises 403 where the door has a lock and the key is wrong."""
    wanted = request.app[CONFIG].control_token
    given = request.headers.get(TOKEN_HEADER, "")
    if wanted and not hmac.compare_digest(wanted.encode(), given.encode()):
        raise web.HTTPForbidden
