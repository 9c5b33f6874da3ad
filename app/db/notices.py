"""Typed functions over the queries of notices: notifications and the outbox of e-mails."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.models import Notification, build
from app.db.queries import Executor, load

NOTICES = load("notices")


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a notice of a job is for."""

    id: int
    username: str
    full_name: str | None
    email: str | None
    is_active: bool
    notification_preferences: dict[str, Any]
    service_name: str

    @property
    def address(self) -> str | None:
        """The address that e-mails go to, of somebody who may sign in; one that waits for confirmation is elsewhere."""
        return self.email if self.is_active else None


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """An e-mail in hand, for the `attempts`th time."""

    id: int
    user_id: int | None
    dedup_key: str
    template: str
    recipient: str
    data: dict[str, Any]
    secret_data: bytes | None = field(repr=False)
    secret_data_key_id: str | None
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """The archive of a job's results."""

    file_id: int
    name: str
    size_bytes: int
    user_id: int


async def find_audience(db: Executor, user_id: int, service_id: int) -> Audience | None:
    """Give whom a notice of a user's job at a service is for; None when the account is gone."""
    row = await NOTICES.find_audience.row(db, user_id=user_id, service_id=service_id)
    return row and build(Audience, row)


async def list_notifications(
    db: Executor,
    user_id: int,
    *,
    unread: bool | None,
    types: Sequence[str] | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Notification], int]:
    """Give a page of a user's notices (of some types), newest first, and how many there are."""
    wanted = {"user_id": user_id, "unread": unread, "types": None if types is None else list(types)}
    rows = await NOTICES.list_notifications.rows(db, **wanted, limit=limit, offset=offset)
    total = await NOTICES.count_notifications.value(db, **wanted)
    return [build(Notification, row) for row in rows], total


async def mark_read(db: Executor, user_id: int, notification_id: int) -> Notification | None:
    """Mark a user's notice as read; None when it does not exist or is somebody else's."""
    row = await NOTICES.mark_read.row(db, id=notification_id, user_id=user_id)
    return row and build(Notification, row)


async def claim_mail(db: Executor, now: datetime, lease_until: datetime) -> QueuedMail | None:
    """Take the next due e-mail in hand; None when nothing is due."""
    row = await NOTICES.claim_mail.row(db, now=now, lease_until=lease_until)
    return row and build(QueuedMail, row)


async def find_results_file(db: Executor, job_id: UUID) -> ResultsFile | None:
    """Give the archive of a job's results, or None."""
    row = await NOTICES.find_results_file.row(db, job_id=job_id)
    return row and build(ResultsFile, row)
