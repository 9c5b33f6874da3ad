"""A job's life as one table. Nothing else in the platform decides what may follow what.

`advance` is the only way from one status to the next; `TERMINAL` and the sources of an event are derived from the table.
`docs/jobs.md` shows the table as generated from here.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """What users filter by."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """Where exactly an open job stands."""

    WAITING_FOR_SLOT = "waiting_for_slot"
    SERVICE_UNAVAILABLE = "service_unavailable"
    CREDENTIAL_NEEDED = "credential_needed"
    SUBMITTING = "submitting"
    CONFIRMING_SUBMISSION = "confirming_submission"
    DECISION_NEEDED = "decision_needed"
    REMOTE_QUEUE = "remote_queue"
    REMOTE_RUNNING = "remote_running"
    DOWNLOADING = "downloading"
    RESULTS_BLOCKED = "results_blocked"
    REMOTE_DEAD = "remote_dead"
    WAITING_TOO_LONG = "waiting_too_long"
    CANCELLING = "cancelling"


class Event(StrEnum):
    """What can happen to a job."""

    ENQUEUE = "enqueue"
    """Its input is whole and stored."""
    TAKE = "take"
    """A worker took it to submit it."""
    HOLD = "hold"
    """It has to wait before it can be submitted."""
    REMOTE_QUEUED = "remote_queued"
    """The remote has it and lets it wait."""
    REMOTE_RUNNING = "remote_running"
    """The remote works on it."""
    COLLECT = "collect"
    """The remote is done; results are being fetched."""
    COMPLETE = "complete"
    """The results are safe with us."""
    FAIL = "fail"
    """It ended without results."""
    CANCEL = "cancel"
    """It was stopped on request."""


class Action(StrEnum):
    """What the engine does next for an open job."""

    SUBMIT = "submit"
    POLL = "poll"
    COLLECT = "collect"
    CANCEL = "cancel"


_S, _E = Status, Event
TRANSITIONS: Mapping[tuple[Status, Event], Status] = MappingProxyType(
    {
        (_S.PENDING, _E.ENQUEUE): _S.QUEUED,
        (_S.PENDING, _E.FAIL): _S.FAILED,
        (_S.PENDING, _E.CANCEL): _S.CANCELLED,
        (_S.QUEUED, _E.TAKE): _S.RUNNING,
        (_S.QUEUED, _E.HOLD): _S.QUEUED,
        (_S.QUEUED, _E.REMOTE_QUEUED): _S.QUEUED,
        (_S.QUEUED, _E.REMOTE_RUNNING): _S.RUNNING,
        (_S.QUEUED, _E.COLLECT): _S.RUNNING,
        (_S.QUEUED, _E.FAIL): _S.FAILED,
        (_S.QUEUED, _E.CANCEL): _S.CANCELLED,
        (_S.RUNNING, _E.TAKE): _S.RUNNING,
        (_S.RUNNING, _E.HOLD): _S.QUEUED,
        (_S.RUNNING, _E.REMOTE_QUEUED): _S.QUEUED,
        (_S.RUNNING, _E.REMOTE_RUNNING): _S.RUNNING,
        (_S.RUNNING, _E.COLLECT): _S.RUNNING,
        (_S.RUNNING, _E.COMPLETE): _S.COMPLETED,
        (_S.RUNNING, _E.FAIL): _S.FAILED,
        (_S.RUNNING, _E.CANCEL): _S.CANCELLED,
    }
)

TERMINAL: frozenset[Status] = frozenset(
    status for status in Status if all(source != status for source, _ in TRANSITIONS)
)
OPEN: frozenset[Status] = frozenset(Status) - TERMINAL


class InvalidTransition(Exception):
    """Raised when an event does not apply to a status: somebody else moved the job."""


def advance(status: Status, event: Event) -> Status:
    """Give the status that follows. Raises InvalidTransition where the table has no entry."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise InvalidTransition(f"a {status} job cannot {event}") from None


def sources(event: Event) -> frozenset[Status]:
    """Give the statuses in which the event may happen."""
    return frozenset(source for source, known in TRANSITIONS if known is event)


def unchanged(status: Status) -> Event:
    """Give the event that leaves an open status as it is: to write news of a job that did not move."""
    return {Status.QUEUED: Event.REMOTE_QUEUED, Status.RUNNING: Event.REMOTE_RUNNING}[status]
