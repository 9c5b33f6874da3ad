"""The services that jobs can be sent to: a card each, and a page each."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from app.core.browsing import SORTS, Wanted, has_words, population_labels
from app.core.guides import guide_for
from app.core.health import WINDOWS
from app.core.services import warnings_for_users
from app.usecases.monitoring import get_health, get_timeline
from app.usecases.panels import list_panels
from app.usecases.showcase import list_shown
from app.usecases.standing import find_standing
from app.usecases.waits import list_usual_durations
from app.web.endpoint import INT, Access, Call, Endpoint, Paging
from app.web.pages import Form, page, render
from app.web.sparkline import sparkline

_LOOKS = 50
"""Looks in the table of a service's page."""
_MAX_PANELS = 500
_ONE = f"/ui/services/{{id:{INT}}}"
Word = Annotated[str, msgspec.Meta(max_length=200)]


class ServicesQuery(Paging, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 24
    q: Word | None = None
    build: Word | None = None
    population: Word | None = None
    sort: Word | None = None


class ServiceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`window` of the health history: 24h, 7d or 30d; `panel`: words that a panel must have."""

    window: Word | None = None
    panel: Word | None = None


async def show_list(call: Call) -> web.Response:
    query: ServicesQuery = call.query
    sort = query.sort if query.sort in SORTS else SORTS[0]
    wanted = Wanted(query.q or "", query.build or "", query.population or "", sort)
    shown, panels = await list_shown(call.deps, call.maybe_actor, wanted)
    asked = {
        name: value
        for name in ("q", "build", "population", "sort")
        if (value := getattr(query, name))
    }
    return await render(
        call,
        "pages/services.html",
        shown=shown[query.offset : query.offset + query.limit],
        total=len(shown),
        paging=query,
        url=f"/ui/services?{urlencode(asked)}",
        wanted=wanted,
        form=Form(
            defaults={"q": wanted.text, "build": wanted.build, "population": wanted.population}
        ),
        populations=population_labels(panels),
    )


async def show(call: Call) -> web.Response:
    query: ServiceQuery = call.query
    window = query.window if query.window in WINDOWS else "24h"
    report = await get_health(call.deps, call.path_int("id"), _LOOKS, 0)
    timeline = await get_timeline(call.deps, report, window)
    service = report.service
    panels, total = await list_panels(
        call.deps, service.id, inactive_too=False, limit=_MAX_PANELS, offset=0
    )
    standing = (
        await find_standing(call.deps, call.maybe_actor, service) if call.maybe_actor else None
    )
    return await render(
        call,
        "pages/service.html",
        service=service,
        report=report,
        window=window,
        timeline=timeline,
        line=sparkline(timeline.latencies_ms),
        panels=[panel for panel in panels if has_words(panel, query.panel or "")],
        panels_total=total,
        panel_words=query.panel or "",
        took=(await list_usual_durations(call.deps, service.id)).get(service.id),
        standing=standing,
        guide=guide_for(service),
        options=(service.live_form or {}).get("options", []),
        warnings=warnings_for_users(service),
    )


PAGES: tuple[Endpoint, ...] = (
    page(
        "/ui/services",
        show_list,
        "services",
        "The imputation services",
        access=Access.PUBLIC,
        query=ServicesQuery,
    ),
    page(_ONE, show, "service", "One service", access=Access.PUBLIC, query=ServiceQuery),
)
