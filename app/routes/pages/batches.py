"""A batch: one upload that went to several services, its jobs side by side."""

from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.errors import AppError
from app.core.jobs import Status
from app.db.batches import BatchDetail
from app.usecases import batches
from app.usecases.batches import TRIED_AGAIN
from app.usecases.catalogue import EVERY_SERVICE, list_services
from app.web.endpoint import UUID_PATTERN, Call, Endpoint
from app.web.pages import Form, action, is_fragment, page, render, see_other
from app.web.problem import status_of

BATCH = f"/ui/batches/{{id:{UUID_PATTERN}}}"


async def show(call: Call) -> web.Response:
    """Give the page of a batch; to a page that asks for a part, all that changes on it."""
    template = "_partials/batch.html" if is_fragment(call.request) else "pages/batch.html"
    return await render(call, template, **await _context(call))


async def ask_cancel(call: Call) -> web.Response:
    return await render(call, "pages/batch_cancel.html", form=Form(), **await _context(call))


async def cancel(call: Call) -> web.Response:
    return await _act(call, "cancel")


async def ask_retry(call: Call) -> web.Response:
    return await render(call, "pages/batch_retry.html", form=Form(), **await _context(call))


async def retry(call: Call) -> web.Response:
    return await _act(call, "retry")


async def ask_delete(call: Call) -> web.Response:
    return await render(call, "pages/batch_delete.html", form=Form(), **await _context(call))


async def delete(call: Call) -> web.Response:
    return await _act(call, "delete")


async def _act(call: Call, what: str) -> web.Response:
    batch_id = call.path_uuid("id")
    context = await _context(call)
    try:
        if what == "cancel":
            await batches.cancel_batch(call.deps, call.actor, batch_id)
            return see_other(_url(batch_id), done="batch-cancelling")
        if what == "retry":
            made = await batches.retry_batch_once(call.deps, call.actor, batch_id)
            return see_other(_url(made), done="batch-retried")
        await batches.delete_batch(call.deps, call.actor, batch_id)
    except AppError as error:
        form = Form(call.fields).refuse(error)
        template = f"pages/batch_{what}.html"
        return await render(call, template, status=status_of(error), form=form, **context)
    return see_other("/ui/jobs", done="batch-deleted")


async def _context(call: Call) -> dict[str, Any]:
    found = await batches.get_batch(call.deps, call.actor, call.path_uuid("id"))
    services, _ = await list_services(
        call.deps, is_active=None, api_type=None, limit=EVERY_SERVICE, offset=0
    )
    return {
        "batch": found.batch,
        "summary": found.summary,
        "details": found.jobs,
        "services": {service.id: service for service in services},
        "progress": _progress(found),
        "open_ones": [item.job for item in found.jobs if not item.job.is_final],
        "to_retry": [item.job for item in found.jobs if item.job.status in TRIED_AGAIN],
        "comparable": sum(item.job.status is Status.COMPLETED for item in found.jobs) > 1,
    }


def _progress(found: BatchDetail) -> int:
    """Give how far all jobs are together; one that ended is not waited for any longer."""
    if not found.jobs:
        return 100
    done = sum(100 if item.job.is_final else item.job.progress_percentage for item in found.jobs)
    return done // len(found.jobs)


def _url(batch_id: UUID) -> str:
    return f"/ui/batches/{batch_id}"


PAGES: tuple[Endpoint, ...] = (
    page(BATCH, show, "batch", "A batch: its jobs side by side"),
    page(f"{BATCH}/cancel", ask_cancel, "batch_cancel", "Ask before a batch is cancelled"),
    action(f"{BATCH}/cancel", cancel, "batch_cancel_post", "Cancel the open jobs of a batch"),
    page(f"{BATCH}/retry", ask_retry, "batch_retry", "Ask before a batch is tried again"),
    action(f"{BATCH}/retry", retry, "batch_retry_post", "Try the failed jobs of a batch again"),
    page(f"{BATCH}/delete", ask_delete, "batch_delete", "Ask before a batch is deleted"),
    action(f"{BATCH}/delete", delete, "batch_delete_post", "Delete a batch with its jobs"),
)
