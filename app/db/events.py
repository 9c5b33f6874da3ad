"""Typed functions over the queries of events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.jobs import Stage, Status
from app.core.models import Row
from app.db.queries import Executor, load

EVENTS = load("events")


@dataclass(frozen=True, slots=True)
class JobNow:
    """What shows a job's progress, as it is at the time of reading: a replayed update is older than that."""

    name: str
    status: Status
    stage: Stage | None
    progress_percentage: int
    hold_reason: str | None
    queue_position: int | None
    external_job_id: str | None
    results_file_id: int | None
    error_message: str | None
    error_action: str | None
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A status update, with its job."""

    id: int
    job_id: UUID
    status: Status
    stage: Stage | None
    progress_percentage: int
    message: str
    timestamp: datetime
    job: JobNow


@dataclass(frozen=True, slots=True)
class FollowedJob:
    """Whether a job has ended, and its newest update."""

    is_final: bool
    last_id: int | None


async def list_events(
    db: Executor, user_id: int, job_id: UUID | None, *, after: int, limit: int
) -> list[JobEvent]:
    """Give what happened to a user's job, or to all of them, after the update `after`, oldest first."""
    page = {"user_id": user_id, "after": after, "limit": limit}
    if job_id is None:
        rows = await EVENTS.list_user_events.rows(db, **page)
    else:
        rows = await EVENTS.list_job_events.rows(db, job_id=job_id, **page)
    return [_event(row) for row in rows]


async def list_events_by_id(db: Executor, user_id: int, ids: Sequence[int]) -> list[JobEvent]:
    """Give the named updates of a user's jobs, oldest first."""
    rows = await EVENTS.list_events_by_id.rows(db, user_id=user_id, ids=list(ids))
    return [_event(row) for row in rows]


async def find_last_user_event(db: Executor, user_id: int) -> int:
    """Give the newest update among a user's jobs, 0 when there is none."""
    return await EVENTS.find_last_user_event.value(db, user_id=user_id) or 0


async def find_followed_job(db: Executor, user_id: int, job_id: UUID) -> FollowedJob | None:
    """Give how a user's job stands; None when there is no such job of theirs."""
    row = await EVENTS.find_followed_job.row(db, user_id=user_id, job_id=job_id)
    return row and FollowedJob(row["is_final"], row["last_id"])


def _event(row: Row) -> JobEvent:
    job = JobNow(
        name=row["job_name"],
        status=Status(row["job_status"]),
        stage=Stage(row["job_stage"]) if row["job_stage"] is not None else None,
        progress_percentage=row["job_progress"],
        hold_reason=row["hold_reason"],
        queue_position=row["queue_position"],
        external_job_id=row["external_job_id"],
        results_file_id=row["results_file_id"],
        error_message=row["error_message"],
        error_action=row["error_action"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
    )
    return JobEvent(
        id=row["id"],
        job_id=row["job_id"],
        status=Status(row["status"]),
        stage=Stage(row["stage"]) if row["stage"] is not None else None,
        progress_percentage=row["progress_percentage"],
        message=row["message"],
        timestamp=row["timestamp"],
        job=job,
    )
