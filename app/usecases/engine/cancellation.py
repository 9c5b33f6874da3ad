"""Stopping a job, here and at the remote. An unreachable remote leaves the job open with `cancel_requested_at`."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import structlog

from app.adapters.base import AdapterError, CredentialRejected, Rejected, RemoteNotFound
from app.core.changes import Change, cancelled, observe
from app.core.errors import Conflict, NoCredentials, NotFound
from app.core.jobs import Action, Stage, Status, unchanged
from app.core.models import Job, build
from app.core.remote import RemoteState
from app.core.searching import Verdict
from app.db.engine import ENGINE, claim_step, find_job, get_account
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, hand_on, in_seconds, record
from app.usecases.engine.leases import guarded_step
from app.usecases.engine.recovery import look_for
from app.usecases.engine.remote import Remote, open_remote, retry_at

log = structlog.get_logger(__name__)

CONFIRM_EVERY_S = 5.0
CONFIRM_AT_LEAST_EVERY_S = 120.0
GIVES_UP_AFTER = timedelta(days=7)
"""A remote that could not be asked for so long is not waited for any longer: nobody could ever get rid of the job."""


async def request_cancel(deps: Deps, job_id: UUID) -> Job:
    """Note that the owner wants the job stopped; stop it at once where nothing was sent yet. Asking twice changes nothing.

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
        change = _request(job, is_first=job.cancel_requested_at == now, in_hand=in_hand)
        written = await record(deps, conn, job, change) if change is not None else None
    if change is not None and written is not None:
        await hand_on(deps, job, written, change)
    final = written or job
    if final.status is not Status.CANCELLED:
        await deps.enqueue("cancel", str(job.id), key=f"cancel:{job.id}:{job.step_number}")
    return final


def _request(job: Job, *, is_first: bool, in_hand: bool) -> Change | None:
    if job.external_job_id is None and job.intent_at is None and not in_hand:
        return cancelled("Job cancelled before it was submitted")
    if not is_first:
        return None
    return Change(
        unchanged(job.status), "Job cancellation initiated", Stage.CANCELLING, release=False
    )


async def cancel(deps: Deps, job_id: UUID) -> None:
    """Take one step towards stopping a job that may be at the remote."""
    now = deps.now()
    job = await claim_step(
        deps.pool,
        job_id,
        Action.CANCEL,
        owner=deps.owner,
        now=now,
        until=now + timedelta(seconds=deps.settings.lease_s),
        per_service=deps.settings.service_max_steps,
    )
    if job is None:
        return
    async with guarded_step(deps, job):
        await apply(deps, job, await _stop(deps, job))


async def _stop(deps: Deps, job: Job) -> Change:
    if job.outcome is not None or (job.external_job_id is None and job.intent_at is None):
        return cancelled("Job cancelled")
    account = await get_account(deps.pool, job.account_id)
    try:
        remote = await open_remote(deps, job, account)
        if job.external_job_id is None:
            return await _find_and_stop(deps, job, remote)
        return await _stop_remote(deps, job, remote, job.external_job_id)
    except NoCredentials as error:
        return _not_now(deps, job, f"The remote job cannot be stopped: {error.message}")
    except CredentialRejected as error:
        said = f"The remote job cannot be stopped: the credential is not accepted ({error.reason})"
        return _not_now(deps, job, said)
    except AdapterError as error:
        said = f"The service could not be asked to stop the job ({error.reason}); it is asked again"
        return _not_now(deps, job, said)


def _not_now(deps: Deps, job: Job, said: str) -> Change:
    """Try again later and later: for days, not for ever."""
    since = job.cancel_requested_at
    if since is not None and deps.now() - since > GIVES_UP_AFTER:
        return cancelled(
            "Job cancelled here only: its service could not be asked to stop it for a week, and may have run it"
        )
    failures = job.failures + 1
    change = _again(deps, job, said, 0.0)
    at = retry_at(deps, failures)
    return replace(change, fields={**change.fields, "failures": failures, "next_action_at": at})


async def _find_and_stop(deps: Deps, job: Job, remote: Remote) -> Change:
    """The submission had no clear end: what cannot be found (a few times) need not be stopped, or cannot be."""
    found, searched = await look_for(job, remote)
    if found is not None:
        change = _again(deps, job, None, 0.0)
        return replace(change, fields={**change.fields, "external_job_id": found.remote_id})
    if searched.verdict is Verdict.SEND_AGAIN:
        return cancelled("Job cancelled; the service does not have it")
    if searched.verdict is Verdict.ASK_OWNER:
        return cancelled(
            f"Job cancelled here; it may still run at {remote.name}, which cannot show all its runs: its results are dropped"
        )
    change = _again(deps, job, None, deps.settings.recovery_wait_s)
    counts = {"searches": searched.searches, "doubts": searched.doubts}
    return replace(change, fields={**change.fields, **counts})


async def _stop_remote(deps: Deps, job: Job, remote: Remote, external_id: str) -> Change:
    """Ask, then look: the answer to a cancel call says only that it was taken, or not."""
    try:
        await remote.adapter.cancel(external_id)
    except (Rejected, RemoteNotFound) as error:
        log.info("engine.cancel_refused", job_id=str(job.id), reason=error.reason)
    taken_at = job.cancel_taken_at or deps.now()
    status = await remote.adapter.status(external_id)
    match status.state:
        case RemoteState.SUCCEEDED:
            return cancelled(
                f"Job cancelled; {remote.name} had already finished it, its results were not fetched"
            )
        case RemoteState.DEAD:
            return cancelled(f"Job cancelled; {remote.name} was restarted and no longer runs it")
        case RemoteState.CANCELLED | RemoteState.FAILED | RemoteState.GONE:
            settle = timedelta(seconds=deps.settings.settle_wait_s)
            change = observe(job, status, remote.name, deps.now(), settle)
            return change or cancelled("Job cancelled")
        case _ if (
            deps.now() - taken_at
        ).total_seconds() >= remote.adapter.capabilities.cancel_wait_s:
            return cancelled(_left_alone(remote.name, status.state))
        case _:
            change = _again(deps, job, None, _confirm_in_s(deps, job))
            return replace(change, fields={**change.fields, "cancel_taken_at": taken_at})


def _left_alone(service: str, state: RemoteState) -> str:
    if state is RemoteState.MISSING:
        return f"Job cancelled here; {service} does not know it"
    return (
        f"Job cancelled here; {service} was asked to stop it and goes on: its results are dropped"
    )


def _confirm_in_s(deps: Deps, job: Job) -> float:
    """Give the wait until the remote is asked again: half as long as it has taken so far, for a job that takes its time to stop."""
    taken_s = (deps.now() - (job.cancel_requested_at or deps.now())).total_seconds()
    shortest = min(CONFIRM_EVERY_S, deps.settings.settle_wait_s)
    return min(CONFIRM_AT_LEAST_EVERY_S, max(shortest, taken_s / 2))


def _again(deps: Deps, job: Job, message: str | None, wait_s: float) -> Change:
    """Try to stop it again after a while; the job stays open."""
    said = None if message is None or message == job.hold_reason else message
    fields = {
        "hold_reason": message,
        "failures": 0,
        "next_action": Action.CANCEL,
        "next_action_at": in_seconds(deps, wait_s),
    }
    return Change(unchanged(job.status), said, Stage.CANCELLING, fields=fields)
