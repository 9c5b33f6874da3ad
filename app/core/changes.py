"""A change in a job's life, and how what the remote says becomes one. Pure: the clock is an argument.

A `Change` says what happened (`event`), what the owner reads (`message`; None writes no status update), and which
columns of the job it touches (`fields`). The engine writes it by compare-and-set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from app.core.failures import explain
from app.core.jobs import Action, Event, Stage, Status, unchanged
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState, RemoteStatus

SUBMITTED_PROGRESS = 10
COLLECT_PROGRESS = 90
WAITS_LONG = (
    "The job has waited longer than expected; it goes on waiting."
    " You can cancel it and choose another service"
)
LOST_AFTER = timedelta(minutes=15)
"""Unless its kind of service says something else: so long a job may be missing at the service before it is lost."""
MISSING_TOLD_AFTER = timedelta(minutes=5)
_LOOKED_FOR = "; it is looked for again before it counts as lost"
_STOPPED = (RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE)


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `fields` are columns of `imputation_jobs`; `release` gives the lease back with it.

    `mark` is when the job's account had last been woken as the step began: was it woken since, what follows is due at once.
    """

    event: Event
    message: str | None = None
    stage: Stage | None = None
    progress: int = 0
    fields: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[NoticeEvent, ...] = ()
    release: bool = True
    mark: datetime | None = None


def remote_progress(share: float | None) -> int:
    """Map a share 0..1 of the remote work to the 10..90 that it has in the job's progress; untold gives 0 («no news»)."""
    if share is None:
        return 0
    span = COLLECT_PROGRESS - SUBMITTED_PROGRESS
    return SUBMITTED_PROGRESS + int(max(0.0, min(1.0, share)) * span)


def hold(
    stage: Stage,
    reason: str,
    at: datetime,
    *,
    action: Action = Action.SUBMIT,
    **fields: object,
) -> Change:
    """Let a job wait until `at`, and say why. There is always an end to a wait: what wakes a job may get lost."""
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
    job: Job,
    remote: RemoteStatus,
    service: str,
    now: datetime,
    settle: timedelta,
    lost_after: timedelta = LOST_AFTER,
) -> Change | None:
    """Give what a look at the remote changes, or None when it taught nothing.

    `service` is the service's name, `settle` the wait between the remote's «done» and the first look at its results, `lost_after`
    how long it may answer that it does not know the job before the job is lost.
    """
    if remote.state is RemoteState.MISSING:
        return _missing(job, remote, service, now, lost_after)
    change = _observe(job, remote, service, now, settle)
    if remote.state is RemoteState.UNKNOWN or job.missing_since is None:
        return change
    if change is not None:
        return replace(change, fields={"missing_since": None, **change.fields})
    return seen_again(job)


def seen_again(job: Job) -> Change:
    """Forget that the remote did not know the job; nothing is told, as nothing has happened."""
    fields: dict[str, object] = {"missing_since": None}
    if (job.hold_reason or "").endswith(_LOOKED_FOR):
        fields["hold_reason"] = None
    return Change(unchanged(job.status), None, job.stage, fields=fields)


def _missing_words(remote: RemoteStatus) -> str:
    return remote.reason or "it does not know the job just now"


def _missing(
    job: Job, remote: RemoteStatus, service: str, now: datetime, lost_after: timedelta
) -> Change | None:
    """Some servers cannot load a run for a while, or for ever: what it was before stays, until that has lasted too long."""
    if job.missing_since is None:
        fields = {"missing_since": now, "remote_state": remote.raw}
        return Change(unchanged(job.status), None, job.stage, fields=fields)
    missing_for = now - job.missing_since
    if missing_for >= lost_after:
        return fail(
            "lost_at_service",
            f"{service} has lost this job: for {missing_for.total_seconds() / 60:.0f} minutes it has answered that {_missing_words(remote)}",
            "Press retry to submit it again; the input is still stored here. If it is lost again, ask the operators of the service.",
        )
    said = f"{service} says that {_missing_words(remote)}{_LOOKED_FOR}"
    if job.hold_reason == said or missing_for < min(MISSING_TOLD_AFTER, lost_after / 2):
        return None
    return Change(unchanged(job.status), said, job.stage, fields={"hold_reason": said})


def _observe(
    job: Job, remote: RemoteStatus, service: str, now: datetime, settle: timedelta
) -> Change | None:
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
        case RemoteState.MISSING | RemoteState.UNKNOWN:
            return None


def revise(
    job: Job, remote: RemoteStatus, service: str, now: datetime, settle: timedelta
) -> Change | None:
    """Give what another look changes for a job that had ended at the remote and whose results are due; None if nothing.

    A server's first word need not be its last: a cancelled run of Cloudgene is FAILED for a moment before it is CANCELED
    (cloudgene3 AbstractJob.run), and an operator may start a failed job again.
    """
    match remote.state:
        case RemoteState.CANCELLED:
            change = observe(job, remote, service, now, settle)
        case RemoteState.GONE if job.outcome == "completed":
            return fail(
                "results_gone",
                f"{service} no longer has the results: they expired or were deleted",
                "Press retry to run the job again.",
            )
        case RemoteState.SUCCEEDED if job.outcome != "completed":
            change = observe(job, remote, service, now, settle)
        case RemoteState.FAILED if job.outcome != "failed":
            change = observe(job, remote, service, now, settle)
        case RemoteState.WAITING | RemoteState.RUNNING | RemoteState.DEAD:
            change = Change(
                Event.REMOTE_RUNNING,
                f"{service} works on the job again",
                Stage.REMOTE_RUNNING,
                fields={"remote_state": remote.raw, "outcome": None, "next_action": Action.POLL}
                | {"next_action_at": now, "has_slot": True, "failures": 0, "hold_reason": None},
            )
        case _:
            return None
    forgotten = {"error_code": None, "error_message": None, "error_action": None}
    return change and replace(change, fields={**forgotten, **change.fields})


def _waiting(job: Job, remote: RemoteStatus, service: str) -> Change | None:
    late = job.notified_waiting_at is not None
    stage = Stage.WAITING_TOO_LONG if late else Stage.REMOTE_QUEUE
    reason = WAITS_LONG if late else None
    seen = (job.status, job.stage, job.queue_position, job.hold_reason)
    if seen == (Status.QUEUED, stage, remote.queue_position, reason):
        return None
    place = "" if remote.queue_position is None else f", {remote.queue_position} ahead"
    fields = {
        "queue_position": remote.queue_position,
        "remote_state": remote.raw,
        "hold_reason": reason,
        "has_slot": True,
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
        "has_slot": True,
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
    """A dead job takes none of the account's slots (cloudgene3 JobService.submitJob counts waiting and running ones)."""
    if job.stage is Stage.REMOTE_DEAD:
        return None
    reason = f"{service} was restarted while the job was there; it is asked to start it again"
    fields = {"remote_state": remote.raw, "hold_reason": reason, "has_slot": False}
    return Change(Event.REMOTE_QUEUED, reason, Stage.REMOTE_DEAD, fields=fields)
