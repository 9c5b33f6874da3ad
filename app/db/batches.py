"""Typed functions over the queries of batches."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.batches import BatchStatus, seen_in, status_of
from app.core.jobs import Status
from app.core.models import Batch, Job, build
from app.db.jobs import JobDetail
from app.db.queries import Executor, containing, load

BATCHES = load("batches")


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A batch with how many of its jobs have which status."""

    batch: Batch
    counts: dict[Status, int]

    @property
    def status(self) -> BatchStatus:
        return status_of(self.counts)


@dataclass(frozen=True, slots=True)
class BatchDetail:
    """A batch with its jobs, in the order of its targets."""

    batch: Batch
    jobs: list[JobDetail]

    @property
    def summary(self) -> BatchSummary:
        return BatchSummary(self.batch, dict(Counter(detail.job.status for detail in self.jobs)))


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which of a user's batches are meant; None means all."""

    statuses: tuple[BatchStatus, ...] | None = None
    text: str | None = None


async def find_own_batch(db: Executor, batch_id: UUID, user_id: int) -> Batch | None:
    """Give a batch of a user's, or None."""
    row = await BATCHES.get_own_batch.row(db, batch_id=batch_id, user_id=user_id)
    return build(Batch, row) if row is not None else None


async def list_jobs_of(db: Executor, batch_id: UUID) -> list[Job]:
    """Give the jobs of a batch, in the order of its targets."""
    return [build(Job, row) for row in await BATCHES.list_jobs.rows(db, batch_id=batch_id)]


async def list_own_batches(
    db: Executor, user_id: int, wanted: BatchFilter, *, limit: int, offset: int
) -> tuple[list[BatchSummary], int]:
    """Give a page of a user's batches, newest first, and the number of all."""
    values: dict[str, Any] = {
        "user_id": user_id,
        "seen": None if wanted.statuses is None else seen_in(wanted.statuses),
        "pattern": None if wanted.text is None else containing(wanted.text),
    }
    rows = await BATCHES.list_batches.rows(db, **values, limit=limit, offset=offset)
    total = await BATCHES.count_batches.value(db, **values)
    found = [
        BatchSummary(
            build(Batch, row),
            {Status(status): jobs for status, jobs in (row["counts"] or {}).items()},
        )
        for row in rows
    ]
    return found, int(total)
