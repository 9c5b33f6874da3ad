"""What an owner does with a job: cancel, delete, try again, decide. Each has a page that asks first, and takes a second press calmly."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web

from app.core.errors import AppError, Conflict, InvalidInput, NotFound
from app.core.jobs import Stage
from app.core.models import Job
from app.routes.pages.job import JOB
from app.usecases import catalogue, decisions, jobs
from app.usecases.job_view import list_retries, retry_once
from app.web.endpoint import Call, Endpoint
from app.web.pages import Form, action, page, render, see_other
from app.web.problem import status_of


class AdoptForm(msgspec.Struct, frozen=True, kw_only=True):
    external_job_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class RetryForm(msgspec.Struct, frozen=True, kw_only=True):
    """`known`: how many retries of the job there were when the page was made."""

    known: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a page asks before something is done. `word` names the act in its address."""

    word: str
    title: str
    text: str
    button: str
    kind: str
    """The button's look."""
    keep: str = "Keep it"


CANCEL = Question(
    "cancel",
    "Cancel this job?",
    "It is stopped here and at the service, and no results are kept. Its input stays stored, so that you can run it again.",
    "Cancel the job",
    "danger",
    "Let it run",
)
DELETE = Question(
    "delete",
    "Delete this job?",
    "The job, its results and its reports are deleted for good, and links to them end. Input files that you uploaded for"
    " themselves, or that other jobs use, stay.",
    "Delete it for good",
    "danger",
)
RETRY = Question(
    "retry",
    "Run this job again?",
    "A new job is made from the stored input, with the same service, panel and options. This one stays as it ended.",
    "Run it again",
    "",
    "Not now",
)
RESUBMIT = Question(
    "resubmit",
    "Send the job again?",
    "Do this only if you have looked at the service and the job does not run there. If it does, it runs twice; the former"
    " run can then no longer hand its results to this job.",
    "It does not run there: send it again",
    "danger",
    "Go back",
)


def _path(job_id: UUID) -> str:
    return f"/ui/jobs/{job_id}"


async def _ask(
    call: Call, question: Question, job: Job, error: AppError | None = None
) -> web.Response:
    retries = await list_retries(call.deps, call.actor, job.id)
    return await render(
        call,
        "pages/job_question.html",
        status=status_of(error) if error else 200,
        question=question,
        job=job,
        service=await catalogue.get_service(call.deps, job.service_id),
        retries=retries,
        form=Form().refuse(error) if error else Form(),
    )


async def ask_cancel(call: Call) -> web.Response:
    job = await _own(call)
    if job.is_final:
        return see_other(_path(job.id), done="job-ended")
    return await _ask(call, CANCEL, job)


async def cancel(call: Call) -> web.Response:
    job_id = call.path_uuid("id")
    try:
        await jobs.cancel_job(call.deps, call.actor, job_id)
    except Conflict:
        return see_other(_path(job_id), done="job-ended")
    return see_other(_path(job_id), done="job-cancelling")


async def ask_delete(call: Call) -> web.Response:
    job = await _own(call)
    return await _ask(call, DELETE, job, None if job.is_final else _still_open())


async def delete(call: Call) -> web.Response:
    try:
        await jobs.delete_job(call.deps, call.actor, call.path_uuid("id"))
    except Conflict as error:
        return await _ask(call, DELETE, await _own(call), error)
    except NotFound:
        return await render(call, "pages/job_gone.html", status=404)
    return see_other("/ui/jobs", done="job-deleted")


async def ask_retry(call: Call) -> web.Response:
    job = await _own(call)
    return await _ask(call, RETRY, job, None if job.is_final else _still_open())


async def retry(call: Call) -> web.Response:
    known = Form(call.fields).read(RetryForm).known
    job = await _own(call)
    try:
        new_id, is_new = await retry_once(
            call.deps,
            call.actor,
            job.id,
            int(known) if known.isascii() and known.isdecimal() and len(known) < 5 else 0,
        )
    except AppError as error:
        return await _ask(call, RETRY, job, error)
    return see_other(_path(new_id), done="job-retried" if is_new else "job-retried-before")


async def ask_resubmit(call: Call) -> web.Response:
    job = await _own(call)
    if job.stage is not Stage.DECISION_NEEDED:
        return see_other(_path(job.id), done="job-decided")
    return await _ask(call, RESUBMIT, job)


async def resubmit(call: Call) -> web.Response:
    job_id = call.path_uuid("id")
    try:
        await decisions.resubmit(call.deps, call.actor, job_id)
    except Conflict:
        return see_other(_path(job_id), done="job-decided")
    return see_other(_path(job_id), done="job-resubmitted")


async def ask_adopt(call: Call) -> web.Response:
    job = await _own(call)
    if job.stage is not Stage.DECISION_NEEDED:
        return see_other(_path(job.id), done="job-decided")
    return await _show_adopt(call, job, Form())


async def adopt(call: Call) -> web.Response:
    job = await _own(call)
    form = Form(call.fields)
    try:
        wanted = form.read(AdoptForm)
        await decisions.adopt(call.deps, call.actor, job.id, wanted.external_job_id)
    except AppError as error:
        if error.code == "no_decision_needed":
            return see_other(_path(job.id), done="job-decided")
        form.refuse(error)
        if isinstance(error, InvalidInput | NotFound | Conflict):  # of the id, and told there
            said = ". ".join(part.rstrip(".") for part in (form.message, form.action) if part)
            form.errors.setdefault("external_job_id", f"{said}.")
            form.message = None
        return await _show_adopt(call, job, form, status_of(error))
    return see_other(_path(job.id), done="job-adopted")


async def _show_adopt(call: Call, job: Job, form: Form, status: int = 200) -> web.Response:
    service = await catalogue.get_service(call.deps, job.service_id)
    return await render(
        call, "pages/job_adopt.html", status=status, job=job, service=service, form=form
    )


async def _own(call: Call) -> Job:
    return await jobs.get_own(call.deps.pool, call.actor, call.path_uuid("id"))


def _still_open() -> Conflict:
    return Conflict(
        "The job has not ended yet", code="job_is_open", action="Wait until it has, or cancel it."
    )


PAGES: tuple[Endpoint, ...] = (
    page(f"{JOB}/cancel", ask_cancel, "job_cancel", "Ask before a job is cancelled"),
    action(f"{JOB}/cancel", cancel, "job_cancel_post", "Cancel a job"),
    page(f"{JOB}/delete", ask_delete, "job_delete", "Ask before a job is deleted"),
    action(f"{JOB}/delete", delete, "job_delete_post", "Delete a job"),
    page(f"{JOB}/retry", ask_retry, "job_retry", "Ask before a job is tried again"),
    action(f"{JOB}/retry", retry, "job_retry_post", "Try a job again"),
    page(f"{JOB}/resubmit", ask_resubmit, "job_resubmit", "Ask before a job is sent again"),
    action(f"{JOB}/resubmit", resubmit, "job_resubmit_post", "Send a job again"),
    page(f"{JOB}/adopt", ask_adopt, "job_adopt", "Ask which run at the service a job is"),
    action(f"{JOB}/adopt", adopt, "job_adopt_post", "Say which run at the service a job is"),
)
