"""Runs as WES 1.1 shows them (``RunSummary``, ``RunLog``, ``TaskLog``)."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from app.sandbox.jobs.model import Job, State, Step
from app.sandbox.wes.errors import BASE

COMPLETE, FAILED, SYSTEM_FAILED = "COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR"
CANCELED = "CANCELED"
FINAL = frozenset({COMPLETE, FAILED, SYSTEM_FAILED, CANCELED})
_STATES = {
    State.DEAD: SYSTEM_FAILED,
    State.WAITING: "QUEUED",
    State.RUNNING: "RUNNING",
    State.EXPORTING: "RUNNING",
    State.SUCCESS: COMPLETE,
    State.FAILED: FAILED,
    State.CANCELED: CANCELED,
}
_LATER = frozenset({State.RETIRED, State.SUCCESS_NOTIFIED, State.FAILED_NOTIFIED})
_EXIT_CODES = {COMPLETE: 0, FAILED: 1, CANCELED: 143}
_TAGS = re.compile(r"<[^<>]{0,200}>")
_STDERR_LINES = 60
_RESTARTED = "The server was restarted while the run was open; the run is lost."


def wes_state(job: Job) -> str:
    """The state. A run is COMPLETE once its results can be fetched."""
    state = job.state
    if state in _LATER:
        ended = job.ended_as
        if ended is None:
            ended = State.FAILED if state == State.FAILED_NOTIFIED else State.SUCCESS
        return _STATES[ended]
    if state == State.CANCELED and not job.ended_on:
        return "CANCELING"
    if state == State.RUNNING and job.wes is not None and job.wes.staging:
        return "INITIALIZING"
    if state == State.SUCCESS and not job.rows:
        return "RUNNING"
    return _STATES[state]


def summary(job: Job, *, short: bool) -> dict[str, Any]:
    """A run in a list; ``short`` as WES 1.0 has it."""
    head = {"run_id": job.id, "state": wes_state(job)}
    if short:
        return head
    return {
        **head,
        "start_time": _time(job.started_on),
        "end_time": _time(job.ended_on),
        "tags": job.wes.tags if job.wes else {},
    }


def run_log(job: Job, base_url: str) -> dict[str, Any]:
    """A whole run."""
    state = wes_state(job)
    here = f"{base_url}{BASE}/runs/{job.id}"
    return {
        "run_id": job.id,
        "request": job.wes.request if job.wes else {},
        "state": state,
        "run_log": {
            "name": job.application,
            "cmd": ["nextflow", "run", job.application_id],
            "start_time": _time(job.started_on),
            "end_time": _time(job.ended_on),
            "stdout": _stdout(job),
            "stderr": _stderr(job, state),
            "exit_code": _EXIT_CODES.get(state),
            "system_logs": [],
        },
        "task_logs": None,
        "task_logs_url": f"{here}/tasks",
        "outputs": [
            {"file_name": name, "file_url": f"{here}/outputs/{quote(name)}"}
            for name in output_names(job)
        ],
    }


def output_names(job: Job) -> list[str]:
    """The results: what lies at the top of the output folder, once the run ended and until its files go."""
    if job.state == State.RETIRED or wes_state(job) not in FINAL:
        return []
    return [result.name for result in job.results if "/" not in result.name]


def task_log(job: Job, number: int, step: Step) -> dict[str, Any]:
    """A step of the pipeline as a task; ids count from 1."""
    ended = wes_state(job) in FINAL
    return {
        "id": str(number),
        "name": step.name,
        "cmd": [],
        "start_time": _time(job.started_on),
        "end_time": _time(job.ended_on),
        "stdout": "\n".join(_plain(message.text) for message in list(step.messages)),
        "stderr": "",
        "exit_code": (1 if any(m.level == 1 for m in step.messages) else 0) if ended else None,
        "system_logs": [],
        "tes_uri": None,
    }


def _stdout(job: Job) -> str:
    lines = [_plain(message.text) for step in list(job.steps) for message in list(step.messages)]
    return "\n".join(lines)


def _stderr(job: Job, state: str) -> str:
    """The end of the log of a run that failed, in the way of Nextflow."""
    if state == SYSTEM_FAILED:
        return _RESTARTED
    if state != FAILED:
        return ""
    errors = [_plain(m.text) for step in list(job.steps) for m in step.messages if m.level == 1]
    lines = [line for text in [*map(_plain, job.log), *errors] for line in text.splitlines()]
    return "\n".join(line for line in lines if line.strip() and "password" not in line)[
        -_STDERR_LINES * 100 :
    ]


def _plain(text: str) -> str:
    return _TAGS.sub("", text).strip()


def _time(milliseconds: int) -> str | None:
    if milliseconds <= 0:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
