"""Jobs: submitting, following, results."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from aiohttp import web

from app.core.errors import InvalidInput
from app.core.jobs import Status
from app.core.listing import JobOrder
from app.db.batches import BatchDetail
from app.db.jobs import JobDetail, JobFilter
from app.routes.api.batch_views import BatchOut
from app.routes.api.job_form import FORM, MADE
from app.routes.api.job_views import (
    AdoptIn,
    CancelOut,
    JobFileOut,
    JobLogOut,
    JobOut,
    ResultsOut,
    StatusUpdateOut,
)
from app.routes.api.transfer import UPLOAD, deliver, is_gone
from app.usecases import decisions, files, jobs
from app.usecases.intake import Intake
from app.usecases.results import get_results
from app.usecases.submission import JobForm, is_repeat
from app.web.accept import wants_json
from app.web.endpoint import UUID_PATTERN, Call, Endpoint, Id, Page, Paging, json_response
from app.web.upload import UploadLimits, read_form

_ID = f"{{id:{UUID_PATTERN}}}"


class JobsQuery(Paging, frozen=True, kw_only=True):
    """`status` may name several, separated by commas; `q` looks for a part of name, description or id.

    Created at `since` or later, and before `until`.
    """

    status: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    service_id: Id | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    since: datetime | None = None
    until: datetime | None = None
    batch_id: Annotated[str, msgspec.Meta(max_length=36)] | None = None
    sort: JobOrder = JobOrder.NEWEST

    def filter(self) -> JobFilter:
        """Give which jobs are meant. Raises InvalidInput."""
        return JobFilter(
            statuses=_statuses(self.status),
            service_id=self.service_id,
            since=_in_utc("since", self.since),
            until=_in_utc("until", self.until),
            text=self.q,
            batch_id=_batch_id(self.batch_id),
        )


def _statuses(text: str | None) -> tuple[str, ...] | None:
    words = tuple(word.strip().lower() for word in (text or "").split(",") if word.strip())
    if any(word not in list(Status) for word in words):
        raise InvalidInput("status: not a status", action=f"Choose: {', '.join(Status)}.")
    return words or None


def _batch_id(text: str | None) -> UUID | None:
    if text is None:
        return None
    if not re.fullmatch(UUID_PATTERN, text):
        raise InvalidInput("batch_id: not the id of a batch", action="GET /batches lists yours.")
    return UUID(text)


def _in_utc(name: str, time: datetime | None) -> datetime | None:
    if time is None:
        return None
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{name}: not a time that can be") from None


async def submit(call: Call) -> Any:
    deps, actor = call.deps, call.actor
    repeats = await is_repeat(deps, actor, call.endpoint.route, call.idempotency_key)
    async with Intake(deps, actor) as intake:
        form = JobForm(deps, actor, intake, is_repeat=repeats)
        await read_form(call.request, form, UploadLimits.of(deps.settings))
        if (replayed := await call.replay(form.content())) is not None:
            return replayed
        once = call.once(lambda made: _show_made(call, made))
        return _show_made(call, await form.submit(once, lambda: is_gone(call)))


def _show_made(call: Call, made: JobDetail | BatchDetail) -> JobOut | BatchOut:
    if isinstance(made, BatchDetail):
        return BatchOut.of(made, call.deps.now())
    return _show(call, made)


def _show(call: Call, detail: JobDetail) -> JobOut:
    return JobOut.of(detail, call.deps.now())


async def list_jobs(call: Call) -> Page:
    query: JobsQuery = call.query
    found, total = await jobs.list_jobs(
        call.deps,
        call.actor,
        query.filter(),
        order=query.sort,
        limit=query.limit,
        offset=query.offset,
    )
    return Page([_show(call, detail) for detail in found], total)


async def get_job(call: Call) -> JobOut:
    return _show(call, await jobs.get_job(call.deps, call.actor, _id(call)))


async def list_status_updates(call: Call) -> Page:
    paging: Paging = call.query
    found, total = await jobs.list_status_updates(
        call.deps, call.actor, _id(call), limit=paging.limit, offset=paging.offset
    )
    return Page(
        [msgspec.convert(item, StatusUpdateOut, from_attributes=True) for item in found], total
    )


async def list_files(call: Call) -> list[JobFileOut]:
    found = await jobs.list_files(call.deps, call.actor, _id(call))
    return [JobFileOut.of(file, call.deps.settings.base_url) for file in found]


async def get_log(call: Call) -> JobLogOut:
    return JobLogOut.of(await jobs.get_log(call.deps, call.actor, _id(call)))


async def results(call: Call) -> web.StreamResponse:
    found = await get_results(call.deps, call.actor, _id(call))
    if not wants_json(call.request.headers.get("Accept")):
        return await deliver(call, found.get_archive(), call.actor)
    url = None
    if found.archive is not None:
        url = (await files.sign_link(call.deps, call.actor, found.archive)).url
    return json_response(ResultsOut.of(found, url, call.deps.settings.base_url))


async def cancel(call: Call) -> CancelOut:
    job = await jobs.cancel_job(call.deps, call.actor, _id(call))
    return CancelOut(message="Job cancellation initiated", job_id=job.id)


async def retry(call: Call) -> JobOut:
    once = call.once(lambda made: _show(call, made))
    return _show(call, await jobs.retry_job(call.deps, call.actor, _id(call), once))


async def adopt(call: Call) -> JobOut:
    body: AdoptIn = call.body
    return _show(
        call, await decisions.adopt(call.deps, call.actor, _id(call), body.external_job_id)
    )


async def resubmit(call: Call) -> JobOut:
    return _show(call, await decisions.resubmit(call.deps, call.actor, _id(call)))


async def delete(call: Call) -> None:
    await jobs.delete_job(call.deps, call.actor, _id(call))


def _id(call: Call) -> UUID:
    return call.path_uuid("id")


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/jobs",
        submit,
        "jobs.submit",
        "Submit a job, or with targets a batch. Fields that come before the files are judged before the files are read",
        status=201,
        tag="jobs",
        raw_body=UPLOAD,
        creates=True,
        openapi={
            "requestBody": {"content": {UPLOAD: {"schema": FORM}}},
            "responses": {"201": {"content": {"application/json": {"schema": MADE}}}},
        },
    ),
    Endpoint(
        "GET",
        "/jobs",
        list_jobs,
        "jobs.list",
        "The own jobs, newest first unless sorted otherwise",
        query=JobsQuery,
        response=list[JobOut],
        tag="jobs",
    ),
    Endpoint("GET", f"/jobs/{_ID}", get_job, "jobs.get", "A job", response=JobOut, tag="jobs"),
    Endpoint(
        "GET",
        f"/jobs/{_ID}/status-updates",
        list_status_updates,
        "jobs.list_status_updates",
        "What happened to a job, newest first",
        query=Paging,
        response=list[StatusUpdateOut],
        tag="jobs",
    ),
    Endpoint(
        "GET",
        f"/jobs/{_ID}/results",
        results,
        "jobs.results",
        "The results as a ZIP; asked for application/json, what it holds and a link that needs no sign-in",
        response=ResultsOut,
        tag="jobs",
        openapi={"responses": {"200": {"content": {"application/zip": {}}}}},
    ),
    Endpoint(
        "GET",
        f"/jobs/{_ID}/files",
        list_files,
        "jobs.list_files",
        "Every file of a job: inputs, results, quality control, the archive",
        response=list[JobFileOut],
        tag="jobs",
    ),
    Endpoint(
        "GET",
        f"/jobs/{_ID}/logs",
        get_log,
        "jobs.log",
        "What our check and the service said about a job",
        response=JobLogOut,
        tag="jobs",
    ),
    Endpoint(
        "POST",
        f"/jobs/{_ID}/cancel",
        cancel,
        "jobs.cancel",
        "Stop a job, here and at the service",
        response=CancelOut,
        status=202,
        tag="jobs",
    ),
    Endpoint(
        "POST",
        f"/jobs/{_ID}/retry",
        retry,
        "jobs.retry",
        "Create a new job like one that has ended, from its stored input",
        response=JobOut,
        status=201,
        tag="jobs",
        creates=True,
    ),
    Endpoint(
        "POST",
        f"/jobs/{_ID}/adopt",
        adopt,
        "jobs.adopt",
        "Say which run at the service a job is, of which no clear answer came (stage decision_needed)",
        body=AdoptIn,
        response=JobOut,
        tag="jobs",
    ),
    Endpoint(
        "POST",
        f"/jobs/{_ID}/resubmit",
        resubmit,
        "jobs.resubmit",
        "Say that a job does not run at the service (stage decision_needed): it is sent again",
        response=JobOut,
        tag="jobs",
    ),
    Endpoint(
        "DELETE",
        f"/jobs/{_ID}",
        delete,
        "jobs.delete",
        "Delete a job that has ended, with the files that only it uses",
        status=204,
        tag="jobs",
    ),
)
