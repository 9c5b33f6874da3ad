"""The dashboard: what runs, what needs its owner, what finished lately."""

from uuid import UUID

from aiohttp import web

from app.usecases.dashboard import get_dashboard
from app.usecases.notices import mark_job_read
from app.web.endpoint import Call, Endpoint
from app.web.pages import HOME, Form, action, is_fragment, page, render, see_other


async def show_dashboard(call: Call) -> web.Response:
    """Give the dashboard of who is signed in; to a page that asks for a part, all that changes on it."""
    template = "_partials/dashboard.html" if is_fragment(call.request) else "pages/dashboard.html"
    return await render(call, template, board=await get_dashboard(call.deps, call.actor))


async def see(call: Call) -> web.Response:
    """Note that its owner has looked at a job."""
    try:
        job_id = UUID(Form(call.fields).value("job"))
    except ValueError:
        return see_other(HOME)
    await mark_job_read(call.deps, call.actor, job_id)
    return see_other(HOME)


PAGES: tuple[Endpoint, ...] = (
    page("/ui/dashboard", show_dashboard, "dashboard", "How your jobs stand"),
    action("/ui/dashboard/seen", see, "dashboard_seen", "Note that a job's end was seen"),
)
