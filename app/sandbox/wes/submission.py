"""``POST /runs``: the body is stored as it comes, then checked, then run."""

import asyncio
import shutil
from pathlib import Path

from aiohttp import web

from app.sandbox.cloudgene.submission import drop_connection
from app.sandbox.engine.pipeline import PIPELINE_VERSION
from app.sandbox.jobs.model import Job
from app.sandbox.keys import BOX, CONFIG, JOBS, STATS
from app.sandbox.multipart import Form, Malformed, TooLarge, read_form
from app.sandbox.wes import auth
from app.sandbox.wes.auth import Caller
from app.sandbox.wes.errors import WesError
from app.sandbox.wes.order import Order, read_order

_MULTIPART = "multipart/form-data"
_URLENCODED = "application/x-www-form-urlencoded"


async def submit(request: web.Request) -> web.StreamResponse:
    """Take a run in, by multipart with attachments or by a form without."""
    box, stats, jobs = request.app[BOX], request.app[STATS], request.app[JOBS]
    if box.strikes("drop_submit"):
        stats.submissions_dropped += 1
        return drop_connection(request)
    caller = await auth.require(request)
    folder = await jobs.new_upload()
    try:
        form = await _read(request, folder)
        job = await _accept(request, caller, form, folder)
    except ConnectionError:
        return drop_connection(request)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return await _answer(request, job)


async def _read(request: web.Request, folder: Path) -> Form:
    if request.content_type == _URLENCODED:
        posted = await request.post()
        return Form(texts=[(k, v) for k, v in posted.items() if isinstance(v, str)])
    if request.content_type != _MULTIPART:
        raise WesError(415, f"Send {_MULTIPART}.")
    try:
        form = await read_form(request, folder, request.app[CONFIG].upload_limit_bytes)
    except TooLarge:
        raise WesError(413) from None
    except Malformed:
        raise WesError(400, "The multipart body cannot be read.") from None
    request.app[STATS].uploads += 1
    request.app[STATS].upload_bytes += form.stored_bytes
    return form


async def _accept(request: web.Request, caller: Caller, form: Form, folder: Path) -> Job:
    config, box, jobs = request.app[CONFIG], request.app[BOX], request.app[JOBS]
    limit = box.faults.quota if box.faults.quota is not None else config.max_jobs_per_user
    if limit and not caller.sees_all and jobs.book.count_open(caller.username) >= limit:
        raise WesError(429, f"Only {limit} runs per user can be executed simultaneously.")
    order = read_order(form.texts, form.files, config, keep_tags=not box.faults.wes_drop_tags)
    await asyncio.to_thread(_keep_inputs, folder, order)
    return await jobs.submit(
        user=caller.username,
        application=f"{order.wes.request['workflow_url']} {PIPELINE_VERSION}",
        application_id=order.wes.request["workflow_url"],
        user_agent=request.headers.get("User-Agent", ""),
        inputs={**order.inputs, "job-name": order.name},
        upload=folder,
        wes=order.wes,
    )


def _keep_inputs(folder: Path, order: Order) -> None:
    """Remove attachments that are not input, such as workflow files: the engine takes every VCF it finds."""
    for file in folder.iterdir():
        if file.name not in order.attached:
            file.unlink()


async def _answer(request: web.Request, job: Job) -> web.StreamResponse:
    box = request.app[BOX]
    if box.strikes("lose_submit_answer"):
        request.app[STATS].answers_lost += 1
        return drop_connection(request)
    if box.strikes("fail_submit_after"):
        raise WesError(500)
    await asyncio.sleep(box.faults.submit_hangs_s)
    return web.json_response({"run_id": job.id})
