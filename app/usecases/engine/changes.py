"""The one way in which a job is written: compare-and-set, its status update and its notices, in one transaction."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from app.core.changes import Change
from app.core.jobs import TERMINAL, Status, advance
from app.core.models import Job
from app.db.engine import ENGINE, write_job
from app.db.queries import Connection
from app.usecases.deps import Deps
from app.usecases.notices import announce


async def record(
    deps: Deps, conn: Connection, job: Job, change: Change, *, seen: datetime | None = None
) -> Job | None:
    """Write a change inside the caller's transaction; None when somebody else moved the job: reload and decide once more.

    A step that has the job in hand is fenced by its number; whoever has not gives the row's `updated_at` as `seen`.
    Raises InvalidTransition when the change does not apply to the status of `job`.
    """
    now = deps.now()
    patch = _patch(job, change, now)
    if change.mark is not None:
        mark = await ENGINE.hold_wake_mark.value(conn, account_id=job.account_id)
        if mark != change.mark:
            patch["next_action_at"] = now
    written = await write_job(conn, job, msgspec.to_builtins(patch), seen=seen)
    if written is None:
        return None
    if change.message is not None:
        await ENGINE.insert_status_update.value(
            conn,
            job_id=job.id,
            user_id=job.user_id,
            status=written.status,
            stage=written.stage,
            progress_percentage=written.progress_percentage,
            message=change.message,
        )
    for event in change.notices:
        await announce(conn, written, event, settings=deps.settings, now=now)
    if job.has_slot and not written.has_slot:
        await ENGINE.wake_submissions.run(conn, account_id=job.account_id, now=now)
    if written.is_final:
        await ENGINE.revoke_remote_links.run(conn, job_id=job.id, now=now)
    return written


def _patch(job: Job, change: Change, now: datetime) -> dict[str, Any]:
    """Give the columns that a change writes."""
    status = advance(job.status, change.event)
    patch: dict[str, Any] = {
        "status": status,
        "stage": change.stage,
        "progress_percentage": max(job.progress_percentage, change.progress),
        **change.fields,
    }
    if change.release:
        patch |= {"lease_owner": None, "lease_until": None}
    if status in TERMINAL:
        patch |= {
            "next_action": None,
            "next_action_at": None,
            "completed_at": now,
            "stage": None,
            "hold_reason": None,
            "queue_position": None,
            "has_slot": False,
        }
        if status is Status.COMPLETED:
            patch["progress_percentage"] = 100
    return patch


async def apply(
    deps: Deps,
    job: Job,
    change: Change,
    *,
    seen: datetime | None = None,
    is_seen_again: bool = False,
) -> Job | None:
    """Write a change in a transaction of its own; None when somebody else moved the job. `seen` as in `record`.

    `is_seen_again` says that the next look would bring it once more: then the commit does not wait for the disk, which many
    commits that tell owners would do one after another.
    """
    async with deps.pool.acquire() as conn, conn.transaction():
        if is_seen_again:
            await ENGINE.commit_without_waiting.value(conn)
        written = await record(deps, conn, job, change, seen=seen)
    if written is not None:
        await hand_on(deps, job, written, change)
    return written


async def hand_on(deps: Deps, job: Job, written: Job, change: Change) -> None:
    """After the commit, hand over what a change made due."""
    if change.notices:
        await deps.enqueue("deliver_mail", key="mail")
    if job.has_slot and not written.has_slot:
        await deps.enqueue("submit_next", job.account_id, key=f"slot:{job.id}")


def in_seconds(deps: Deps, seconds: float) -> datetime:
    """Give the time that is `seconds` from now."""
    return deps.now() + timedelta(seconds=seconds)
