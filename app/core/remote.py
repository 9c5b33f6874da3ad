"""What a remote service says about a job, in words common to all dialects. Adapters make these, the engine reads them."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_REMOTE_NAME = re.compile(r"fi-[0-9a-f]{32}")
_REMOTE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,199}")


class RemoteState(StrEnum):
    """The remote state of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    GONE = "gone"
    """Retired or deleted: its results are no longer there."""
    MISSING = "missing"
    """The service answers and does not know, cannot load, or has put off the job: lost if that lasts, for some servers say so for a
    while. A status's `reason` may say which, as the end of «it answers that …»."""
    DEAD = "dead"
    """The remote server restarted under the job; it may be asked to restart it."""
    UNKNOWN = "unknown"
    """The remote cannot tell, or uses a word we do not know: keep the former state."""


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """A line the remote shows about a step: cleaned of HTML, redacted.

    `level` is `ok`, `error`, `warning` or `running`.
    """

    step: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """One look at one remote job.

    `raw` is the remote's own word (`"2"`, `"EXECUTOR_ERROR"`), `progress` a share 0..1 of the remote
    work where it can be told, `step` the phase's name, `reason` the failure in the remote's own words
    (cleaned, redacted). `results_expire_at` is when the remote will delete the results.
    `detailed` is false for a row of a list that lacks steps and messages.
    """

    remote_id: str
    state: RemoteState
    raw: str
    name: str | None = None
    progress: float | None = None
    step: str | None = None
    queue_position: int | None = None
    reason: str | None = None
    messages: tuple[RemoteMessage, ...] = ()
    results_expire_at: datetime | None = None
    detailed: bool = True


def is_remote_id(text: str) -> bool:
    """Tell whether a person's word can be a remote job's id: it becomes a part of an address, and must not lead elsewhere."""
    return _REMOTE_ID.fullmatch(text) is not None


def is_remote_name(text: str) -> bool:
    """Tell whether a name is one that a platform gave to one of its jobs (`app.usecases.creation`)."""
    return _REMOTE_NAME.fullmatch(text) is not None
