"""The page of a job: how it stands, live; what came of it; and the service's report in a frame of its own."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from app.core.errors import NotFound
from app.routes.api.transfer import deliver
from app.routes.pages.job_shown import changes, show, signed_script
from app.usecases import files, jobs
from app.usecases.job_view import get_report, view_job
from app.usecases.notices import mark_job_read
from app.web.endpoint import INT, UUID_PATTERN, Call, Endpoint
from app.web.pages import action, page, render
from app.web.streaming import SANDBOX

JOB = f"/ui/jobs/{{id:{UUID_PATTERN}}}"
_PAGE_OF_CHANGES = 100
_LAST_PART = 286
"""What htmx takes for «this is the last one»: it asks no more."""
_FRAMED = {
    "Content-Security-Policy": f"{SANDBOX}; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    hdrs.CACHE_CONTROL: "no-store",
}


class LiveQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`seen`: what the page already shows."""

    seen: Annotated[str, msgspec.Meta(max_length=100)] = ""


class ChangesQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: str = ""
    offset: str = ""


async def show_job(call: Call) -> web.Response:
    view = await view_job(call.deps, call.actor, call.path_uuid("id"))
    await mark_job_read(call.deps, call.actor, view.job.id)
    return await render(call, "pages/job.html", is_part=False, **show(call.deps, view))


async def show_live(call: Call) -> web.Response:
    """Give the page's body anew; nothing when nothing has changed."""
    query: LiveQuery = call.query
    view = await view_job(call.deps, call.actor, call.path_uuid("id"))
    if query.seen == view.mark:
        return web.Response(status=204)
    shown = show(call.deps, view)
    status = _LAST_PART if view.job.is_final else 200
    return await render(call, "_partials/job.html", status=status, is_part=True, **shown)


async def show_changes(call: Call) -> web.Response:
    """Give the whole time line, page by page."""
    query: ChangesQuery = call.query
    offset = int(query.offset) if query.offset.isdecimal() and len(query.offset) < 8 else 0
    job = (await jobs.get_job(call.deps, call.actor, call.path_uuid("id"))).job
    # One more than is shown: how long the last one took to come counts from the one before it.
    found, total = await jobs.list_status_updates(
        call.deps, call.actor, job.id, limit=_PAGE_OF_CHANGES + 1, offset=offset
    )
    return await render(
        call,
        "pages/job_changes.html",
        job=job,
        changes=changes(found, _PAGE_OF_CHANGES),
        total=total,
        limit=_PAGE_OF_CHANGES,
        offset=offset,
    )


async def make_script(call: Call) -> web.Response:
    """Give the script with a link that needs no sign-in. Posted: a link is made, and not by looking."""
    view = await view_job(call.deps, call.actor, call.path_uuid("id"))
    if view.archive is None:
        raise NotFound("The results are not stored here", code="no_results")
    link = await files.sign_link(call.deps, call.actor, view.archive)
    return await render(
        call,
        "pages/job_script.html",
        job=view.job,
        script=signed_script(view, link.url),
        ends_at=link.expires_at,
    )


async def show_report(call: Call) -> web.StreamResponse:
    """Stream the service's own HTML, which may do nothing and load nothing, to be framed by our page."""
    file = await get_report(call.deps, call.actor, call.path_uuid("id"), call.path_int("file_id"))
    name = quote(file.name, safe="")
    headers = {**_FRAMED, hdrs.CONTENT_DISPOSITION: f"inline; filename*=UTF-8''{name}"}
    return await deliver(call, file, call.actor, headers)


PAGES: tuple[Endpoint, ...] = (
    page(JOB, show_job, "job", "A job: how it stands, what came of it"),
    page(f"{JOB}/live", show_live, "job_live", "The same, as a part that follows", query=LiveQuery),
    page(
        f"{JOB}/changes",
        show_changes,
        "job_changes",
        "Everything that happened to a job",
        query=ChangesQuery,
    ),
    page(
        f"{JOB}/report/{{file_id:{INT}}}",
        show_report,
        "job_report",
        "The service's report, for a frame",
    ),
    action(
        f"{JOB}/script",
        make_script,
        "job_script",
        "A script that fetches the results without a sign-in",
        per_minute=20,
    ),
)
