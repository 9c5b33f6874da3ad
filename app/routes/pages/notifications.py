"""What people were told: the bell, the list, and going to where one can act."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from app.core.notices import CREDENTIAL_EVENTS, NoticeEvent
from app.usecases import notices
from app.web.endpoint import INT, Call, Endpoint, Paging
from app.web.pages import action, page, render, safe_next, see_other

LIST = "/ui/notifications"
_KINDS = {
    "jobs": [str(event) for event in NoticeEvent if event not in CREDENTIAL_EVENTS],
    "credentials": [str(event) for event in CREDENTIAL_EVENTS],
}
"""What the filter `kind` keeps."""


class NoticesQuery(Paging, frozen=True, kw_only=True):
    """`show=unread` keeps those that were not read; `kind` those of jobs, or of credentials."""

    show: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    kind: Annotated[str, msgspec.Meta(max_length=20)] | None = None


async def show_list(call: Call) -> web.Response:
    query: NoticesQuery = call.query
    unread_only = query.show == "unread"
    kind = query.kind if query.kind in _KINDS else None
    found, total = await notices.list_notifications(
        call.deps,
        call.actor,
        unread=True if unread_only else None,
        types=_KINDS[kind] if kind else None,
        limit=query.limit,
        offset=query.offset,
    )
    return await render(
        call,
        "pages/notifications.html",
        notices=found,
        total=total,
        paging=query,
        unread_only=unread_only,
        kind=kind,
        count=await notices.count_unread(call.deps, call.actor),
    )


async def show_bell(call: Call) -> web.Response:
    unread = await notices.count_unread(call.deps, call.actor)
    return await render(call, "_partials/bell.html", unread=unread)


async def open_one(call: Call) -> web.Response:
    """Mark one as read and go to where its reader can act. A form, so that no prefetch reads anything."""
    notice = await notices.mark_read(call.deps, call.actor, call.path_int("id"))
    try:
        path = urlsplit(str(notice.data.get("action_url") or "")).path
    except ValueError:  # an address whose host is none
        path = ""
    return see_other(safe_next(path, LIST))


async def read_all(call: Call) -> web.Response:
    await notices.mark_all_read(call.deps, call.actor)
    return see_other(LIST, "all-read")


PAGES: tuple[Endpoint, ...] = (
    page(LIST, show_list, "notifications", "What you were told", query=NoticesQuery),
    page("/ui/bell", show_bell, "bell", "How many notifications were not read"),
    action(f"{LIST}/read-all", read_all, "notifications_read", "Mark all as read"),
    action(f"{LIST}/{{id:{INT}}}/open", open_one, "notification_open", "Go to where one can act"),
)
