"""Batches as clients see them."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.core.batches import BatchStatus
from app.core.jobs import Status
from app.db.batches import BatchDetail, BatchSummary
from app.routes.api.job_views import JobOut


class BatchSummaryOut(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. `status` follows from its jobs, `counts` says how many have which status."""

    id: UUID
    user_id: int
    name: str
    description: str
    status: BatchStatus
    counts: dict[str, int]
    job_count: int
    retry_of: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, summary: BatchSummary) -> "BatchSummaryOut":
        """Show a batch without its jobs."""
        return cls(**_own(summary))


class BatchOut(msgspec.Struct, frozen=True, kw_only=True):
    """A batch with its jobs, in the order of its targets. `status` follows from them."""

    id: UUID
    user_id: int
    name: str
    description: str
    status: BatchStatus
    counts: dict[str, int]
    job_count: int
    retry_of: UUID | None
    created_at: datetime
    jobs: list[JobOut]

    @classmethod
    def of(cls, detail: BatchDetail, now: datetime) -> "BatchOut":
        """Show a batch as it is `now`."""
        return cls(**_own(detail.summary), jobs=[JobOut.of(job, now) for job in detail.jobs])


class BatchCancelOut(msgspec.Struct, frozen=True, kw_only=True):
    """The request was taken for these jobs; each ends when its service has confirmed."""

    message: str
    batch_id: UUID
    job_ids: list[UUID]


def _own(summary: BatchSummary) -> dict[str, Any]:
    batch = summary.batch
    return {
        "id": batch.id,
        "user_id": batch.user_id,
        "name": batch.name,
        "description": batch.description,
        "status": summary.status,
        "counts": {str(status): summary.counts.get(status, 0) for status in Status},
        "job_count": sum(summary.counts.values()),
        "retry_of": batch.retry_of,
        "created_at": batch.created_at,
    }
