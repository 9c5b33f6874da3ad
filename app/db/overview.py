"""The state of the platform at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.models import build
from app.db.audit import AuditEntry
from app.db.queries import Executor, load

_sql = load("overview")


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """How many open jobs stand in a status and stage, and since when the oldest of them is there."""

    status: str
    stage: str | None
    jobs: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class StuckJob:
    """An open job that is held or takes long."""

    id: UUID
    name: str
    status: str
    stage: str | None
    hold_reason: str | None
    created_at: datetime
    updated_at: datetime
    user_id: int
    username: str
    service_id: int
    service_name: str


@dataclass(frozen=True, slots=True)
class ServiceCount:
    """What there is at a service: jobs, panels that can be chosen, users with a credential."""

    service_id: int
    open_jobs: int
    jobs: int
    panels: int
    credentials: int


@dataclass(frozen=True, slots=True)
class Outbox:
    """E-mails that wait, `retried` of them after a failure, and those given up lately."""

    waiting: int
    oldest_at: datetime | None
    retried: int
    given_up: int


@dataclass(frozen=True, slots=True)
class TroubledMail:
    """An e-mail that could not be delivered. `template` is what it is about; to whom it goes is not told."""

    id: int
    template: str
    attempts: int
    created_at: datetime
    due_at: datetime
    gave_up_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class People:
    """Accounts: all, those that can sign in, administrators among these, those that signed in lately."""

    all_users: int
    active: int
    admins: int
    recent: int


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored files, and the bytes that they hold."""

    files: int
    size_bytes: int


async def count_open_jobs(db: Executor) -> list[OpenJobs]:
    """Give the numbers of open jobs by status and stage."""
    return [build(OpenJobs, row) for row in await _sql.count_open_jobs.rows(db)]


async def list_stuck_jobs(
    db: Executor, held: Sequence[str], before: datetime, limit: int
) -> list[StuckJob]:
    """Give open jobs that are held in one of these stages, or older than a time; the oldest first."""
    rows = await _sql.list_stuck_jobs.rows(db, held=list(held), before=before, limit=limit)
    return [build(StuckJob, row) for row in rows]


async def count_jobs_of_services(db: Executor) -> list[ServiceCount]:
    """Give what there is at each service."""
    return [build(ServiceCount, row) for row in await _sql.count_jobs_of_services.rows(db)]


async def measure_outbox(db: Executor, since: datetime) -> Outbox:
    """Give how many e-mails wait, and were given up since a time."""
    row = await _sql.measure_outbox.row(db, since=since)
    return build(Outbox, row or {})


async def list_troubled_mail(db: Executor, limit: int) -> list[TroubledMail]:
    """Give e-mails that could not be delivered, newest first."""
    return [build(TroubledMail, row) for row in await _sql.list_troubled_mail.rows(db, limit=limit)]


async def measure_people(db: Executor, since: datetime) -> People:
    """Give the numbers of accounts."""
    return build(People, await _sql.measure_people.row(db, since=since) or {})


async def measure_files(db: Executor) -> Stored:
    """Give the number of stored files and their bytes."""
    return build(Stored, await _sql.measure_files.row(db) or {})


async def list_admin_acts(db: Executor, limit: int) -> list[AuditEntry]:
    """Give the latest acts of administration."""
    rows = await _sql.list_admin_acts.rows(db, limit=limit)
    return [build(AuditEntry, row) for row in rows]


async def list_usernames(db: Executor, ids: Sequence[int]) -> dict[int, str]:
    """Give the names of some users, by their ids."""
    return {row["id"]: row["username"] for row in await _sql.list_usernames.rows(db, ids=list(ids))}
