"""Typed functions over the queries of jobs as their owners see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.core.jobs import Status
from app.core.listing import JobOrder
from app.core.models import Job, StatusUpdate, build
from app.db.files import FILES
from app.db.queries import Connection, Executor, containing, load

JOBS = load("jobs")


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file in its place in a job. `name` is its name there, `shown_name` the one it was given by its owner."""

    job_id: UUID
    file_id: int
    role: str
    name: str
    position: int
    shown_name: str
    size_bytes: int
    sha256: str | None
    content_type: str
    created_at: datetime


_read_files = msgspec.json.Decoder(list[PlacedFile]).decode


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its input files."""

    job: Job
    inputs: list[PlacedFile]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which of a user's jobs are meant; None means all. `since` belongs to the time meant, `until` does not."""

    statuses: tuple[str, ...] | None = None
    service_id: int | None = None
    since: datetime | None = None
    text: str | None = None
    batch_id: UUID | None = None
    until: datetime | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of queries, without the statuses."""
        return {
            "service_id": self.service_id,
            "since": self.since,
            "until": self.until,
            "pattern": None if self.text is None else containing(self.text),
            "batch_id": self.batch_id,
        }


async def find_own_job(db: Executor, job_id: UUID, user_id: int) -> Job | None:
    """Give a job of a user's, or None."""
    row = await JOBS.get_own_job.row(db, job_id=job_id, user_id=user_id)
    return build(Job, row) if row is not None else None


async def find_own_details(
    db: Executor, asked: Sequence[tuple[UUID, int]]
) -> list[JobDetail | None]:
    """Give jobs with their input files, in one round trip, for pairs of a job and the user who asks; None where it is not his."""
    rows = await JOBS.list_own_details.rows(
        db, job_ids=[job_id for job_id, _ in asked], user_ids=[user_id for _, user_id in asked]
    )
    found: list[JobDetail | None] = [None] * len(asked)
    for row in rows:
        inputs = _read_files(row["inputs"]) if row["inputs"] else []
        found[row["place"] - 1] = JobDetail(build(Job, row), inputs)
    return found


async def list_own_jobs(
    db: Executor,
    user_id: int,
    wanted: JobFilter,
    *,
    order: JobOrder,
    now: datetime,
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """Give a page of a user's jobs and the number of all."""
    rows = await JOBS.list_jobs.rows(
        db,
        user_id=user_id,
        statuses=None if wanted.statuses is None else list(wanted.statuses),
        **wanted.values,
        order=order,
        now=now,
        limit=limit,
        offset=offset,
    )
    counts = await count_own_jobs(db, user_id, wanted)
    return [build(Job, row) for row in rows], total_of(counts, wanted)


async def count_own_jobs(db: Executor, user_id: int, wanted: JobFilter) -> dict[Status, int]:
    """Give how many of a user's jobs that are meant, whatever their status, have which status."""
    if any(value is not None for value in wanted.values.values()):
        rows = await JOBS.count_jobs.rows(db, user_id=user_id, **wanted.values)
    else:
        rows = await JOBS.count_all.rows(db, user_id=user_id)
    return {Status(row["status"]): row["jobs"] for row in rows}


def total_of(counts: dict[Status, int], wanted: JobFilter) -> int:
    """Give how many of those counted have a status that is meant."""
    return sum(
        jobs
        for status, jobs in counts.items()
        if wanted.statuses is None or status in wanted.statuses
    )


async def list_placed_files(
    db: Executor, job_ids: Sequence[UUID], role: str | None = None
) -> list[PlacedFile]:
    """Give the files of some jobs, in order."""
    rows = await FILES.list_job_files.rows(db, job_ids=list(job_ids), role=role)
    return [build(PlacedFile, row) for row in rows]


async def with_inputs(db: Executor, jobs: Sequence[Job]) -> list[JobDetail]:
    """Give jobs with their input files, in the same order."""
    inputs: dict[UUID, list[PlacedFile]] = {job.id: [] for job in jobs}
    for file in await list_placed_files(db, list(inputs), "input"):
        inputs[file.job_id].append(file)
    return [JobDetail(job, inputs[job.id]) for job in jobs]


async def list_updates(
    db: Executor, job_id: UUID, *, limit: int, offset: int
) -> tuple[list[StatusUpdate], int]:
    """Give a page of a job's changes, newest first, and the number of all."""
    rows = await JOBS.list_status_updates.rows(db, job_id=job_id, limit=limit, offset=offset)
    total = await JOBS.count_status_updates.value(db, job_id=job_id)
    return [build(StatusUpdate, row) for row in rows], int(total)


async def ensure_account(conn: Connection, service_id: int, user_id: int | None) -> int:
    """Give the account at a service; without user the shared one."""
    for _ in range(2):  # the second look sees what somebody else inserted at the same time
        found = await JOBS.ensure_account.value(conn, service_id=service_id, user_id=user_id)
        if found is not None:
            return int(found)
    raise LookupError("the account vanished while it was being made")
