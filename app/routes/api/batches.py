"""Batches: one upload that went to several services."""

from typing import Annotated
from uuid import UUID

import msgspec

from app.core.batches import BatchStatus
from app.core.errors import InvalidInput
from app.db.batches import BatchFilter
from app.routes.api.batch_views import BatchCancelOut, BatchOut, BatchSummaryOut
from app.usecases import batches
from app.web.endpoint import UUID_PATTERN, Call, Endpoint, Page, Paging

_ID = f"{{id:{UUID_PATTERN}}}"


class BatchesQuery(Paging, frozen=True, kw_only=True):
    """`status` may name several, separated by commas; `q` looks for a part of name, description or id."""

    status: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None

    def filter(self) -> BatchFilter:
        """Give which batches are meant. Raises InvalidInput."""
        words = [word.strip().lower() for word in (self.status or "").split(",") if word.strip()]
        if any(word not in list(BatchStatus) for word in words):
            raise InvalidInput(
                "status: not a status of a batch", action=f"Choose: {', '.join(BatchStatus)}."
            )
        return BatchFilter(tuple(BatchStatus(word) for word in words) or None, self.q)


async def list_batches(call: Call) -> Page:
    query: BatchesQuery = call.query
    found, total = await batches.list_batches(
        call.deps, call.actor, query.filter(), limit=query.limit, offset=query.offset
    )
    return Page([BatchSummaryOut.of(summary) for summary in found], total)


async def get_batch(call: Call) -> BatchOut:
    found = await batches.get_batch(call.deps, call.actor, _id(call))
    return BatchOut.of(found, call.deps.now())


async def cancel(call: Call) -> BatchCancelOut:
    batch_id = _id(call)
    asked = await batches.cancel_batch(call.deps, call.actor, batch_id)
    return BatchCancelOut(message="Batch cancellation initiated", batch_id=batch_id, job_ids=asked)


async def retry(call: Call) -> BatchOut:
    once = call.once(lambda made: BatchOut.of(made, call.deps.now()))
    made = await batches.retry_batch(call.deps, call.actor, _id(call), once)
    return BatchOut.of(made, call.deps.now())


async def delete(call: Call) -> None:
    await batches.delete_batch(call.deps, call.actor, _id(call))


def _id(call: Call) -> UUID:
    return call.path_uuid("id")


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/batches",
        list_batches,
        "batches.list",
        "The own batches, newest first",
        query=BatchesQuery,
        response=list[BatchSummaryOut],
        tag="batches",
    ),
    Endpoint(
        "GET",
        f"/batches/{_ID}",
        get_batch,
        "batches.get",
        "A batch with its jobs",
        response=BatchOut,
        tag="batches",
    ),
    Endpoint(
        "POST",
        f"/batches/{_ID}/cancel",
        cancel,
        "batches.cancel",
        "Stop the jobs of a batch that have not ended",
        response=BatchCancelOut,
        status=202,
        tag="batches",
    ),
    Endpoint(
        "POST",
        f"/batches/{_ID}/retry",
        retry,
        "batches.retry",
        "Create a new batch of the jobs that failed or were cancelled, from their stored input",
        response=BatchOut,
        status=201,
        tag="batches",
        creates=True,
    ),
    Endpoint(
        "DELETE",
        f"/batches/{_ID}",
        delete,
        "batches.delete",
        "Delete a batch that has ended, with its jobs and the files that only they use",
        status=204,
        tag="batches",
    ),
)
