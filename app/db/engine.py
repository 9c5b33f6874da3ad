"""Typed functions over the engine's queries that return records of ours; the rest is called by name where it is used."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.models import Job, JobFile, build
from app.db.queries import Executor, load

ENGINE = load("engine")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose quota a remote job uses: one user's account at a service, or (without user) the shared one.

    `mark` is when it was last woken: a step that finds another one later was woken meanwhile.
    """

    id: int
    service_id: int
    user_id: int | None
    mark: datetime

    @property
    def is_shared(self) -> bool:
        return self.user_id is None


async def get_account(db: Executor, account_id: int) -> Account:
    """Give an account that a job refers to; it exists as long as the job does."""
    row = await ENGINE.get_account.row(db, account_id=account_id)
    if row is None:
        raise LookupError(f"account {account_id} has vanished under its jobs")
    return Account(row["id"], row["service_id"], row["user_id"], row["next_poll_at"])


async def find_job(db: Executor, job_id: UUID) -> Job | None:
    """Give a job, or None."""
    row = await ENGINE.get_job.row(db, job_id=job_id)
    return row and build(Job, row)


async def write_job(
    db: Executor, job: Job, patch: dict[str, Any], *, seen: datetime | None = None
) -> Job | None:
    """Change a job that still has the status and step of `job`; None when somebody else moved it.

    With `seen` (its `updated_at`), nothing at all may have been written to it since.
    """
    row = await ENGINE.write_job.row(
        db,
        job_id=job.id,
        old_status=job.status,
        step_number=job.step_number,
        seen=seen,
        patch=patch,
    )
    return row and build(Job, row)


async def claim_step(
    db: Executor,
    job_id: UUID,
    action: str,
    *,
    owner: str,
    now: datetime,
    until: datetime,
    per_service: int,
) -> Job | None:
    """Take a due step in hand; None when it is not due (any longer), somebody has it, or its service has enough to do."""
    row = await ENGINE.claim_step.row(
        db,
        job_id=job_id,
        action=action,
        owner=owner,
        now=now,
        lease_until=until,
        per_service=per_service,
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
