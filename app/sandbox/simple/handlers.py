"""The front page, a job's state in words, its results in one plain archive, and its cancel."""

import asyncio
import zipfile
from pathlib import Path
from typing import Any

from aiohttp import web

from app.sandbox.cloudgene import auth
from app.sandbox.cloudgene.downloads import stream
from app.sandbox.cloudgene.errors import ApiError
from app.sandbox.engine.model import Level
from app.sandbox.jobs.model import OPEN, Folders, Job, State
from app.sandbox.keys import BOX, CONFIG, JOBS, STATS

_WORDS = {
    State.DEAD: "waiting",
    State.WAITING: "waiting",
    State.RUNNING: "running",
    State.EXPORTING: "running",
    State.SUCCESS: "success",
    State.SUCCESS_NOTIFIED: "success",
    State.RETIRED: "success",
    State.FAILED: "error",
    State.CANCELED: "canceled",
}


async def front(request: web.Request) -> web.Response:
    """``GET /``: open to all; that it answers is all that clients look at."""
    return web.Response(text=f"{request.app[CONFIG].name}\n")


async def get_status(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/status``."""
    return web.json_response(_shown(await _own_job(request)))


async def cancel(request: web.Request) -> web.Response:
    """``GET /api/v2/jobs/{id}/cancel``: a job that has ended stays as it is."""
    job = await _own_job(request)
    await request.app[JOBS].cancel(job)
    return web.json_response(_shown(job))


async def get_results(request: web.Request) -> web.StreamResponse:
    """``GET /api/v2/jobs/{id}/results``: one plain archive, for the token's owner, as often as wanted."""
    job = await _own_job(request)
    if _word(job) != "success" or job.state == State.RETIRED:
        raise ApiError(404, "Results are not available.")
    folders = request.app[JOBS].book.folders(job)
    broken = request.app[BOX].faults.broken_zip
    path = await asyncio.to_thread(_pack, folders, job, broken=broken)
    request.app[STATS].downloads[f"{job.id}/results.zip"] += 1
    return await stream(request, path, path.stat().st_size)


def _word(job: Job) -> str:
    """The state in the dialect's words; a success only once its results are there."""
    if job.state == State.FAILED_NOTIFIED:
        return "canceled" if job.ended_as == State.CANCELED else "error"
    word = _WORDS.get(job.state, "error")
    return "running" if word == "success" and not job.rows else word


def _shown(job: Job) -> dict[str, Any]:
    word = _word(job)
    messages = [message for step in list(job.steps) for message in list(step.messages)]
    if word == "error":
        messages = [m for m in messages if m.level == Level.ERROR] or messages
    text = "\n".join(m.text for m in messages) if word == "error" else ""
    return {
        "id": job.id,
        "status": word,
        "progress": _progress(job, word),
        "message": text or (messages[-1].text if messages else f"Job is {word}"),
    }


def _progress(job: Job, word: str) -> int:
    if job.state not in OPEN:
        return 100 if word == "success" else 0
    spoken = sum(bool(step.messages) for step in list(job.steps))
    return min(95, 100 * spoken // (len(job.steps) + 1)) if job.steps else 0


def _pack(folders: Folders, job: Job, *, broken: bool) -> Path:
    """The archive, made anew each time: results, their index, the QC's tables, the log. Blocking."""
    path = folders.root / "results.zip"
    temporary = path.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folders.output.glob("*.dose.vcf.gz*")):
            archive.write(file, "imputed.vcf.gz" + file.name.partition(".vcf.gz")[2])
        tables = sorted((folders.output / "statistics").glob("*.txt"))
        text = "".join(f"# {table.name}\n{table.read_text()}\n" for table in tables)
        archive.writestr("statistics.txt", text or "none\n")
        archive.writestr("log.txt", "\n".join(job.log) + "\n")
    if broken:
        content = temporary.read_bytes()
        temporary.write_bytes(content[: len(content) * 2 // 3])
    temporary.replace(path)
    return path


async def _own_job(request: web.Request) -> Job:
    identity = await auth.require(request)
    auth.block_in_maintenance(request, identity)
    job_id = request.match_info["id"]
    job = request.app[JOBS].book.find(job_id)
    if job is None:
        raise ApiError(404, f"Job {job_id} not found.")
    if job.user != identity.account.username:
        raise ApiError(403, "Access denied.")
    return job
