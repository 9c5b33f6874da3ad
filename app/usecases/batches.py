"""Batches: the jobs made of one upload, created, looked at, cancelled, tried again and deleted together. Each job lives its own life."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.core.errors import AppError, Conflict, NotFound
from app.core.jobs import Status
from app.core.models import Batch, File, Job, build
from app.core.targets import Refusal, refuse_several
from app.db.batches import (
    BATCHES,
    BatchDetail,
    BatchFilter,
    BatchSummary,
    find_own_batch,
    list_jobs_of,
    list_own_batches,
)
from app.db.jobs import ensure_account, with_inputs
from app.db.queries import Connection, Executor
from app.usecases import audit
from app.usecases.creation import Label, create_job, hand_over, hold_user
from app.usecases.deps import Actor, Deps
from app.usecases.engine.cancellation import request_cancel
from app.usecases.files import remove_bytes
from app.usecases.idempotency import A_MOMENT, AlreadyDone, Once
from app.usecases.jobs import forget_job, judge_again
from app.usecases.ruling import Ruling, judge_open_jobs

_MAX_TRIES = 20
TRIED_AGAIN = frozenset({Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class Order:
    """One job of a batch that is to be created."""

    ruling: Ruling
    inputs: Sequence[File]
    name: str
    description: str | None = None
    retry_of: UUID | None = None


async def create_batch(
    deps: Deps, conn: Connection, actor: Actor, orders: Sequence[Order], label: Label
) -> BatchDetail:
    """Create a batch with all its jobs, in the caller's transaction. Raises NotFound, QuotaExceeded."""
    await hold_user(conn, actor)
    await _hold_former(conn, orders, label)
    # Two batches that open the shared accounts of the same services do it in the same order, and never wait for each other.
    accounts = {(item.ruling.service.id, item.ruling.account_user_id) for item in orders}
    for service_id, user_id in sorted(accounts, key=lambda account: account[0]):
        await ensure_account(conn, service_id, user_id)
    row = await BATCHES.insert_batch.row(
        conn,
        id=uuid4(),
        user_id=actor.id,
        name=label.name,
        description=label.description,
        retry_of=label.retry_of,
        now=deps.now(),
    )
    if row is None:
        raise LookupError("an insert gave no row")
    batch = build(Batch, row)
    jobs = [
        await create_job(
            deps,
            conn,
            actor,
            order.ruling,
            order.inputs,
            Label(
                order.name,
                label.description if order.description is None else order.description,
                order.retry_of,
                batch.id,
                position,
            ),
        )
        for position, order in enumerate(orders)
    ]
    await audit.record(
        conn,
        "batch.submitted" if batch.retry_of is None else "batch.retried",
        actor=actor,
        resource_type="batch",
        resource_id=batch.id,
        details={
            "job_ids": [str(detail.job.id) for detail in jobs],
            **({"retry_of": str(batch.retry_of)} if batch.retry_of is not None else {}),
        },
    )
    return BatchDetail(batch, jobs)


async def get_own_batch(db: Executor, actor: Actor, batch_id: UUID) -> Batch:
    """Give a batch of the actor's. Raises NotFound."""
    batch = await find_own_batch(db, batch_id, actor.id)
    if batch is None:
        raise NotFound("There is no such batch")
    return batch


async def get_batch(deps: Deps, actor: Actor, batch_id: UUID) -> BatchDetail:
    """Give a batch of the actor's with its jobs. Raises NotFound."""
    batch = await get_own_batch(deps.pool, actor, batch_id)
    jobs = await list_jobs_of(deps.pool, batch.id)
    return BatchDetail(batch, await with_inputs(deps.pool, jobs))


async def list_batches(
    deps: Deps, actor: Actor, wanted: BatchFilter, *, limit: int, offset: int
) -> tuple[list[BatchSummary], int]:
    """Give a page of the actor's batches, newest first, and the number of all."""
    return await list_own_batches(deps.pool, actor.id, wanted, limit=limit, offset=offset)


async def cancel_batch(deps: Deps, actor: Actor, batch_id: UUID) -> list[UUID]:
    """Ask for all open jobs of a batch to be stopped; give which. Raises NotFound, Conflict when all have ended."""
    batch = await get_own_batch(deps.pool, actor, batch_id)
    asked: list[UUID] = []
    for job in await list_jobs_of(deps.pool, batch.id):
        if job.is_final:
            continue
        try:
            await request_cancel(deps, job.id)
        except (Conflict, NotFound):
            continue  # it ended, or was deleted, meanwhile
        asked.append(job.id)
    if not asked:
        raise Conflict("All jobs of the batch have ended", code="batch_is_final")
    await audit.record(
        deps.pool,
        "batch.cancel_requested",
        actor=actor,
        resource_type="batch",
        resource_id=batch.id,
        details={"job_ids": [str(job_id) for job_id in asked]},
    )
    return asked


