"""The services that jobs can be sent to: a card each, and a page each."""

from typing import Annotated

import msgspec
from aiohttp import web

from app.core.browsing import Wanted, population_labels
from app.core.expiry import LOOKS_BACK
from app.core.guides import guide_for
from app.core.services import warnings_for_users
from app.db.offers import list_usual_durations
from app.db.services import list_panels
from app.usecases.monitoring import get_health
from app.usecases.showcase import list_shown
from app.usecases.standing import find_standing
from app.web.endpoint import INT, Access, Call, Endpoint, Paging
from app.web.pages import Form, page, render
from app.web.sparkline import sparkline

_LOOKS = 120
"""Looks on a service's page: an hour at one in 30 s."""
_ONE = f"/ui/services/{{id:{INT}}}"
Word = Annotated[str, msgspec.Meta(max_length=200)]


class ServicesQuery(msgspec.Struct, frozen=True, kw_only=True):
    q: Word | None = None
    build: Word | None = None
    population: Word | None = None


async def show_list(call: Call) -> web.Response:
    query: ServicesQuery = call.query
    wanted = Wanted(query.q or "", query.build or "", query.population or "")
    shown, panels = await list_shown(call.deps, call.maybe_actor, wanted)
    return await render(
        call,
        "pages/services.html",
        shown=shown,
        wanted=wanted,
        form=Form(
            defaults={"q": wanted.text, "build": wanted.build, "population": wanted.population}
        ),
        populations=population_labels(panels),
    )


async def show(call: Call) -> web.Response:
    paging: Paging = call.query
    report = await get_health(
        call.deps, call.path_int("id"), max(_LOOKS, paging.limit), paging.offset
    )
    service = report.service
    panels, _ = await list_panels(call.deps.pool, service.id, inactive_too=False)
    usual = await list_usual_durations(call.deps.pool, call.deps.now() - LOOKS_BACK)
    looks = list(reversed(report.history))
    standing = (
        await find_standing(call.deps, call.maybe_actor, service) if call.maybe_actor else None
    )
    return await render(
        call,
        "pages/service.html",
        service=service,
        report=report,
        looks=looks,
        line=sparkline([look.latency_ms if look.state == "up" else None for look in looks]),
        panels=panels,
        usual=usual.get(service.id),
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
    page(_ONE, show, "service", "One service", access=Access.PUBLIC, query=Paging),
)
