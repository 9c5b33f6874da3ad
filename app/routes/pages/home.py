"""The first page: what this is for strangers, the dashboard for who is signed in; and old addresses that lead to pages."""

from aiohttp import hdrs, web

from app.routes.pages.dashboard import show_dashboard
from app.usecases.catalogue import list_services
from app.web.endpoint import Access, Call, Endpoint, Handler
from app.web.pages import HOME, THEME_COOKIE, Form, action, page, render, safe_next, see_other
from app.web.session import is_secure

_YEAR_S = 365 * 86_400
_SHOWN_SERVICES = 12


async def home(call: Call) -> web.Response:
    if call.maybe_actor is not None:
        return await show_dashboard(call)
    services, total = await list_services(
        call.deps, is_active=True, api_type=None, limit=_SHOWN_SERVICES, offset=0
    )
    return await render(call, "pages/landing.html", services=services, services_total=total)


async def set_theme(call: Call) -> web.Response:
    """Keep whether pages are light, dark, or as the system says."""
    form = Form(call.fields)
    response = see_other(safe_next(form.value("next")))
    theme = form.value("theme")
    if theme in ("light", "dark"):
        response.set_cookie(
            THEME_COOKIE,
            theme,
            max_age=_YEAR_S,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=is_secure(call.deps.settings),
        )
    else:
        response.del_cookie(THEME_COOKIE, path="/")
    return response


def _leads_to(path: str) -> Handler:
    async def redirect(_call: Call) -> web.Response:
        return web.Response(status=302, headers={hdrs.LOCATION: path})

    return redirect


def _moved(path: str, to: str, name: str) -> Endpoint:
    return page(path, _leads_to(to), name, f"Leads to {to}", access=Access.PUBLIC)


PAGES: tuple[Endpoint, ...] = (
    page(HOME, home, "home", "What this is; signed in, how your jobs stand", access=Access.PUBLIC),
    action("/ui/theme", set_theme, "theme", "Keep light or dark", access=Access.PUBLIC),
    _moved("/", HOME, "root"),
    _moved("/ui", HOME, "ui_root"),
    _moved("/admin", "/ui/admin/", "admin_root"),
    _moved("/admin/", "/ui/admin/", "admin_root_slash"),
    _moved("/settings/service-credentials", "/ui/settings/service-credentials", "old_credentials"),
)
