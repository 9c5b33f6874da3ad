"""The dashboard: what runs, what needs its owner, what finished lately."""

from aiohttp import web

from app.web.endpoint import Call
from app.web.pages import render


async def show_dashboard(call: Call) -> web.Response:
    """Give the dashboard of who is signed in."""
    return await render(call, "pages/dashboard.html")
