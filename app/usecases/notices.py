"""Telling people about their jobs and credentials: a notice on the web page and an e-mail, each once, in the transaction of the change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from app.core.errors import NotFound
from app.core.models import Job, Notification
from app.core.names import one_line
from app.core.notices import (
    Channel,
    CredentialNews,
    Notice,
    NoticeEvent,
    compose,
    compose_credential,
    dedup_base,
    wanted_channels,
)
from app.db import notices as db
from app.db.notices import NOTICES, Audience
from app.db.queries import Connection
from app.logs import redact
from app.settings import Settings
from app.usecases.deps import Actor, Deps
from app.usecases.outbox import deliver_due, is_mail_due, queue_mail, send_mail

__all__ = [
    "announce",
    "announce_credential",
    "deliver_due",
    "is_mail_due",
    "list_notifications",
    "mark_all_read",
    "mark_job_read",
    "mark_read",
    "send_mail",
]


async def announce(
    conn: Connection,
    job: Job,
    event: NoticeEvent,
    *,
    settings: Settings,
    now: datetime,
    occurrence: str = "",
) -> None:
    """Tell the owner of an event, inside the transaction that makes it true, over the channels they want.

    The same (job, event, occurrence, channel) is told once, however often this is called. E-mail goes only to a
    confirmed address of an active account.
    """
    audience = await db.find_audience(conn, job.user_id, job.service_id)
    if audience is None:
        return
    notice = compose(event, job, audience.service_name)
    base = settings.base_url
    has_results = job.results_file_id is not None
    data = {
        "job_id": str(job.id),
        "job_name": notice.job_name,
        "results_url": f"{base}/api/jobs/{job.id}/results" if has_results else None,
        "action_url": f"{base}{notice.action_path}",
    }
    words = {
        "job_url": f"{base}/ui/jobs/{job.id}",
        "reason": redact(notice.reason),
        "way_out": notice.way_out,
    }
    key = dedup_base(event, job, now, occurrence)
    await _tell(conn, audience, event, notice, key, now=now, job_id=job.id, data=data, words=words)


async def announce_credential(
    conn: Connection,
    user_id: int,
    service_id: int,
    event: NoticeEvent,
    news: CredentialNews,
    *,
    key: str,
    settings: Settings,
    now: datetime,
) -> None:
    """Tell somebody of an event of a credential, like `announce`; the same `key` is told once."""
    audience = await db.find_audience(conn, user_id, service_id)
    if audience is None:
        return
    notice = compose_credential(event, news, audience.service_name)
    data = {
        "job_id": None,
        "job_name": None,
        "results_url": None,
        "service_id": service_id,
        "ends": news.ends or None,
        "action_url": f"{settings.base_url}{notice.action_path}",
    }
    words = {
        "which": one_line(news.which(audience.service_name)),
        "reason": redact(notice.reason),
    }
    await _tell(conn, audience, event, notice, key, now=now, job_id=None, data=data, words=words)


async def _tell(
    conn: Connection,
    audience: Audience,
    event: NoticeEvent,
    notice: Notice,
    key: str,
    *,
    now: datetime,
    job_id: UUID | None,
    data: Mapping[str, object],
    words: Mapping[str, object],
) -> None:
    """Tell over the channels that are wanted and there. `data` are for both, `words` for the e-mail alone."""
    wanted = wanted_channels(event, audience.notification_preferences)
    channels = [
        item for item in wanted if item is not Channel.EMAIL or audience.address is not None
    ]
    if Channel.WEB in channels:
        await NOTICES.insert_notification.run(
            conn,
            user_id=audience.id,
            job_id=job_id,
            dedup_key=f"{key}:{Channel.WEB}",
            type=event.value,
            title=notice.title,
            message=redact(notice.message),
            data=dict(data),
            channels=[item.value for item in channels],
            now=now,
        )
    if Channel.EMAIL in channels and audience.address is not None:
        common = {
            "addressee": _called(audience),
            "service_name": one_line(audience.service_name),
        }
        await queue_mail(
            conn,
            user_id=audience.id,
            recipient=audience.address,
            template=event.value,
            data={**data, **common, **words},
            dedup_key=f"{key}:{Channel.EMAIL}",
            now=now,
        )


def _called(audience: Audience) -> str:
    return one_line(audience.full_name or "") or audience.username


async def list_notifications(
    deps: Deps,
    actor: Actor,
    *,
    unread: bool | None,
    types: Sequence[str] | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Notification], int]:
    """Give a page of the actor's notices (of some types), newest first, and how many there are."""
    return await db.list_notifications(
        deps.pool, actor.id, unread=unread, types=types, limit=limit, offset=offset
    )


async def count_unread(deps: Deps, actor: Actor) -> int:
    """Give how many of the actor's notices were not read."""
    return int(await NOTICES.count_unread.value(deps.pool, user_id=actor.id))


async def mark_read(deps: Deps, actor: Actor, notification_id: int) -> Notification:
    """Mark one of the actor's notices as read. Raises NotFound, for another user's too."""
    found = await db.mark_read(deps.pool, actor.id, notification_id)
    if found is None:
        raise NotFound("There is no such notification")
    return found


async def mark_all_read(deps: Deps, actor: Actor) -> int:
    """Mark all of the actor's notices as read; give how many were not."""
    return await NOTICES.mark_all_read.run(deps.pool, user_id=actor.id)


async def mark_job_read(deps: Deps, actor: Actor, job_id: UUID) -> int:
    """Mark what the actor was told of one of their jobs as read; give how many notices were not."""
    return await NOTICES.mark_job_read.run(deps.pool, job_id=job_id, user_id=actor.id)
