"""The list of jobs: filtered, ordered, live, and handled many at once."""

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.bulk import RULES, Act
from app.core.errors import InvalidInput
from app.core.listing import ORDER_WORDS, gather
from app.routes.pages.job_filters import JOBS, TABS, ListQuery, ListView
from app.usecases import job_lists
from app.usecases.job_lists import JobPage
from app.web.endpoint import UUID_PATTERN, Call, Endpoint
from app.web.pages import action, is_fragment, page, render, safe_next

_MAX_CHOSEN = 500


async def show(call: Call) -> web.Response:
    """Give the list; to a page that asks for a part, the part that changes with the filter."""
    view = ListView.of(call.query)
    found = await job_lists.list_page(
        call.deps, call.actor, view.filter(), order=view.sort, limit=view.limit, offset=view.offset
    )
    if not found.rows and found.total:  # what stood here was deleted, or the address is an old one
        view = replace(view, offset=(found.total - 1) // view.limit * view.limit)
        found = await job_lists.list_page(
            call.deps,
            call.actor,
            view.filter(),
            order=view.sort,
            limit=view.limit,
            offset=view.offset,
        )
    context = _context(view, found)
    if is_fragment(call.request):
        return await render(call, "_partials/job_list.html", **context)
    services = await job_lists.list_services(call.deps, call.actor, view.service_id)
    return await render(
        call, "pages/jobs.html", services=services, orders=ORDER_WORDS.items(), **context
    )


def _context(view: ListView, found: JobPage) -> dict[str, Any]:
    rows = gather(found.rows) if view.group else found.rows
    return {
        "view": view,
        "rows": rows,
        "grouped": Counter(row.batch_id for row in rows if row.batch_id) if view.group else {},
        "total": found.total,
        "tabs": _tabs(view, found.counts),
    }


def _tabs(view: ListView, counts: dict[Any, int]) -> list[dict[str, Any]]:
    chosen = set(view.statuses)
    return [
        {
            "label": tab.label,
            "href": view.url(status=tab.word),
            "count": sum(counts.get(status, 0) for status in tab.statuses or counts),
            "is_here": chosen >= set(tab.statuses) if tab.statuses else not chosen,
        }
        for tab in TABS
    ]


async def show_tabs(call: Call) -> web.Response:
    """Give the tabs alone, with their counts as they are now."""
    view = ListView.of(call.query)
    counts = await job_lists.count(call.deps, call.actor, view.filter())
    return await render(call, "_partials/job_tabs.html", view=view, tabs=_tabs(view, counts))


async def show_row(call: Call) -> web.Response:
    """Give one row of the list, as it is now."""
    row = await job_lists.get_row(call.deps, call.actor, call.path_uuid("id"))
    return await render(call, "_partials/job_row.html", row=row)


async def handle_many(call: Call) -> web.Response:
    """Do something to all chosen jobs; before what cannot be undone, show what would happen."""
    fields = call.fields
    if fields is None or fields.get("act") not in list(Act):
        raise InvalidInput(
            "It was not said what is to be done", action="Go back to your jobs and choose it there."
        )
    act = Act(fields["act"])
    back = safe_next(fields.get("back"), JOBS)
    chosen = _ids(fields.getall("job", []))
    if not chosen:
        return await render(call, "pages/jobs_none_chosen.html", act=act, back=back)
    if RULES[act].is_destructive and "confirmed" not in fields:
        planned = await job_lists.plan(call.deps, call.actor, act, chosen)
        return await render(
            call,
            "pages/jobs_confirm.html",
            act=act,
            rule=RULES[act],
            fitting=[item for item in planned if item.refusal is None],
            unfit=[item for item in planned if item.refusal is not None],
            back=back,
        )
    outcomes = await job_lists.carry_out(call.deps, call.actor, act, chosen)
    return await render(
        call,
        "pages/jobs_outcome.html",
        act=act,
        done_ones=[item for item in outcomes if item.error is None],
        refused=[item for item in outcomes if item.error is not None],
        back=back,
    )


def _ids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts[:_MAX_CHOSEN]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue  # no job has such an id
    return found


PAGES: tuple[Endpoint, ...] = (
    page(JOBS, show, "jobs", "Your jobs", query=ListQuery),
    page(f"{JOBS}/tabs", show_tabs, "jobs_tabs", "How many jobs are how", query=ListQuery),
    page(f"{JOBS}/{{id:{UUID_PATTERN}}}/row", show_row, "job_row", "A row of the list of jobs"),
    action(f"{JOBS}/bulk", handle_many, "jobs_bulk", "Cancel, retry or delete many jobs"),
)