async def retry_batch(deps: Deps, actor: Actor, batch_id: UUID, once: Once | None) -> BatchDetail:
    """Create a new batch of the jobs that failed or were cancelled, like each of them; the others are left as they are.

    Raises NotFound, Conflict when there is none, and what trying one of them again raises, naming all that are refused.
    """
    old = await get_batch(deps, actor, batch_id)
    orders: list[Order] = []
    refusals: list[Refusal] = []
    for index, detail in enumerate(old.jobs):
        job = detail.job
        if job.status not in TRIED_AGAIN:
            continue
        try:
            ruling, inputs = await judge_again(deps, actor, detail)
        except AppError as error:
            refusals.append(Refusal(index, error, _place(job)))
        else:
            orders.append(Order(ruling, inputs, job.name, job.description, job.id))
    if refusals:
        raise refuse_several(refusals, "jobs")
    if not orders:
        raise Conflict(
            "No job of the batch has failed or was cancelled",
            code="nothing_to_retry",
            action="Wait until the open ones have ended, or submit a new batch.",
        )
    await judge_open_jobs(deps, actor, deps.pool, len(orders))
    label = Label(old.batch.name, old.batch.description, retry_of=old.batch.id)
    async with deps.pool.acquire() as conn, conn.transaction():
        made = await create_batch(deps, conn, actor, orders, label)
        if once is not None:
            await once.remember(conn, made)
    for detail in made.jobs:
        await hand_over(deps, detail.job)
    return made


async def retry_batch_once(deps: Deps, actor: Actor, batch_id: UUID) -> UUID:
    """Try a batch again unless that was done a moment ago; give the new batch. A double click makes one. Raises as `retry_batch`."""
    await get_own_batch(deps.pool, actor, batch_id)
    for time in range(_MAX_TRIES):  # a key is used up by a new batch that was deleted since
        newest = await BATCHES.find_newest_retry.row(deps.pool, batch_id=batch_id, user_id=actor.id)
        if newest is not None and newest["created_at"] > deps.now() - A_MOMENT:
            return UUID(str(newest["id"]))
        key = f"{batch_id}:{newest['id'] if newest else ''}:{time}"
        once = Once(
            user_id=actor.id,
            route="POST /ui/batches/{id}/retry",
            key=key,
            fingerprint=deps.vault.fingerprint(key.encode()),
            status=303,
            render=lambda made: {"id": str(made.batch.id)},
        )
        try:
            return (await retry_batch(deps, actor, batch_id, once)).batch.id
        except AlreadyDone:
            continue
    raise Conflict("The batch was tried again and again", action="Wait a day, or submit a new one.")


async def delete_batch(deps: Deps, actor: Actor, batch_id: UUID) -> None:
    """Forget a batch with its jobs and the files that only they use. Raises NotFound, Conflict while a job is open."""
    batch = await get_own_batch(deps.pool, actor, batch_id)
    keys: list[str | None] = []
    async with deps.pool.acquire() as conn, conn.transaction():
        rows = await BATCHES.lock_jobs.rows(conn, batch_id=batch.id)
        jobs = [build(Job, row) for row in rows]
        if not all(job.is_final for job in jobs):
            raise Conflict(
                "Not all jobs of the batch have ended",
                code="batch_is_open",
                action="Cancel it before you delete it.",
            )
        for job in jobs:
            keys += await forget_job(conn, actor, job)
        if not await BATCHES.delete_batch.run(conn, batch_id=batch.id):
            raise NotFound("There is no such batch")
        await audit.record(
            conn,
            "batch.deleted",
            actor=actor,
            resource_type="batch",
            resource_id=batch.id,
            details={"name": batch.name, "job_ids": [str(job.id) for job in jobs]},
        )
    await remove_bytes(deps, keys)


async def _hold_former(conn: Connection, orders: Sequence[Order], label: Label) -> None:
    """Keep what is tried again from being deleted now; jobs before their batch, as `delete_batch` takes them."""
    former = [order.retry_of for order in orders if order.retry_of is not None]
    if former and len(await BATCHES.hold_jobs.rows(conn, ids=former)) != len(former):
        raise NotFound("A job of the batch was deleted meanwhile")
    batch_id = label.retry_of
    if batch_id is not None and not await BATCHES.hold_batch.rows(conn, batch_id=batch_id):
        raise NotFound("There is no such batch")


def _place(job: Job) -> dict[str, object]:
    return {
        "job_id": job.id,
        "service_id": job.service_id,
        "reference_panel_id": job.reference_panel_id,
        "panel_name": job.panel_name,
    }
