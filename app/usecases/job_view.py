"""A job with all that its page shows: one look at it, and what a page's buttons need beyond the plain use cases."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.errors import Conflict, NotFound
from app.core.jobs import Status
from app.core.models import File, Job, Service, StatusUpdate
from app.core.remote import RemoteMessage
from app.core.result_kinds import is_report
from app.db.batches import find_own_batch
from app.db.jobs import JOBS, JobDetail, PlacedFile, list_placed_files, list_updates
from app.usecases import catalogue, files, jobs, results
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import AlreadyDone, Once
from app.usecases.results import HeldFile

MAX_UPDATES = 500
_MAX_RETRIES = 20
_ROUTE = "POST /ui/jobs/{id}/retry"


@dataclass(frozen=True, slots=True)
class Retry:
    """A job that was made of another one by trying it again."""

    id: UUID
    name: str
    status: Status
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JobView:
    """A job and what belongs to it. `updates` are its newest changes, newest first, of `total_updates`.

    `files` are what came of it, without its inputs; `sums` the members of `archive` with their SHA-256.
    """

    detail: JobDetail
    service: Service
    updates: list[StatusUpdate]
    total_updates: int
    messages: list[RemoteMessage]
    files: list[PlacedFile]
    archive: File | None
    sums: tuple[tuple[str, str], ...]
    held: list[HeldFile]
    retries: list[Retry]
    batch_name: str | None
    has_input: bool

    @property
    def job(self) -> Job:
        return self.detail.job

    @property
    def mark(self) -> str:
        """What changes whenever the page does."""
        newest = self.updates[0].id if self.updates else 0
        return f"{newest}-{self.job.updated_at.timestamp():.6f}-{len(self.retries)}"

    @property
    def report(self) -> PlacedFile | None:
        """The service's report that can be shown on the page, if there is one."""
        return next((item for item in self.files if is_report(item.role, item.content_type)), None)


async def view_job(deps: Deps, actor: Actor, job_id: UUID) -> JobView:
    """Give a job of the actor's with all that belongs to it. Raises NotFound."""
    detail = await jobs.get_job(deps, actor, job_id)
    job = detail.job
    updates, total = await list_updates(deps.pool, job_id, limit=MAX_UPDATES, offset=0)
    placed = await list_placed_files(deps.pool, [job_id])
    archive: File | None = None
    held: list[HeldFile] = []
    sums: tuple[tuple[str, str], ...] = ()
    if job.status is Status.COMPLETED:
        archive, held = await _results(deps, actor, job_id)
    if archive is not None:
        sums = (await results.read_archive(deps.pool, job_id)).sums
    batch = None
    if job.batch_id is not None:
        batch = await find_own_batch(deps.pool, job.batch_id, actor.id)
    needed = await JOBS.get_input_count.value(deps.pool, job_id=job_id)
    return JobView(
        detail=detail,
        service=await catalogue.get_service(deps, job.service_id),
        updates=updates,
        total_updates=total,
        messages=(await jobs.get_log(deps, actor, job_id)).messages,
        files=[item for item in placed if item.role in ("result", "qc", "log")],
        archive=archive,
        sums=sums,
        held=held,
        retries=await list_retries(deps, actor, job_id),
        batch_name=batch.name if batch is not None else None,
        has_input=len(detail.inputs) == needed,
    )


async def _results(deps: Deps, actor: Actor, job_id: UUID) -> tuple[File | None, list[HeldFile]]:
    try:
        found = await results.get_results(deps, actor, job_id)
    except NotFound:
        return None, []
    return found.archive, found.held


async def list_retries(deps: Deps, actor: Actor, job_id: UUID) -> list[Retry]:
    """Give the jobs that were made of a job by trying it again, newest first."""
    rows = await JOBS.list_retries.rows(
        deps.pool, job_id=job_id, user_id=actor.id, limit=_MAX_RETRIES
    )
    return [Retry(row["id"], row["name"], Status(row["status"]), row["created_at"]) for row in rows]


async def retry_once(
    deps: Deps, actor: Actor, job_id: UUID, known_retries: int
) -> tuple[UUID, bool]:
    """Try a job again unless that was done since somebody saw `known_retries` of it; give the new job, and whether it is new.

    Two tabs or a double click make one job. Raises as `jobs.retry_job`.
    """
    await jobs.get_own(deps.pool, actor, job_id)
    before = await list_retries(deps, actor, job_id)
    if len(before) > known_retries:
        return before[0].id, False
    for time in range(_MAX_RETRIES):  # a key is used up by a new job that was deleted since
        once = _once(deps, actor, f"{job_id}:{before[0].id if before else ''}:{time}")
        try:
            return (await jobs.retry_job(deps, actor, job_id, once)).job.id, True
        except AlreadyDone:
            twins = await list_retries(deps, actor, job_id)
            if len(twins) > len(before):
                return twins[0].id, False
    raise Conflict("The job was tried again and again", action="Wait a day, or submit a new job.")


def _once(deps: Deps, actor: Actor, key: str) -> Once:
    return Once(
        user_id=actor.id,
        route=_ROUTE,
        key=key,
        fingerprint=deps.vault.fingerprint(key.encode()),
        status=303,
        render=lambda made: {"id": str(made.job.id)},
    )


async def get_report(deps: Deps, actor: Actor, job_id: UUID, file_id: int) -> File:
    """Give a report of the service's that may be shown in a frame. Raises NotFound for all else."""
    placed = await jobs.list_files(deps, actor, job_id)
    if not any(
        item.file_id == file_id and is_report(item.role, item.content_type) for item in placed
    ):
        raise NotFound("There is no such report")
    return await files.get_file(deps, actor, file_id)
