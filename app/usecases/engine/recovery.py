"""After a lost answer: find out whether the remote has the job, by the unique name it was sent under.

A search that finds nothing proves little while the request may still be under way, so it takes two, some time apart, before
the job is sent again (cloudgene3 writes the job row before it answers, PersistentWorkflowEngine.jobSubmitted).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from app.adapters.base import Rejected, RemoteJob, RemoteNotFound
from app.core.changes import SUBMITTED_PROGRESS, Change, fail, hold
from app.core.jobs import Action, Event, Stage, unchanged
from app.core.models import Job
from app.core.remote import RemoteState
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.remote import Remote

log = structlog.get_logger(__name__)

SEARCHES_NEEDED = 2
MAX_UNCLEAR = 3
"""After so many unclear answers, and a search each that found nothing, the answer is the service's way to refuse."""
_ENDED = (RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE)


@dataclass(frozen=True, slots=True)
class Found:
    """A remote job that carries a job's name, and how many more did and were asked to stop."""

    remote_id: str
    stopped: int


def accepted(deps: Deps, external_id: str) -> Change:
    """The remote has the job."""
    return Change(
        Event.REMOTE_QUEUED,
        "Job submitted to external service",
        Stage.REMOTE_QUEUE,
        SUBMITTED_PROGRESS,
        {
            "external_job_id": external_id,
            "submitted_at": deps.now(),
            "hold_reason": None,
            "failures": 0,
            "next_action": Action.POLL,
            "next_action_at": deps.now(),
        },
    )


async def find_remote_job(job: Job, remote: Remote) -> Found | None:
    """Give the remote job that carries this job's name; cancel all but the newest of several.

    Raises AdapterError when the remote cannot be asked, also for a cancellation: then all is done once more.
    """
    since = job.intent_at or job.created_at
    found = await remote.adapter.find_by_name(job.remote_name, since)
    if not found:
        return None
    return Found(found[0].remote_id, await _cancel_extra(remote, found[1:]))


async def _cancel_extra(remote: Remote, extra: Sequence[RemoteJob]) -> int:
    open_ones = [other for other in extra if other.state not in _ENDED]
    for other in open_ones:
        log.warning("engine.extra_remote_job", remote_id=other.remote_id)
        try:
            await remote.adapter.cancel(other.remote_id)
        except (Rejected, RemoteNotFound) as error:
            log.info("engine.extra_has_ended", remote_id=other.remote_id, reason=error.reason)
    return len(open_ones)


async def search(deps: Deps, job: Job, remote: Remote) -> Change:
    """Give what follows for a job whose submission had no clear end. Raises AdapterError."""
    found = await find_remote_job(job, remote)
    if found is not None:
        if found.stopped:
            await _tell_extra(deps, job, remote, found.stopped)
        return accepted(deps, found.remote_id)
    searches = job.searches + 1
    if searches < SEARCHES_NEEDED:
        said = f"{remote.name} does not show the job yet; looking once more before it is sent again"
        wait = in_seconds(deps, deps.settings.recovery_wait_s)
        return hold(Stage.CONFIRMING_SUBMISSION, said, wait, searches=searches, failures=0)
    if len(job.unclear_answers) >= MAX_UNCLEAR:
        return unclear(job, remote)
    said = f"{remote.name} does not have the job; sending it again"
    change = hold(Stage.CONFIRMING_SUBMISSION, said, deps.now(), intent_at=None, searches=0)
    return replace(change, fields={**change.fields, "has_slot": True})


def unclear(job: Job, remote: Remote) -> Change:
    """End a job that was sent again and again, never got a clear answer, and is surely not there."""
    said = (
        f"{remote.name} was sent the job {len(job.unclear_answers)} times, never gave a clear answer and does not have it."
        f" It said: {job.unclear_answers[-1]}"
    )
    way_out = f"Press retry in a while; should it end the same, ask the operators of {remote.name}, or choose another service."
    return fail("submission_unclear", said, way_out)


async def _tell_extra(deps: Deps, job: Job, remote: Remote, count: int) -> None:
    said = f"{remote.name} had the job {count + 1} times; all but the newest were asked to stop"
    note = Change(unchanged(job.status), said, job.stage, release=False)
    await apply(deps, job, note)
