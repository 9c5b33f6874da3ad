"""Jobs as their owners see and handle them: looking, cancelling, trying again, deleting."""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from app.core.errors import Conflict, NotFound
from app.core.listing import JobOrder
from app.core.models import File, Job, StatusUpdate, build
from app.core.remote import RemoteMessage
from app.core.submission import Asked
from app.db.batches import BATCHES
from app.db.files import FILES
from app.db.jobs import (
    JOBS,
    JobDetail,
    JobFilter,
    PlacedFile,
    find_own_job,
    list_own_jobs,
    list_placed_files,
    list_updates,
    with_inputs,
)
from app.db.queries import Connection, Executor
from app.genotypes.facts import VcfFacts
from app.logs import redact
from app.usecases import audit
from app.usecases.creation import Label, create_job, facts_of, find_inputs, hand_over, judge_files
from app.usecases.deps import Actor, Deps
from app.usecases.engine.cancellation import request_cancel
from app.usecases.files import remove_bytes
from app.usecases.idempotency import Once
from app.usecases.ruling import Ruling, missing, rule

_CHECK = "Input check"


@dataclass(frozen=True, slots=True)
class JobLog:
    """Why a job stands where it stands, and what was said about it: by our check of its input, then by the remote."""

    job: Job
    messages: list[RemoteMessage]


async def get_own(db: Executor, actor: Actor, job_id: UUID) -> Job:
    """Give a job of the actor's. Raises NotFound."""
    job = await find_own_job(db, job_id, actor.id)
    if job is None:
        raise NotFound("There is no such job")
    return job


async def get_job(deps: Deps, actor: Actor, job_id: UUID) -> JobDetail:
    """Give a job of the actor's with its input files. Raises NotFound."""
    detail = await deps.job_details.get((job_id, actor.id))
    if detail is None:
        raise NotFound("There is no such job")
    return detail


async def list_jobs(
    deps: Deps,
    actor: Actor,
    wanted: JobFilter,
    *,
    order: JobOrder = JobOrder.NEWEST,
    limit: int,
    offset: int,
) -> tuple[list[JobDetail], int]:
    """Give a page of the actor's jobs and the number of all."""
    jobs, total = await list_own_jobs(
        deps.pool, actor.id, wanted, order=order, now=deps.now(), limit=limit, offset=offset
    )
    return await with_inputs(deps.pool, jobs), total


async def list_status_updates(
    deps: Deps, actor: Actor, job_id: UUID, *, limit: int, offset: int
) -> tuple[list[StatusUpdate], int]:
    """Give a page of a job's changes, newest first, and the number of all. Raises NotFound."""
    await get_own(deps.pool, actor, job_id)
    return await list_updates(deps.pool, job_id, limit=limit, offset=offset)


async def list_files(deps: Deps, actor: Actor, job_id: UUID) -> list[PlacedFile]:
    """Give a job's files, the archive of its results last. Raises NotFound."""
    await get_own(deps.pool, actor, job_id)
    return await list_placed_files(deps.pool, [job_id])


async def get_log(deps: Deps, actor: Actor, job_id: UUID) -> JobLog:
    """Give what was said about a job, redacted. Raises NotFound."""
    job = await get_own(deps.pool, actor, job_id)
    messages = []
    for row in await FILES.list_input_facts.rows(deps.pool, job_id=job_id):
        messages += _remarks(row["name"], row["facts"])
    for row in await JOBS.list_messages.rows(deps.pool, job_id=job_id):
        messages.append(RemoteMessage(row["step"], row["level"], redact(row["text"])))
    return JobLog(job, messages)


def _remarks(name: str, facts: object) -> list[RemoteMessage]:
    try:
        known = msgspec.convert(facts, VcfFacts)
    except msgspec.ValidationError:
        return []
    measured = f"{name}: chromosome {known.chromosome}, {known.n_samples} samples, {known.n_variants} variants"
    return [
        RemoteMessage(_CHECK, "ok", measured),
        *(
            RemoteMessage(_CHECK, "warning", f"{item.message} {item.action}".strip())
            for item in known.warnings
        ),
    ]


async def cancel_job(deps: Deps, actor: Actor, job_id: UUID) -> Job:
    """Ask for a job to be stopped. Raises NotFound, Conflict when it has ended."""
    await get_own(deps.pool, actor, job_id)
    job = await request_cancel(deps, job_id)
    await audit.record(
        deps.pool, "job.cancel_requested", actor=actor, resource_type="job", resource_id=job_id
    )
    return job


