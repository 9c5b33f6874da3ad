"""The notices of the one who asks."""

from datetime import datetime
from typing import Any

import msgspec

from app.core.models import Notification
from app.usecases import notices
from app.web.endpoint import INT, Call, Endpoint, Page, Paging


class NotificationQuery(Paging, frozen=True, kw_only=True):
    """`unread` true keeps those that were not read, false those that were."""

    unread: bool | None = None


class NotificationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as clients see it; `data` has `job_id`, `job_name`, `results_url` (null until there are any), `action_url`.

    Of a credential, the first three are null, and `service_id` and `ends` (in words, or null) are there.
    """

    id: int
    type: str
    title: str
    message: str
    data: dict[str, Any]
    channels: list[str]
    is_read: bool
    created_at: datetime


class ReadAllAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How many notices were not read before."""

    message: str
    updated: int


def _answer(notice: Notification) -> NotificationAnswer:
    return NotificationAnswer(
        id=notice.id,
        type=notice.type,
        title=notice.title,
        message=notice.message,
        data=notice.data,
        channels=notice.channels,
        is_read=notice.is_read,
        created_at=notice.created_at,
    )


async def list_notifications(call: Call) -> Page:
    """Give a page, newest first."""
    query: NotificationQuery = call.query
    items, total = await notices.list_notifications(
        call.deps, call.actor, unread=query.unread, limit=query.limit, offset=query.offset
    )
    return Page([_answer(item) for item in items], total)


async def mark_read(call: Call) -> NotificationAnswer:
    """Mark one as read."""
    return _answer(await notices.mark_read(call.deps, call.actor, call.path_int("id")))


async def mark_all_read(call: Call) -> ReadAllAnswer:
    """Mark all as read."""
    updated = await notices.mark_all_read(call.deps, call.actor)
    return ReadAllAnswer(message="All notifications are marked as read", updated=updated)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/notifications",
        list_notifications,
        "list_notifications",
        "List your notifications, newest first",
        query=NotificationQuery,
        response=list[NotificationAnswer],
        tag="notifications",
    ),
    Endpoint(
        "POST",
        f"/notifications/{{id:{INT}}}/read",
        mark_read,
        "mark_notification_read",
        "Mark a notification as read",
        response=NotificationAnswer,
        tag="notifications",
    ),
    Endpoint(
        "POST",
        "/notifications/read-all",
        mark_all_read,
        "mark_all_notifications_read",
        "Mark all your notifications as read",
        response=ReadAllAnswer,
        tag="notifications",
    ),
)
