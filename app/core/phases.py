"""The way of a job in six phases, read from its changes: which are over, which is now, how long each took. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from app.core.jobs import Stage, Status
from app.core.models import Job, StatusUpdate


class Phase(StrEnum):
    """What every job goes through, in this order."""

    RECEIVED = "received"
    WAITING = "waiting"
    SENDING = "sending"
    AT_SERVICE = "at_service"
    FETCHING = "fetching"
    DONE = "done"


class Mark(StrEnum):
    """How a phase stands."""

    OVER = "over"
    NOW = "now"
    HELD = "held"
    """It is now, and waits for something that is not ordinary."""
    STOPPED = "stopped"
    """The job ended here, without results."""
    COMING = "coming"
    NEVER = "never"
    """The job ended before it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A phase of one job. `took` counts to now where it is not over."""

    phase: Phase
    mark: Mark
    began_at: datetime | None = None
    ended_at: datetime | None = None
    took: timedelta | None = None


_OF_STAGE: Mapping[Stage, Phase] = MappingProxyType(
    {
        Stage.WAITING_FOR_SLOT: Phase.WAITING,
        Stage.SUBMITTING: Phase.SENDING,
        Stage.CONFIRMING_SUBMISSION: Phase.SENDING,
        Stage.DECISION_NEEDED: Phase.SENDING,
        Stage.REMOTE_QUEUE: Phase.AT_SERVICE,
        Stage.REMOTE_RUNNING: Phase.AT_SERVICE,
        Stage.REMOTE_DEAD: Phase.AT_SERVICE,
        Stage.WAITING_TOO_LONG: Phase.AT_SERVICE,
        Stage.DOWNLOADING: Phase.FETCHING,
        Stage.RESULTS_BLOCKED: Phase.FETCHING,
    }
)
"""The other stages can be met in several phases: the job stays in the one where it was."""
_HELD = frozenset(
    {
        Stage.SERVICE_UNAVAILABLE, Stage.CREDENTIAL_NEEDED, Stage.DECISION_NEEDED, Stage.RESULTS_BLOCKED,
        Stage.REMOTE_DEAD, Stage.WAITING_TOO_LONG, Stage.CANCELLING,
    }
)  # fmt: skip
_ORDER = tuple(Phase)


def steps(job: Job, updates: Sequence[StatusUpdate], now: datetime) -> list[Step]:
    """Give the six phases of a job. `updates` are its changes, oldest first; the oldest may be missing."""
    began = _beginnings(job, updates)
    last = max(began, key=_ORDER.index)
    return [_step(job, phase, last, began, now) for phase in _ORDER]


def _beginnings(job: Job, updates: Sequence[StatusUpdate]) -> dict[Phase, datetime]:
    """Give when each phase was entered; one that the job fell back from has not been."""
    began = {Phase.RECEIVED: job.created_at}
    if job.started_at is not None and (not updates or updates[0].timestamp > job.started_at):
        began |= {Phase.WAITING: job.created_at, Phase.SENDING: job.started_at}
    if job.submitted_at is not None and (not updates or updates[0].timestamp > job.submitted_at):
        began[Phase.AT_SERVICE] = job.submitted_at
    here = max(began, key=_ORDER.index)
    for update in updates:
        phase = _phase_of(update, here)
        if _ORDER.index(phase) < _ORDER.index(here):
            began = {
                known: at
                for known, at in began.items()
                if _ORDER.index(known) <= _ORDER.index(phase)
            }
        began.setdefault(phase, update.timestamp)
        here = phase
    if job.status is Status.COMPLETED and job.completed_at is not None:
        began[Phase.DONE] = job.completed_at
    if job.status is Status.FAILED and job.outcome == "failed":
        began.pop(Phase.FETCHING, None)  # its reports were fetched; what failed is what ran before
    return began


def _phase_of(update: StatusUpdate, here: Phase) -> Phase:
    if update.stage is not None:
        phase = _OF_STAGE.get(update.stage, here)
        return Phase.WAITING if phase is Phase.RECEIVED else phase
    if update.status is Status.QUEUED and here is Phase.RECEIVED:
        return Phase.WAITING
    return here


def _step(
    job: Job, phase: Phase, last: Phase, began: Mapping[Phase, datetime], now: datetime
) -> Step:
    start = began.get(phase)
    if _ORDER.index(phase) > _ORDER.index(last):
        return Step(phase, Mark.NEVER if job.is_final else Mark.COMING)
    if phase is last:
        return _last(job, phase, start, now)
    later = [at for other, at in began.items() if _ORDER.index(other) > _ORDER.index(phase)]
    end = min(later, default=None)
    if phase is Phase.RECEIVED:
        return Step(phase, Mark.OVER, start, start)
    return Step(phase, Mark.OVER, start, end, end - start if start and end else None)


def _last(job: Job, phase: Phase, start: datetime | None, now: datetime) -> Step:
    if job.status is Status.COMPLETED:
        return Step(phase, Mark.OVER, start, start)
    end = job.completed_at if job.is_final else None
    took = (end or now) - start if start is not None else None
    if job.is_final:
        return Step(phase, Mark.STOPPED, start, end, took)
    return Step(phase, Mark.HELD if job.stage in _HELD else Mark.NOW, start, None, took)