async def retry_job(deps: Deps, actor: Actor, job_id: UUID, once: Once | None) -> JobDetail:
    """Create a new job like one that has ended, from its stored input; service, panel and quotas are judged anew.

    Raises NotFound, Conflict when the job is open or its input is gone, NoCredentials, InvalidInput, QuotaExceeded.
    """
    old = await get_job(deps, actor, job_id)
    job = old.job
    if not job.is_final:
        raise Conflict(
            "The job has not ended yet", code="job_is_open", action="Cancel it before you retry it."
        )
    ruling, inputs = await judge_again(deps, actor, old)
    label = Label(job.name, job.description, retry_of=job.id)
    async with deps.pool.acquire() as conn, conn.transaction():
        if not await JOBS.hold_job.rows(conn, job_id=job.id):
            raise NotFound("There is no such job")
        detail = await create_job(deps, conn, actor, ruling, inputs, label)
        if once is not None:
            await once.remember(conn, detail)
    await hand_over(deps, detail.job)
    return detail


async def judge_again(deps: Deps, actor: Actor, old: JobDetail) -> tuple[Ruling, list[File]]:
    """Judge what a job asked for, and its stored input, as of now; its user's quotas are judged when the new one is made.

    Raises NotFound, Conflict when its panel or its input is gone, NoCredentials, InvalidInput.
    """
    ruling = await rule(deps, actor, _asked_again(old.job))
    inputs = await _stored_inputs(deps, actor, old)
    if ruling is None:
        raise missing("service_id", "Submit a new job.")
    judge_files(ruling, [await facts_of(deps, file) for file in inputs])
    return ruling, inputs


async def delete_job(deps: Deps, actor: Actor, job_id: UUID) -> None:
    """Forget a job that has ended, with the files that only it uses. Raises NotFound, Conflict while it is open."""
    async with deps.pool.acquire() as conn, conn.transaction():
        row = await JOBS.lock_own_job.row(conn, job_id=job_id, user_id=actor.id)
        if row is None:
            raise NotFound("There is no such job")
        if row["completed_at"] is None:
            raise Conflict(
                "The job has not ended yet",
                code="job_is_open",
                action="Cancel it before you delete it.",
            )
        keys = await forget_job(conn, actor, build(Job, row))
        if (batch_id := row["batch_id"]) is not None:
            await BATCHES.lock_batch.run(conn, batch_id=batch_id)
            await BATCHES.delete_empty.run(conn, batch_id=batch_id)
    await remove_bytes(deps, keys)


async def forget_job(conn: Connection, actor: Actor, job: Job) -> list[str | None]:
    """Delete a job that the caller has locked, with the files that only it uses; give the keys of their bytes."""
    # Two statements: the second sees what another job may have begun to use before the lock was ours.
    await FILES.lock_job_files.rows(conn, job_id=job.id)
    deleted = await FILES.delete_job_files.rows(conn, job_id=job.id)
    await JOBS.delete_job.run(conn, job_id=job.id)
    await audit.record(
        conn,
        "job.deleted",
        actor=actor,
        resource_type="job",
        resource_id=job.id,
        details={"name": job.name, "files": len(deleted)},
    )
    return [item["storage_key"] for item in deleted]


def _asked_again(job: Job) -> Asked:
    if job.reference_panel_id is None:
        raise Conflict(
            "The reference panel of the job no longer exists",
            code="panel_gone",
            action="Submit a new job with another panel.",
        )
    return Asked(
        name=job.name,
        description=job.description,
        service_id=job.service_id,
        reference_panel_id=job.reference_panel_id,
        build=job.build,
        phasing=(job.phasing_engine or True) if job.phasing else False,
        population=job.population,
        options=job.options,
    )


async def _stored_inputs(deps: Deps, actor: Actor, old: JobDetail) -> list[File]:
    needed = await JOBS.get_input_count.value(deps.pool, job_id=old.job.id)
    try:
        if len(old.inputs) == needed:
            return await find_inputs(deps, actor, [file.file_id for file in old.inputs])
    except NotFound:
        pass
    raise Conflict(
        "The input of the job is no longer stored",
        code="input_gone",
        action="Submit a new job with the file.",
    )
