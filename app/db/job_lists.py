"""Typed functions over the queries of lists of jobs: rows with what is shown, and no more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.jobs import TERMINAL, Stage, Status
from app.core.listing import JobOrder
from app.core.models import build
from app.db.jobs import JOBS, JobFilter
from app.db.queries import Executor


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as a list shows it; `input_name` is its first input file, where that is still stored."""

    id: UUID
    name: str
    status: Status
    stage: Stage | None
    hold_reason: str | None
    progress_percentage: int
    service_id: int
    service_name: str
    panel_name: str
    batch_id: UUID | None
    batch_name: str | None
    retry_of: UUID | None
    input_name: str | None
    input_count: int
    queue_position: int | None
    error_message: str | None
    error_action: str | None
    results_file_id: int | None
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None

    @property
    def is_final(self) -> bool:
        return self.status in TERMINAL

    def ran_s(self, now: datetime) -> float | None:
        """Give the seconds since a worker took it, until it ended; None before that."""
        if self.started_at is None:
            return None
        return max(0.0, ((self.completed_at or now) - self.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class PartingResults:
    """Results that will be deleted."""

    id: UUID
    name: str
    expires_at: datetime
    size_bytes: int


async def list_rows(
    db: Executor,
    user_id: int,
    wanted: JobFilter,
    *,
    order: JobOrder,
    now: datetime,
    limit: int,
    offset: int,
) -> list[JobRow]:
    """Give a page of a user's jobs."""
    rows = await JOBS.list_rows.rows(
        db,
        user_id=user_id,
        statuses=None if wanted.statuses is None else list(wanted.statuses),
        **wanted.values,
        order=order,
        now=now,
        limit=limit,
        offset=offset,
    )
    return [build(JobRow, row) for row in rows]


async def find_row(db: Executor, user_id: int, job_id: UUID) -> JobRow | None:
    """Give one job of a user's, or None."""
    row = await JOBS.get_row.row(db, user_id=user_id, job_id=job_id)
    return build(JobRow, row) if row is not None else None


async def list_rows_by_id(
    db: Executor, user_id: int, job_ids: Sequence[UUID]
) -> dict[UUID, JobRow]:
    """Give those of some jobs that are a user's."""
    rows = await JOBS.list_rows_by_id.rows(db, user_id=user_id, ids=list(job_ids))
    return {row["id"]: build(JobRow, row) for row in rows}


async def list_finished(db: Executor, user_id: int, limit: int) -> list[JobRow]:
    """Give the jobs of a user's that ended last."""
    rows = await JOBS.list_finished.rows(db, user_id=user_id, limit=limit)
    return [build(JobRow, row) for row in rows]


async def list_held(
    db: Executor, user_id: int, stages: Iterable[Stage], limit: int
) -> list[JobRow]:
    """Give the jobs of a user's that stand at one of these stages, the oldest first."""
    rows = await JOBS.list_held.rows(db, user_id=user_id, stages=list(stages), limit=limit)
    return [build(JobRow, row) for row in rows]


async def list_unseen_failures(
    db: Executor, user_id: int, since: datetime, limit: int
) -> list[JobRow]:
    """Give the jobs of a user's that failed since, whose notice was not read and which were not tried again."""
    rows = await JOBS.list_unseen_failures.rows(db, user_id=user_id, since=since, limit=limit)
    return [build(JobRow, row) for row in rows]


async def list_parting(
    db: Executor, user_id: int, now: datetime, until: datetime, limit: int
) -> list[PartingResults]:
    """Give the results of a user's that are deleted before a time, the first to go first."""
    rows = await JOBS.list_parting.rows(db, user_id=user_id, now=now, until=until, limit=limit)
    return [build(PartingResults, row) for row in rows]
