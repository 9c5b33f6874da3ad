"""Stopping a job, here and at the remote. An unreachable remote leaves the job open with `cancel_requested_at`."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import structlog

from app.adapters.base import AdapterError, CredentialRejected, Rejected
from app.core.changes import Change, cancelled, observe
from app.core.errors import Conflict, NoCredentials, NotFound
from app.core.jobs import Action, Stage, Status, unchanged
from app.core.models import Job, build
from app.core.remote import RemoteState
from app.db.engine import ENGINE, claim_step, find_job
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds, record
from app.usecases.engine.leases import LeaseLost, step_lease
from app.usecases.engine.recovery import SEARCHES_NEEDED, find_remote_job
from app.usecases.engine.remote import Remote, open_remote, retry_at

log = structlog.get_logger(__name__)

CONFIRM_EVERY_S = 5.0


async def request_cancel(deps: Deps, job_id: UUID) -> Job:
    """Note that the owner wants the job stopped; stop it at once where nothing was sent yet.

    Raises NotFound, and Conflict when the job has ended. The caller has checked whose job it is.
    """
    now = deps.now()
    async with deps.pool.acquire() as conn, conn.transaction():
        row = await ENGINE.request_cancel.row(conn, job_id=job_id, now=now)
        if row is None:
            ended = await find_job(conn, job_id)
            if ended is None:
                raise NotFound("There is no such job")
            raise Conflict(f"The job has already ended: it is {ended.status}", code="job_is_final")
        job = build(Job, row)
        in_hand = row["lease_until"] is not None and row["lease_until"] > now
        if job.external_job_id is None and job.intent_at is None and not in_hand:
            stopped = await record(
                deps, conn, job, cancelled("Job cancelled before it was submitted")
            )
            job = stopped or job
        else:
            said = Change(
                unchanged(job.status), "Job cancellation initiated", Stage.CANCELLING, release=False
            )
            job = await record(deps, conn, job, said) or job
    if job.status is Status.CANCELLED:
        await deps.enqueue("deliver_mail", key="mail")
        await deps.enqueue("submit_next", job.account_id, key=f"slot:{job.id}")
    else:
        await deps.enqueue("cancel", str(job.id), key=f"cancel:{job.id}:{job.step_number}")
    return job


async def cancel(deps: Deps, job_id: UUID) -> None:
    """Take one step towards stopping a job that may be at the remote."""
    now = deps.now()
    until = now + timedelta(seconds=deps.settings.lease_s)
    job = await claim_step(deps.pool, job_id, Action.CANCEL, deps.owner, now, until)
    if job is None:
        return
    try:
        async with step_lease(deps, job):
            await apply(deps, job, await _stop(deps, job))
    except LeaseLost:
        log.warning("engine.lease_lost", job_id=str(job.id))


async def _stop(deps: Deps, job: Job) -> Change:
    if job.outcome is not None or (job.external_job_id is None and job.intent_at is None):
        return cancelled("Job cancelled")
    try:
        remote = await open_remote(deps, job)
        if job.external_job_id is None:
            return await _find_and_stop(deps, job, remote)
        return await _stop_remote(deps, job, remote, job.external_job_id)
    except NoCredentials as error:
        return _again(deps, job, f"The remote job cannot be stopped: {error.message}", 60.0)
    except CredentialRejected as error:
        said = f"The remote job cannot be stopped: the credential is not accepted ({error.reason})"
        return _again(deps, job, said, 300.0)
    except AdapterError as error:
        failures = job.failures + 1
        said = f"The service could not be asked to stop the job ({error.reason}); it is asked again"
        change = _again(deps, job, said, 0.0)
        at = retry_at(deps, failures)
        return replace(change, fields={**change.fields, "failures": failures, "next_action_at": at})


async def _find_and_stop(deps: Deps, job: Job, remote: Remote) -> Change:
    """The submission had no clear end: what cannot be found (twice) need not be stopped."""
    found = await find_remote_job(job, remote)
    if found is not None:
        change = _again(deps, job, None, 0.0)
        return replace(change, fields={**change.fields, "external_job_id": found})
    if job.searches + 1 >= SEARCHES_NEEDED:
        return cancelled("Job cancelled; the service does not have it")
    change = _again(deps, job, None, deps.settings.recovery_wait_s)
    return replace(change, fields={**change.fields, "searches": job.searches + 1})


async def _stop_remote(deps: Deps, job: Job, remote: Remote, external_id: str) -> Change:
    """Ask, then look: the answer to a cancel call says only that it was taken."""
    try:
        await remote.adapter.cancel(external_id)
    except Rejected as error:
        log.info("engine.cancel_refused", job_id=str(job.id), reason=error.reason)
    status = await remote.adapter.status(external_id)
    if status.state is RemoteState.SUCCEEDED:
        return cancelled(
            f"Job cancelled; {remote.name} had already finished it, its results were not fetched"
        )
    if status.state in (RemoteState.CANCELLED, RemoteState.FAILED, RemoteState.GONE):
        settle = timedelta(seconds=deps.settings.settle_wait_s)
        return observe(job, status, remote.name, deps.now(), settle) or cancelled("Job cancelled")
    return _again(deps, job, None, min(CONFIRM_EVERY_S, deps.settings.settle_wait_s))


def _again(deps: Deps, job: Job, message: str | None, wait_s: float) -> Change:
    """Try to stop it again after a while; the job stays open."""
    said = None if message is None or message == job.hold_reason else message
    fields = {
        "hold_reason": message,
        "next_action": Action.CANCEL,
        "next_action_at": in_seconds(deps, wait_s),
    }
    return Change(unchanged(job.status), said, Stage.CANCELLING, fields=fields)
