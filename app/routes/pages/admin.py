"""The state of the platform at a glance, for administrators."""

from aiohttp import web

from app.usecases.overview import take_overview
from app.web.endpoint import Access, Call, Endpoint
from app.web.pages import page, render
from app.web.readiness import check_all

PATH = "/ui/admin/"


async def show(call: Call) -> web.Response:
    checks = await check_all(call)
    return await render(
        call, "pages/admin.html", checks=checks, seen=await take_overview(call.deps)
    )


PAGES: tuple[Endpoint, ...] = (
    page(PATH, show, "admin", "The state of the platform", access=Access.ADMIN),
)
