"""Notices: which events of a job its owner is told, in which words, over which channels. Pure.

`RULES` is the table. A user's preferences are `{"job_queued": {"web": true, "email": false}, …}`; what they do not name is on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from app.core.errors import FieldError, InvalidInput
from app.core.models import Job
from app.core.names import one_line

MAX_NAME_CHARS = 200
MAX_REASON_CHARS = 2000
CREDENTIALS_PATH = "/ui/settings/service-credentials"


class NoticeEvent(StrEnum):
    """What an owner is told of."""

    JOB_QUEUED = "job_queued"
    JOB_RUNNING = "job_running"
    """The remote works on it for the first time."""
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    JOB_CANCELLED = "job_cancelled"
    JOB_WAITING_TOO_LONG = "job_waiting_too_long"
    """Longer than the service's wait limit; the job goes on waiting."""
    CREDENTIAL_NEEDED = "credential_needed"
    """The job is held until a working credential is stored."""
    DECISION_NEEDED = "decision_needed"
    """The job may be running at its service, which cannot tell: its owner has to."""
    RESULTS_BLOCKED = "results_blocked"
    """The results exist and cannot be fetched."""


class Channel(StrEnum):
    """A way to tell somebody."""

    WEB = "web"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Rule:
    """How an event is told. `message` may use `name`, `service`, `reason` and `way_out`.

    `reason` says where the reason stands (`error` or `hold`), `path` where the owner can act (`{id}` is the job's).
    `repeats` allows the event again on another day: it may hold the same job more than once.
    """

    title: str
    message: str
    reason: str = ""
    path: str = "/ui/jobs/{id}"
    repeats: bool = False


RULES: Mapping[NoticeEvent, Rule] = MappingProxyType(
    {
        NoticeEvent.JOB_QUEUED: Rule("Job queued", "«{name}» is queued for {service}."),
        NoticeEvent.JOB_RUNNING: Rule("Job running", "{service} has begun to work on «{name}»."),
        NoticeEvent.JOB_COMPLETED: Rule(
            "Results ready", "The results of «{name}» from {service} are ready for download."
        ),
        NoticeEvent.JOB_FAILED: Rule(
            "Job failed", "«{name}» failed: {reason} {way_out}", reason="error"
        ),
        NoticeEvent.JOB_CANCELLED: Rule("Job cancelled", "«{name}» was cancelled."),
        NoticeEvent.JOB_WAITING_TOO_LONG: Rule(
            "Job waits for long",
            "«{name}» has been waiting at {service} for unusually long. It goes on waiting and you need not do anything;"
            " cancel it if you no longer want it.",
        ),
        NoticeEvent.CREDENTIAL_NEEDED: Rule(
            "Credential needed",
            "«{name}» waits for a working credential for {service}: {reason} It goes on by itself when you have stored one.",
            reason="hold",
            path=CREDENTIALS_PATH,
            repeats=True,
        ),
        NoticeEvent.DECISION_NEEDED: Rule(
            "Your decision is needed",
            "«{name}» is held at {service} for your decision: {reason}",
            reason="hold",
            repeats=True,
        ),
        NoticeEvent.RESULTS_BLOCKED: Rule(
            "Results cannot be fetched",
            "The results of «{name}» exist at {service} and cannot be fetched now: {reason} We keep trying.",
            reason="hold",
            repeats=True,
        ),
    }
)
RESULTS_HELD = Rule(
    "Results ready at the service",
    "The results of «{name}» are ready at {service}, which hands them out itself; the job says where each file is.",
)
"""How a job is told to be completed whose results stayed at its service."""
CREDENTIAL_CODES = frozenset({"credential_rejected", "no_credentials"})
"""Failures that a new credential mends; their notices lead there."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice in words. `action_path` is where the owner can act; `reason` and `way_out` may be empty."""

    title: str
    message: str
    job_name: str
    reason: str
    way_out: str
    action_path: str


def compose(event: NoticeEvent, job: Job, service: str) -> Notice:
    """Put an event of a job into words; `service` is the service's name. Names and reasons become one line each."""
    rule = RULES[event]
    if event is NoticeEvent.JOB_COMPLETED and job.results_held and job.results_file_id is None:
        rule = RESULTS_HELD
    name = _short(job.name, MAX_NAME_CHARS) or str(job.id)
    told = {"error": job.error_message, "hold": job.hold_reason}.get(rule.reason)
    reason = (
        _sentence(_short(told or "no reason was given", MAX_REASON_CHARS)) if rule.reason else ""
    )
    failed = rule.reason == "error"
    way_out = _short(job.error_action or "", MAX_REASON_CHARS) if failed else ""
    message = rule.message.format(
        name=name, service=_short(service, MAX_NAME_CHARS), reason=reason, way_out=way_out
    )
    path = CREDENTIALS_PATH if failed and job.error_code in CREDENTIAL_CODES else rule.path
    return Notice(rule.title, one_line(message), name, reason, way_out, path.format(id=job.id))


def dedup_base(event: NoticeEvent, job: Job, now: datetime, occurrence: str = "") -> str:
    """Give what makes a notice one: job, event, and for events that may come again, which time (the day, unless said)."""
    which = occurrence or (f"{now:%Y-%m-%d}" if RULES[event].repeats else "")
    return f"{job.id}:{event}" + (f":{which}" if which else "")


def wanted_channels(event: NoticeEvent, preferences: Mapping[str, Any]) -> tuple[Channel, ...]:
    """Give the channels over which a user wants to be told of an event."""
    chosen = full_preferences(preferences)[event]
    return tuple(channel for channel in Channel if chosen[channel])


def full_preferences(preferences: Mapping[str, Any]) -> dict[str, dict[str, bool]]:
    """Give every event with every channel; what was never chosen (or is unreadable) is on."""
    full: dict[str, dict[str, bool]] = {}
    for event in NoticeEvent:
        chosen = preferences.get(event)
        row = chosen if isinstance(chosen, Mapping) else {}
        full[event.value] = {channel.value: row.get(channel) is not False for channel in Channel}
    return full


def change_preferences(
    stored: Mapping[str, Any], change: Mapping[str, Any]
) -> dict[str, dict[str, bool]]:
    """Give the preferences after a change that names only some. Raises InvalidInput for unknown events or channels."""
    full = full_preferences(stored)
    wrong: list[FieldError] = []
    for event, choice in change.items():
        if event not in full or not isinstance(choice, Mapping):
            wrong.append(FieldError("notification_preferences", _EXPECTED))
            continue
        for channel, is_on in choice.items():
            if channel not in full[event] or not isinstance(is_on, bool):
                wrong.append(FieldError(f"notification_preferences.{event}", _EXPECTED))
                continue
            full[event][channel] = is_on
    if wrong:
        raise InvalidInput(
            "The notification preferences cannot be read",
            code="invalid_preferences",
            action=f"Give for each of {', '.join(NoticeEvent)} an object with «web» and «email», true or false.",
            errors=wrong[:20],
        )
    return full


_EXPECTED = "must be an object of known events with «web» and «email», each true or false"


def _short(text: str, limit: int) -> str:
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
