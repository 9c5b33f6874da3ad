"""Lists of jobs as people look at them: a page with how many there are in each status, and many jobs handled at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.core.bulk import Act, refusal_of
from app.core.errors import AppError, NotFound
from app.core.jobs import Status
from app.core.listing import JobOrder
from app.db import job_lists as db
from app.db.job_lists import JobRow
from app.db.jobs import JobFilter, count_own_jobs, total_of
from app.db.services import list_services_with_jobs
from app.usecases import jobs
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import A_MOMENT
from app.usecases.job_view import list_retries, retry_once

_GONE = "There is no such job any more."


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs. `counts` counts what is meant whatever its status, `total` those with a status that is meant."""

    rows: list[JobRow]
    counts: dict[Status, int]
    total: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What an act would do to a job; `refusal` says why it would not. `row` is None for a job that is not there."""

    job_id: UUID
    row: JobRow | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job; `error` says why nothing did. `made` is the new job of a retry."""

    job_id: UUID
    name: str | None
    error: AppError | None = field(default=None)
    made: UUID | None = None


async def list_page(
    deps: Deps, actor: Actor, wanted: JobFilter, *, order: JobOrder, limit: int, offset: int
) -> JobPage:
    """Give a page of the actor's jobs, with counts."""
    rows = await db.list_rows(
        deps.pool, actor.id, wanted, order=order, now=deps.now(), limit=limit, offset=offset
    )
    counts = await count(deps, actor, wanted)
    return JobPage(rows, counts, total_of(counts, wanted))


async def count(deps: Deps, actor: Actor, wanted: JobFilter) -> dict[Status, int]:
    """Give how many of the actor's jobs there are in each status, with the rest of the filter."""
    return await count_own_jobs(deps.pool, actor.id, wanted)


async def list_services(deps: Deps, actor: Actor, service_id: int | None) -> dict[int, str]:
    """Give the names of the services to choose from: those that the actor has jobs at, and the one that is chosen."""
    return await list_services_with_jobs(deps.pool, actor.id, service_id)


async def get_row(deps: Deps, actor: Actor, job_id: UUID) -> JobRow:
    """Give a job of the actor's as a list shows it. Raises NotFound."""
    row = await db.find_row(deps.pool, actor.id, job_id)
    if row is None:
        raise NotFound("There is no such job")
    return row


async def plan(deps: Deps, actor: Actor, act: Act, job_ids: Sequence[UUID]) -> list[Planned]:
    """Say what an act would do to each of some jobs, in their order, each named once."""
    rows = await db.list_rows_by_id(deps.pool, actor.id, job_ids)
    planned = []
    for job_id in dict.fromkeys(job_ids):
        row = rows.get(job_id)
        refusal = _GONE if row is None else refusal_of(act, row.status)
        planned.append(Planned(job_id, row, refusal))
    return planned


async def carry_out(deps: Deps, actor: Actor, act: Act, job_ids: Sequence[UUID]) -> list[Outcome]:
    """Do it to each; what is refused for one job stops none of the others."""
    rows = await db.list_rows_by_id(deps.pool, actor.id, job_ids)
    outcomes = []
    for job_id in dict.fromkeys(job_ids):
        name = rows[job_id].name if job_id in rows else None
        try:
            made = await _do(deps, actor, act, job_id)
        except AppError as error:
            outcomes.append(Outcome(job_id, name, error))
        else:
            outcomes.append(Outcome(job_id, name, made=made))
    return outcomes


async def _do(deps: Deps, actor: Actor, act: Act, job_id: UUID) -> UUID | None:
    if act is Act.CANCEL:
        await jobs.cancel_job(deps, actor, job_id)
    elif act is Act.DELETE:
        await jobs.delete_job(deps, actor, job_id)
    else:
        made, _ = await retry_once(deps, actor, job_id, await _count_earlier(deps, actor, job_id))
        return made
    return None


async def _count_earlier(deps: Deps, actor: Actor, job_id: UUID) -> int:
    """Count the retries of a job, aside from those of a moment ago: a double click is one wish."""
    since = deps.now() - A_MOMENT
    return sum(item.created_at < since for item in await list_retries(deps, actor, job_id))
