"""Jobs as the API shows them (cloudgene3 ``JobResponse`` and its parts)."""

import math
from typing import Any

from app.sandbox.jobs.manager import Jobs
from app.sandbox.jobs.model import OPEN, Job, ResultFile
from app.sandbox.jobs.store import now_ms

PAGE_SIZE = 15  # JobController.DEFAULT_PAGE_SIZE
_UNITS = ((2**40, "TB"), (2**30, "GB"), (2**20, "MB"), (2**10, "KB"))


def job_json(job: Job, jobs: Jobs, *, is_admin: bool = False) -> dict[str, Any]:
    """A job with its steps and its downloads."""
    return {
        **_head(job, jobs),
        "username": job.user,
        "logs": f"logs/{job.id}" if is_admin else "",
        "steps": [
            {
                "id": 0,
                "name": step.name,
                "empty": not step.messages,
                "logMessages": [
                    {"success": True, "message": m.text, "type": m.level, "time": 0}
                    for m in list(step.messages)
                ],
            }
            for step in list(job.steps)
        ],
        "outputParams": [_output(job)] if job.steps or job.results else [],
    }


def row_json(job: Job, jobs: Jobs) -> dict[str, Any]:
    """A job in a list: out of the queue it has neither steps nor downloads nor a user (``JobDao``)."""
    if job.state in OPEN:
        return job_json(job, jobs)
    return {**_head(job, jobs), "username": None, "logs": "", "steps": [], "outputParams": []}


def page_json(rows: list[Job], jobs: Jobs, page: int | None) -> dict[str, Any]:
    """A page of a list; without ``page`` all at once (``JobService.getAllByUserAndPage``)."""
    count = len(rows)
    size, number = (count, 1) if page is None else (PAGE_SIZE, max(page, 1))
    last = math.ceil(count / size) if size else 1
    start = (number - 1) * size
    return {
        "count": count,
        "page": number,
        "pageSize": size,
        "prev": number - 1 if number > 1 else None,
        "next": number + 1 if number < last else None,
        "pages": list(range(1, last + 1)),
        "data": [row_json(job, jobs) for job in rows[start : start + size]],
    }


def _head(job: Job, jobs: Jobs) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "state": int(job.state),
        "application": job.application,
        "applicationId": job.application_id,
        "positionInQueue": jobs.position(job),
        "submittedOn": job.submitted_on,
        "startTime": job.started_on,
        "endTime": job.ended_on,
        "deletedOn": job.deleted_on,
        "currentTime": now_ms(),
        "userAgent": job.user_agent,
        "workspaceSize": None,
    }


def _output(job: Job) -> dict[str, Any]:
    return {
        "id": 7,
        "name": "output",
        "description": "Downloads",
        "hash": job.output_hash,
        "type": None,
        "value": "",
        "job": None,
        "autoExport": False,
        "download": True,
        "jobId": job.id,
        "files": [_file(job, result) for result in job.results],
        "tree": _tree(job, job.results, ""),
    }


def _file(job: Job, result: ResultFile) -> dict[str, Any]:
    return {
        "name": result.name,
        "path": f"{job.id}/output/{result.name}",
        "hash": result.hash,
        "size": display_size(result.size),
        "count": result.left,
        "parameterId": 0,
        "user": None,
    }


def _tree(job: Job, results: list[ResultFile], folder: str) -> list[dict[str, Any]]:
    """Files of a folder, then its folders with theirs."""
    items: list[dict[str, Any]] = []
    folders: dict[str, list[ResultFile]] = {}
    for result in results:
        head, slash, _ = result.name[len(folder) :].partition("/")
        if slash:
            folders.setdefault(head, []).append(result)
        else:
            items.append(_node(job, result.name, result.hash, display_size(result.size)))
    for name, inside in folders.items():
        node = _node(job, f"{folder}{name}", "", "")
        childs = _tree(job, inside, f"{folder}{name}/")
        items.append({**node, "folder": True, "childs": childs})
    return items


def _node(job: Job, name: str, digest: str, size: str) -> dict[str, Any]:
    return {
        "name": name.rpartition("/")[2],
        "path": f"/browse/{job.output_hash}/{name}",
        "hash": digest,
        "size": size,
        "folder": False,
        "childs": [],
    }


def display_size(size: int) -> str:
    """A size for people, rounded down (commons-io ``byteCountToDisplaySize``)."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} bytes"
