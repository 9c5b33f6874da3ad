"""Reading what Cloudgene says about a job. Pure.

Two races of the server are not hidden here, as they need memory: state 4 appears a little before the download rows do
(`Queue.run` looks every 100 ms), and after a cancel a look can read 6, then 5, then 6 again (`AbstractJob.run`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.adapters import loose
from app.adapters.base import RemoteMessage, RemoteState, RemoteStatus
from app.adapters.michigan.dialects import NotSpoken
from app.adapters.text import clean, clean_line

STATES: Mapping[int, RemoteState] = {
    -1: RemoteState.DEAD,
    1: RemoteState.WAITING,
    2: RemoteState.RUNNING,
    3: RemoteState.RUNNING,  # exporting: not yet done
    4: RemoteState.SUCCEEDED,
    5: RemoteState.FAILED,
    6: RemoteState.CANCELLED,
    7: RemoteState.GONE,  # retired: the files are deleted, lists may still name them
    8: RemoteState.SUCCEEDED,  # and its owner was told when it will be deleted
    9: RemoteState.FAILED,  # or cancelled, and told likewise (`JobCleanUpService.sendNotifications`)
    10: RemoteState.GONE,
}
"""cloudgene3 `AbstractJob`."""

ACTIVE = frozenset({1, 2, 3})
"""States that count against an account's limit (`JobService.submitJob`)."""

_LEVELS = {0: "ok", 1: "error", 2: "warning", 3: "running"}
_MAX_STEPS = 100
_MAX_MESSAGES = 200
_RAW_BUDGET = 256 * 1024
"""Characters of messages looked at per job; a real job has a few thousand."""
_REASON_LIMIT = 4000

_COUNTED = re.compile(r"([^\W\d_][^()\n]{0,80}?)\s{0,3}\((\d{1,9})/(\d{1,9})\)")
"""`Imputation (3/10)`, as `NextflowProcessRenderer` writes a progress bar's title."""

_PHASES: tuple[tuple[str, float, float], ...] = (
    # The first word that a label contains decides. Shares of the whole by what the phases take on typical jobs.
    ("compress", 0.92, 0.98),
    ("encrypt", 0.92, 0.98),
    ("validation", 0.00, 0.02),
    ("quality", 0.02, 0.08),
    ("phasing", 0.08, 0.45),
    ("imput", 0.45, 0.92),
)


@dataclass(frozen=True, slots=True)
class _Steps:
    messages: tuple[RemoteMessage, ...]
    last: str | None


def read_job(
    job: Mapping[str, object], *, secrets: Sequence[str] = (), from_list: bool = False
) -> RemoteStatus:
    """Read job JSON (cloudgene3 `JobResponse`). Raises `ServiceUnavailable` where it is not one.

    Rows of a list lack steps once a job has left the queue (`JobDao.findAllByUser`): such are marked as not detailed.
    """
    remote_id = id_of(job)
    number = loose.as_int(job.get("state"))
    if number is None:
        number = _told(job)
    if remote_id is None or number is None:
        raise NotSpoken("The service answered with something that is not a job.")
    state = STATES.get(number, RemoteState.UNKNOWN)
    steps = _read_steps(job.get("steps"), secrets)
    position = loose.as_int(job.get("positionInQueue"))
    running = state is RemoteState.RUNNING
    return RemoteStatus(
        remote_id=remote_id,
        state=state,
        raw=str(number),
        name=name_of(job),
        progress=_share_done(job, steps) if running else None,
        step=_step_of(number, steps),
        queue_position=position
        if state is RemoteState.WAITING and position is not None and position >= 0
        else None,
        reason=reason_of(steps.messages) if state is RemoteState.FAILED else None,
        messages=steps.messages,
        results_expire_at=loose.as_time(job.get("deletedOn")),
        detailed=not from_list or bool(steps.messages) or state is RemoteState.WAITING,
    )


def _told(job: Mapping[str, object]) -> int | None:
    """Give the state of a job of Cloudgene 2 that has none. `complete` does not say how it ended: 0, which is unknown."""
    if job.get("running") is True:
        return 2
    return 0 if job.get("complete") is True else None


def _share_done(job: Mapping[str, object], steps: "_Steps") -> float | None:
    """Give the share of the work that is done: by the messages, else Cloudgene 2's `progress`, a percentage (-1: not told)."""
    counted = progress_of(steps.messages)
    percent = loose.as_int(job.get("progress"))
    if counted is None and percent is not None and 0 < percent <= 100:
        return percent / 100
    return counted


def gone(remote_id: str) -> RemoteStatus:
    """Give the status of a job that the service does not know (any longer)."""
    return RemoteStatus(remote_id=remote_id, state=RemoteState.GONE, raw="404")


def id_of(job: Mapping[str, object]) -> str | None:
    """Give a job's id if it is fit to stand in a path and a database: `job-20251007-100555-083`."""
    found = job.get("id")
    return found if isinstance(found, str) and is_job_id(found) else None


def is_job_id(text: str) -> bool:
    """Say whether a text can be a job id."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", text) is not None


def name_of(job: Mapping[str, object]) -> str | None:
    """Give a job's name as one line."""
    return clean_line(job.get("name"), limit=300) or None


def progress_of(messages: Sequence[RemoteMessage]) -> float | None:
    """Give the share 0..1 of the remote work, from the furthest `Label (done/total)`; None where there is none.

    The server gives no figure of its own. `total` counts only the tasks seen so far and grows, so the share within a
    phase can shrink from one look to the next; the caller keeps its figure from going back.
    """
    furthest: float | None = None
    for message in messages:
        for label, done, total in _COUNTED.findall(message.text):
            share = _share(label.lower(), int(done), int(total))
            if share is not None and (furthest is None or share > furthest):
                furthest = share
    return furthest


def reason_of(messages: Sequence[RemoteMessage]) -> str | None:
    """Give the failure in the service's words: the error messages of all steps, in order, each once."""
    errors = dict.fromkeys(message.text for message in messages if message.level == "error")
    return "\n".join(errors)[:_REASON_LIMIT] or None


def _share(label: str, done: int, total: int) -> float | None:
    if total <= 0:
        return None
    for word, start, end in _PHASES:
        if word in label:
            return start + (end - start) * min(done / total, 1.0)
    return None


def _step_of(number: int, steps: _Steps) -> str | None:
    return "Exporting" if number == 3 else steps.last


def _read_steps(value: object, secrets: Sequence[str]) -> _Steps:
    """Read messages within a budget: a hostile answer must not keep the parser busy."""
    messages: list[RemoteMessage] = []
    last: str | None = None
    budget = _RAW_BUDGET
    for step in loose.dicts(value, _MAX_STEPS):
        name = clean_line(step.get("name"), limit=100, secrets=secrets) or "Step"
        for entry in loose.dicts(step.get("logMessages"), _MAX_MESSAGES):
            raw = entry.get("message")
            if not isinstance(raw, str) or len(messages) >= _MAX_MESSAGES or budget <= 0:
                continue
            budget -= len(raw)
            text = clean(raw, secrets=secrets)
            if text:
                level = _LEVELS.get(loose.as_int(entry.get("type")) or 0, "ok")
                messages.append(RemoteMessage(name, level, text))
                last = name
    return _Steps(tuple(messages), last)
