"""The states of WES runs in the common words, and reading an answer about one. Pure."""

from collections.abc import Mapping

from app.adapters.base import RemoteState, RemoteStatus, ServiceUnavailable
from app.adapters.text import clean_line

STATES: Mapping[str, RemoteState] = {
    "UNKNOWN": RemoteState.UNKNOWN,
    "QUEUED": RemoteState.WAITING,
    "INITIALIZING": RemoteState.WAITING,
    "RUNNING": RemoteState.RUNNING,
    "PAUSED": RemoteState.RUNNING,
    "COMPLETE": RemoteState.SUCCEEDED,
    "EXECUTOR_ERROR": RemoteState.FAILED,
    "SYSTEM_ERROR": RemoteState.FAILED,
    "CANCELED": RemoteState.CANCELLED,
    "CANCELING": RemoteState.UNKNOWN,  # the former state stays, until the run has stopped
    "PREEMPTED": RemoteState.MISSING,  # 1.1: whether it starts again is left open by the specification
    "DELETING": RemoteState.GONE,  # sapporo
    "DELETED": RemoteState.GONE,
}
"""GA4GH WES 1.0.0 to 1.1.0, and sapporo's two. Any other word is UNKNOWN."""

_PREEMPTED = "it has taken the run's capacity away"

FINAL = frozenset(
    {RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED, RemoteState.GONE}
)


def state_of(word: object) -> RemoteState:
    """Give the common word for a state; a word that nobody knows teaches nothing."""
    return (
        STATES.get(word.strip().upper(), RemoteState.UNKNOWN)
        if isinstance(word, str)
        else RemoteState.UNKNOWN
    )


def read_status(said: Mapping[str, object], run_id: str) -> RemoteStatus:
    """Read the answer of `/runs/{id}/status`. Raises `ServiceUnavailable` where it has no state at all.

    An answer about another run is believed in nothing.
    """
    if "run_id" in said and said["run_id"] != run_id:
        return RemoteStatus(run_id, RemoteState.UNKNOWN, "another run")
    if "state" not in said:
        raise ServiceUnavailable("The service answered with something that is not a run.")
    word = said["state"]
    raw = clean_line(word, limit=40) or "UNKNOWN"
    state = state_of(word)
    reason = _PREEMPTED if state is RemoteState.MISSING else None
    return RemoteStatus(run_id, state, raw, reason=reason)


def missing(run_id: str, raw: str) -> RemoteStatus:
    """Give the status of a run that the service does not know, or cannot load."""
    return RemoteStatus(run_id, RemoteState.MISSING, raw)
