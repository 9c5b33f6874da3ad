"""After a lost answer: find out whether the remote has the job, by the unique name it was sent under.

A search that finds nothing proves little while the request may still be under way, so it takes several, some time apart, before
the job is sent again (cloudgene3 writes the job row before it answers, PersistentWorkflowEngine.jobSubmitted). Where a service
cannot show all its jobs it proves nothing however often it is made: then the job is held for its owner's decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from app.adapters.base import Rejected, RemoteJob, RemoteNotFound, SearchInconclusive
from app.core.changes import SUBMITTED_PROGRESS, Change, fail, hold
from app.core.jobs import Action, Event, Stage, unchanged
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState
from app.core.searching import Searched, Verdict, after_empty_search, undecided
from app.db.engine import ENGINE
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.remote import Remote

log = structlog.get_logger(__name__)

SEARCH_UNDECIDED_EVERY_S = 3600.0
MAX_UNCLEAR_ANSWERS = 3
"""After so many unclear answers, and searches that found nothing after each, the answer is the service's way to refuse."""
_ENDED = (RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE)


@dataclass(frozen=True, slots=True)
class Found:
    """A remote job that carries a job's name, and how many more did and were asked to stop."""

    remote_id: str
    stopped: int


def accepted(
    deps: Deps, external_id: str, said: str = "Job submitted to external service"
) -> Change:
    """The remote has the job."""
    return Change(
        Event.REMOTE_QUEUED,
        said,
        Stage.REMOTE_QUEUE,
        SUBMITTED_PROGRESS,
        {
            "external_job_id": external_id,
            "submitted_at": deps.now(),
            "hold_reason": None,
            "failures": 0,
            "doubts": 0,
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
    found, searched = await look_for(job, remote)
    if found is not None:
        if found.stopped:
            await _tell_extra(deps, job, remote, found.stopped)
        return accepted(deps, found.remote_id)
    counts: dict[str, object] = {
        "searches": searched.searches,
        "doubts": searched.doubts,
        "failures": 0,
    }
    match searched.verdict:
        case Verdict.ASK_OWNER:
            return await _ask_owner(deps, job, remote, counts)
        case Verdict.SEND_AGAIN if len(job.unclear_answers) >= MAX_UNCLEAR_ANSWERS:
            return unclear(job, remote)
        case Verdict.SEND_AGAIN:
            said = f"{remote.name} does not have the job; sending it again"
            return send_again(deps, said)
        case Verdict.LOOK_AGAIN:
            said = f"{remote.name} does not show the job yet; looking once more before it is sent again"
            wait = in_seconds(deps, deps.settings.recovery_wait_s)
            change = _held(hold(Stage.CONFIRMING_SUBMISSION, said, wait), counts)
            return replace(change, message=None) if job.hold_reason == said else change


async def look_for(job: Job, remote: Remote) -> tuple[Found | None, Searched]:
    """Search once; give what was found, or what it means that nothing was. Raises AdapterError."""
    is_conclusive = True
    found = None
    try:
        found = await find_remote_job(job, remote)
    except SearchInconclusive as error:
        log.info("engine.search_inconclusive", job_id=str(job.id), reason=error.reason)
        is_conclusive = False
    needed = remote.adapter.capabilities.searches
    return found, after_empty_search(job.searches, job.doubts, needed, is_conclusive=is_conclusive)


def send_again(deps: Deps, said: str) -> Change:
    """The remote does not have the job: forget the intent."""
    return hold(
        Stage.CONFIRMING_SUBMISSION,
        said,
        deps.now(),
        intent_at=None,
        searches=0,
        doubts=0,
        failures=0,
        has_slot=True,
    )


def _held(change: Change, counts: Mapping[str, object]) -> Change:
    return replace(change, fields={**change.fields, **counts})


async def _ask_owner(deps: Deps, job: Job, remote: Remote, counts: Mapping[str, object]) -> Change:
    """Hold the job (and its slot: it may be running) until its owner says what it is, or it is found."""
    since = job.intent_at or job.created_at
    was_used = await ENGINE.was_link_used.value(deps.pool, job_id=job.id, since=since)
    said = undecided(remote.name, was_used=bool(was_used))
    at = in_seconds(deps, SEARCH_UNDECIDED_EVERY_S)
    change = _held(hold(Stage.DECISION_NEEDED, said, at), counts)
    if job.stage is Stage.DECISION_NEEDED and job.hold_reason == said:
        return replace(change, message=None)
    return replace(change, notices=(NoticeEvent.DECISION_NEEDED,))


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
