"""Analyses of results: computed once by a worker, kept with the job, computed on the first look for jobs that are older.

What is due stands in PostgreSQL; an analysis that fails says so and never touches its job.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
import structlog

from app.core.errors import NotFound
from app.core.models import Job
from app.db.analyses import ANALYSES
from app.genotypes.findings import InspectionError
from app.genotypes.quality import VERSION, Analysis, ResultFile
from app.usecases.deps import Actor, Deps
from app.usecases.jobs import get_own
from app.usecases.results import get_results

log = structlog.get_logger(__name__)

TIMEOUT_S = 1800.0
LEASE_S = TIMEOUT_S + 60.0
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Analysed:
    """A job with the analysis of its results.

    Without result it is being computed (`state` due), has failed, or there is nothing to analyse (missing): `error` says why.
    """

    job: Job
    state: str
    result: Analysis | None = None
    error: str | None = None
    computed_at: datetime | None = None
    progress: float | None = None
    """The share of the files' bytes that was read (0 to 1); None as long as it waits for its turn, and when it is over."""
    reading: str | None = None
    """The name of the file that is being read, as far as it is known."""


async def get_analysis(deps: Deps, actor: Actor, job_id: UUID) -> Analysed:
    """Give the analysis of a job of the actor's; asks for it where there is none. Raises NotFound that says why there can be none."""
    job = await get_own(deps.pool, actor, job_id)
    row = await ANALYSES.find_analysis.row(deps.pool, job_id=job_id, now=deps.now())
    if row is None or (row["version"] < VERSION and job.results_file_id is not None):
        await get_results(deps, actor, job_id)
        await ANALYSES.ask.run(deps.pool, job_id=job_id, version=VERSION)
        return Analysed(job, "due")
    if row["version"] < VERSION:
        error = "It was made in an earlier way, and the result files are no longer here"
        return Analysed(job, "failed", None, error, row["computed_at"])
    result = None
    if row["result"] is not None:
        result = msgspec.convert(row["result"], Analysis)
    progress = (row["share"] or 0.0) if row["is_begun"] else None
    reading = row["reading"] if row["is_begun"] else None
    return Analysed(job, row["state"], result, row["error"], row["computed_at"], progress, reading)


async def list_analyses(deps: Deps, actor: Actor, job_ids: Sequence[UUID]) -> list[Analysed]:
    """Give the analyses of several jobs of the actor's; where there can be none, what is missing. Raises NotFound for others' jobs."""
    found = []
    for job_id in job_ids:
        job = await get_own(deps.pool, actor, job_id)
        try:
            found.append(await get_analysis(deps, actor, job_id))
        except NotFound as error:
            found.append(Analysed(job, "missing", error=error.message))
    return found


async def compute_analysis(deps: Deps, job_id: UUID) -> None:
    """Analyse a job's results if that is due and nobody else does. A worker that dies leaves it due."""
    now = deps.now()
    until = now + timedelta(seconds=LEASE_S)
    attempts = await ANALYSES.claim.value(deps.pool, job_id=job_id, now=now, until=until)
    if attempts is None:
        return
    if attempts > MAX_ATTEMPTS:
        error = "The analysis was begun several times and did not come to its end"
        await ANALYSES.give_up.run(
            deps.pool, job_id=job_id, attempts=attempts, error=error, now=now
        )
        return
    files = [
        ResultFile(deps.store.path(row["storage_key"]), row["name"], row["id"], row["sha256"])
        for row in await ANALYSES.list_result_files.rows(deps.pool, job_id=job_id)
    ]

    async def hear(share: float, name: str) -> None:
        # What is shown to those who wait must not end what they wait for.
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await ANALYSES.tell.run(
                deps.pool, job_id=job_id, attempts=attempts, share=share, reading=name
            )

    try:
        result = await deps.inspector.analyse(files, TIMEOUT_S, hear)
    except InspectionError as failure:
        log.warning("analysis.failed", job_id=str(job_id), reason=str(failure))
        error = "The result files could not be read in the time and memory that are allowed"
        await ANALYSES.give_up.run(
            deps.pool, job_id=job_id, attempts=attempts, error=error, now=deps.now()
        )
        return
    await ANALYSES.finish.run(
        deps.pool,
        job_id=job_id,
        attempts=attempts,
        result=msgspec.to_builtins(result),
        version=VERSION,
        now=deps.now(),
    )
