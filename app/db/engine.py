"""Typed functions over the engine's queries that return records of ours; the rest is called by name where it is used."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.models import Job, JobFile, build
from app.db.queries import Executor, load

ENGINE = load("engine")


async def find_job(db: Executor, job_id: UUID) -> Job | None:
    """Give a job, or None."""
    row = await ENGINE.get_job.row(db, job_id=job_id)
    return row and build(Job, row)


async def write_job(db: Executor, job: Job, patch: dict[str, Any]) -> Job | None:
    """Change a job that still has the status and step of `job`; None when somebody else moved it."""
    row = await ENGINE.write_job.row(
        db, job_id=job.id, old_status=job.status, step_number=job.step_number, patch=patch
    )
    return row and build(Job, row)


async def claim_step(
    db: Executor, job_id: UUID, action: str, owner: str, now: datetime, until: datetime
) -> Job | None:
    """Take a due step in hand; None when it is not due (any longer) or somebody has it."""
    row = await ENGINE.claim_step.row(
        db, job_id=job_id, action=action, owner=owner, now=now, lease_until=until
    )
    return row and build(Job, row)


async def claim_submission(
    db: Executor, account_id: int, slots: int | None, owner: str, now: datetime, until: datetime
) -> Job | None:
    """Take the account's best due submission in hand, with a slot; None when there is none."""
    row = await ENGINE.claim_submission.row(
        db, account_id=account_id, slots=slots, owner=owner, now=now, lease_until=until
    )
    return row and build(Job, row)


async def list_polled(db: Executor, account_id: int) -> list[Job]:
    """Give an account's jobs that are at the remote."""
    return [build(Job, row) for row in await ENGINE.list_polled.rows(db, account_id=account_id)]


async def list_input_files(db: Executor, job_id: UUID) -> list[JobFile]:
    """Give a job's input files in their order."""
    return [build(JobFile, row) for row in await ENGINE.list_input_files.rows(db, job_id=job_id)]
