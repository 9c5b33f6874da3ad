"""What the owner of a job decides that may be running at its service: which run it is, or that there is none."""

from uuid import UUID

from app.adapters.base import AdapterError
from app.core.changes import Change
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.jobs import Stage
from app.core.models import Job, build
from app.core.remote import RemoteState, RemoteStatus, is_remote_id, is_remote_name
from app.db.engine import ENGINE, get_account
from app.db.jobs import JobDetail, find_own_job, with_inputs
from app.db.queries import Connection
from app.usecases import audit
from app.usecases.deps import Actor, Deps
from app.usecases.engine.changes import hand_on, record
from app.usecases.engine.recovery import accepted, send_again
from app.usecases.engine.remote import get_service, open_remote
from app.usecases.files import remove_bytes
from app.usecases.remote_errors import as_app_error


async def adopt(deps: Deps, actor: Actor, job_id: UUID, external_id: str) -> JobDetail:
    """Go on with a run at the service, of which the job's owner knows the id.

    Raises NotFound (also when the service does not know the run), InvalidInput, NoCredentials, Unavailable, and Conflict when the
    job does not wait for a decision or the run is another job's.
    """
    job = await _get_undecided(deps, actor, job_id)
    external_id = external_id.strip()
    if not is_remote_id(external_id):
        raise InvalidInput(
            "This can be no run id",
            code="invalid_run_id",
            action="Give the id as the service shows it: letters, digits and . _ : ~ -",
        )
    status = await _ask(deps, job, external_id)
    async with deps.pool.acquire() as conn, conn.transaction():
        await ENGINE.hold_service.row(conn, service_id=job.service_id)
        taken = await _take(deps, conn, job)
        await _ensure_free(conn, taken, external_id, status)
        said = "Its owner named the run at the external service"
        change = accepted(deps, external_id, said)
        written = await _write(deps, conn, taken, change)
        await _note(conn, actor, written, "job.adopted", external_job_id=external_id)
    await ENGINE.wake_deferred.run(deps.pool, account_id=job.account_id, now=deps.now())
    await hand_on(deps, taken, written, change)
    return (await with_inputs(deps.pool, [written]))[0]


async def resubmit(deps: Deps, actor: Actor, job_id: UUID) -> JobDetail:
    """Send a job again whose owner says that it does not run at the service.

    Its former links end, and what was pushed by them is forgotten: should it run there after all, it cannot touch the new run.
    Raises NotFound, and Conflict when the job does not wait for a decision.
    """
    job = await _get_undecided(deps, actor, job_id)
    change = send_again(
        deps, "Its owner says that the service does not have the job; sending it again"
    )
    async with deps.pool.acquire() as conn, conn.transaction():
        taken = await _take(deps, conn, job)
        written = await _write(deps, conn, taken, change)
        await ENGINE.revoke_remote_links.run(conn, job_id=job.id, now=deps.now())
        pushed = await ENGINE.list_pushed.rows(conn, job_id=job.id)
        await ENGINE.delete_pushed.run(conn, ids=[row["id"] for row in pushed])
        await _note(conn, actor, written, "job.resubmitted", dropped_files=len(pushed))
    await remove_bytes(deps, [row["storage_key"] for row in pushed])
    await hand_on(deps, taken, written, change)
    await deps.enqueue("submit_next", job.account_id, key=f"slot:{job.id}")
    return (await with_inputs(deps.pool, [written]))[0]


async def _get_undecided(deps: Deps, actor: Actor, job_id: UUID) -> Job:
    job = await find_own_job(deps.pool, job_id, actor.id)
    if job is None:
        raise NotFound("There is no such job")
    if job.stage is not Stage.DECISION_NEEDED or job.cancel_requested_at is not None:
        raise _no_decision(job)
    return job


def _no_decision(job: Job) -> Conflict:
    return Conflict(
        f"The job does not wait for a decision: it is {job.status}",
        code="no_decision_needed",
        action="Look at its stage; only decision_needed is decided.",
    )


async def _ask(deps: Deps, job: Job, external_id: str) -> RemoteStatus:
    """Look at a run. Raises NotFound when the service does not know it, NoCredentials, and what an adapter's error becomes."""
    service = await get_service(deps, job.service_id)
    try:
        remote = await open_remote(deps, job, await get_account(deps.pool, job.account_id))
        status = await remote.adapter.status(external_id)
    except AdapterError as error:
        raise as_app_error(service.name, error) from error
    if status.state in (RemoteState.GONE, RemoteState.MISSING):
        raise NotFound(
            f"{service.name} does not know this run",
            code="remote_not_found",
            action="Give the id as the service shows it.",
        )
    return status


async def _take(deps: Deps, conn: Connection, job: Job) -> Job:
    row = await ENGINE.claim_decision.row(conn, job_id=job.id, now=deps.now())
    if row is None:
        raise Conflict(
            "The job is being looked for at this moment, or no longer waits for a decision",
            code="no_decision_needed",
            action="Look at it again in a minute.",
        )
    return build(Job, row)


async def _ensure_free(conn: Connection, job: Job, external_id: str, status: RemoteStatus) -> None:
    """Raise Conflict for a run of another job of ours, whoever's: its results are not this owner's."""
    holder = await ENGINE.find_holder.value(
        conn,
        service_id=job.service_id,
        job_id=job.id,
        external_id=external_id,
        remote_name=status.name,
    )
    told = status.name or ""
    is_foreign = told != job.remote_name and is_remote_name(told)  # of a job that was deleted here
    if holder is not None or is_foreign:
        raise Conflict("This run is another job's", code="run_taken")


async def _write(deps: Deps, conn: Connection, job: Job, change: Change) -> Job:
    written = await record(deps, conn, job, change)
    if written is None:
        raise LookupError("a job that was just claimed is gone")
    return written


async def _note(conn: Connection, actor: Actor, job: Job, act: str, **details: object) -> None:
    await audit.record(
        conn, act, actor=actor, resource_type="job", resource_id=job.id, details=details
    )
