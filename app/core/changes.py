"""A change in a job's life, and how what the remote says becomes one. Pure: the clock is an argument.

A `Change` says what happened (`event`), what the owner reads (`message`; None writes no status update), and which
columns of the job it touches (`fields`). The engine writes it by compare-and-set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.core.failures import explain
from app.core.jobs import Action, Event, Stage, Status
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState, RemoteStatus

SUBMITTED_PROGRESS = 10
COLLECT_PROGRESS = 90
_STOPPED = (RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `fields` are columns of `imputation_jobs`; `release` gives the lease back with it."""

    event: Event
    message: str | None = None
    stage: Stage | None = None
    progress: int = 0
    fields: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[NoticeEvent, ...] = ()
    release: bool = True


def remote_progress(share: float | None) -> int:
    """Map a share 0..1 of the remote work to the 10..90 that it has in the job's progress; untold gives 0 («no news»)."""
    if share is None:
        return 0
    span = COLLECT_PROGRESS - SUBMITTED_PROGRESS
    return SUBMITTED_PROGRESS + int(max(0.0, min(1.0, share)) * span)


def hold(
    stage: Stage,
    reason: str,
    at: datetime | None,
    *,
    action: Action = Action.SUBMIT,
    **fields: object,
) -> Change:
    """Let a job that is not at the remote yet wait until `at` (None: until somebody wakes it), and say why."""
    values = {"hold_reason": reason, "next_action": action, "next_action_at": at, **fields}
    return Change(Event.HOLD, reason, stage, fields=values)


def fail(code: str, message: str, action: str | None) -> Change:
    """End a job without results."""
    values = {"error_code": code, "error_message": message, "error_action": action}
    return Change(Event.FAIL, message, fields=values, notices=(NoticeEvent.JOB_FAILED,))


def cancelled(message: str) -> Change:
    """End a job because somebody asked for it."""
    return Change(Event.CANCEL, message, notices=(NoticeEvent.JOB_CANCELLED,))


def observe(
    job: Job, remote: RemoteStatus, service: str, now: datetime, settle: timedelta
) -> Change | None:
    """Give what a look at the remote changes, or None when it taught nothing.

    `service` is the service's name, `settle` the wait between the remote's «done» and the first look at its results.
    """
    if job.cancel_requested_at is not None and remote.state in _STOPPED:
        return cancelled(f"Job cancelled at {service}")
    match remote.state:
        case RemoteState.WAITING:
            return _waiting(job, remote, service)
        case RemoteState.RUNNING:
            return _running(job, remote)
        case RemoteState.SUCCEEDED:
            return _done(
                remote,
                "completed",
                f"{service} has finished; fetching the results",
                now + settle,
            )
        case RemoteState.FAILED:
            return _failed(job, remote, service, now + settle)
        case RemoteState.CANCELLED:
            return cancelled(f"Job cancelled at {service}, not by this platform")
        case RemoteState.GONE:
            return fail(
                "results_gone",
                f"{service} no longer has this job: it was deleted or its results expired",
                "Press retry to submit it again; the input is still stored here.",
            )
        case RemoteState.DEAD:
            return _dead(job, remote, service)
        case RemoteState.UNKNOWN:
            return None


def _waiting(job: Job, remote: RemoteStatus, service: str) -> Change | None:
    late = job.notified_waiting_at is not None
    stage = Stage.WAITING_TOO_LONG if late else Stage.REMOTE_QUEUE
    seen = (job.status, job.stage, job.queue_position)
    if seen == (Status.QUEUED, stage, remote.queue_position) and (late or job.hold_reason is None):
        return None
    place = "" if remote.queue_position is None else f", {remote.queue_position} ahead"
    fields = {
        "queue_position": remote.queue_position,
        "remote_state": remote.raw,
        **({} if late else {"hold_reason": None}),
    }
    return Change(
        Event.REMOTE_QUEUED,
        f"Job in progress: waiting in the queue of {service}{place}",
        stage,
        fields=fields,
    )


def _running(job: Job, remote: RemoteStatus) -> Change | None:
    progress = remote_progress(remote.progress)
    step = remote.step or job.remote_step
    same = (
        job.status is Status.RUNNING
        and job.stage is Stage.REMOTE_RUNNING
        and job.hold_reason is None
    )
    if same and progress <= job.progress_percentage and step == job.remote_step:
        return None
    fields = {
        "queue_position": None,
        "remote_state": remote.raw,
        "remote_step": step,
        "hold_reason": None,
    }
    return Change(
        Event.REMOTE_RUNNING,
        f"Job in progress: {step or 'running'}",
        Stage.REMOTE_RUNNING,
        progress,
        fields,
        (NoticeEvent.JOB_RUNNING,),
    )


def _done(remote: RemoteStatus, outcome: str, message: str, at: datetime) -> Change:
    fields = {
        "queue_position": None,
        "remote_state": remote.raw,
        "hold_reason": None,
        "outcome": outcome,
        "results_expire_at": remote.results_expire_at,
        "next_action": Action.COLLECT,
        "next_action_at": at,
        "failures": 0,
        "has_slot": False,
    }
    notices = (NoticeEvent.JOB_RUNNING,) if outcome == "completed" else ()
    return Change(Event.COLLECT, message, Stage.DOWNLOADING, COLLECT_PROGRESS, fields, notices)


def _failed(job: Job, remote: RemoteStatus, service: str, at: datetime) -> Change:
    reason = remote.reason or "it gave no reason"
    told = explain(reason)
    change = _done(
        remote, "failed", f"{service} could not finish the job; fetching its reports", at
    )
    fields = {
        **change.fields,
        "error_code": told.code,
        "error_message": f"{service}: {reason}",
        "error_action": told.action,
    }
    return Change(change.event, change.message, change.stage, job.progress_percentage, fields)


def _dead(job: Job, remote: RemoteStatus, service: str) -> Change | None:
    if job.stage is Stage.REMOTE_DEAD:
        return None
    reason = f"{service} was restarted while the job was there; it was asked to start it again"
    fields = {"remote_state": remote.raw, "hold_reason": reason}
    return Change(Event.REMOTE_QUEUED, reason, Stage.REMOTE_DEAD, fields=fields)
