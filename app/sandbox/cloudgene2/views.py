"""Jobs as Cloudgene 2 shows them (``JSONConverter.convert``): with ``complete``, ``running`` and ``progress``."""

from typing import Any

from app.sandbox.cloudgene import views
from app.sandbox.jobs.checksums import SHARED
from app.sandbox.jobs.manager import Jobs
from app.sandbox.jobs.model import OPEN, Job, ResultFile

_UNKNOWN_THEN = ("userAgent", "workspaceSize", "currentTime", "logs")
_PARAMS = (
    ("qcreport", "Quality-Control Report", "local_file"),
    ("statisticDir", "Quality-Control Results", "local_folder"),
    ("local", "Imputation Results", "local_folder"),
)


def job_json(job: Job, jobs: Jobs) -> dict[str, Any]:
    """A job with its steps and downloads."""
    shown = row_json(job, jobs)
    full = views.job_json(job, jobs)
    groups = [
        {
            "id": number,
            "name": name,
            "description": title,
            "type": kind,
            "download": True,
            "hash": job.output_hash,
            "files": [_file(job, result) for result in job.results if _param(result) == name],
        }
        for number, (name, title, kind) in enumerate(_PARAMS, 1)
    ]
    return shown | {"steps": full["steps"], "outputParams": [g for g in groups if g["files"]]}


def row_json(job: Job, jobs: Jobs) -> dict[str, Any]:
    """A job in a list, or the ``/status`` of one that has ended: neither steps nor downloads."""
    shown = {k: v for k, v in views.row_json(job, jobs).items() if k not in _UNKNOWN_THEN}
    running = job.state in OPEN
    return shown | {
        "username": job.user,
        "complete": not running and job.state > 0,
        "running": running,
        "progress": _progress(job) if running else -1,
        "steps": [],
        "outputParams": [],
    }


def _progress(job: Job) -> int:
    """A percentage, of the steps that have said something."""
    spoken = sum(bool(step.messages) for step in list(job.steps))
    return 100 * spoken // (len(job.steps) + 1) if job.steps else -1


def _param(result: ResultFile) -> str:
    if result.name.startswith("statistics/"):
        return "statisticDir"
    return "local" if result.name.endswith(".zip") or result.name == SHARED else "qcreport"


def _file(job: Job, result: ResultFile) -> dict[str, Any]:
    return {
        "name": result.name,
        "path": f"{job.id}/{_param(result)}/{result.name}",
        "hash": result.hash,
        "size": views.display_size(result.size),
    }
