"""What the results of a job say of their quality, and several jobs side by side."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.errors import InvalidInput
from app.core.models import Job
from app.genotypes.quality import Analysis
from app.genotypes.tally import MAF_EDGES
from app.usecases.analyses import get_analysis, list_analyses
from app.usecases.batches import get_batch
from app.web.endpoint import UUID_PATTERN, Call, Endpoint
from app.web.pages import page, render

_ID = f"{{id:{UUID_PATTERN}}}"
_CUTS = (0.3, 0.5, 0.8)
MAX_COMPARED = 4
_MAF_NAMES = ("below 0.1 %", "0.1 to 0.5 %", "0.5 to 1 %", "1 to 5 %", "5 to 50 %", "not given")


def kept(result: Analysis, r2: float, maf_bin: int) -> int:
    """Count the imputed sites with at least this R2 in this bin of MAF or a higher one; from the lowest on, all."""
    rows = result.r2_by_maf if maf_bin == 0 else result.r2_by_maf[maf_bin : len(MAF_EDGES)]
    return sum(sum(row[round(r2 * 100) :]) for row in rows)


def _context() -> dict[str, Any]:
    return {"kept": kept, "cuts": _CUTS, "maf_names": _MAF_NAMES}


async def show_results(call: Call) -> web.Response:
    """Give the page of a job's analysis."""
    found = await get_analysis(call.deps, call.actor, call.path_uuid("id"))
    return await render(call, "pages/job_results.html", found=found, **_context())


async def compare_batch(call: Call) -> web.Response:
    """Give the comparison of jobs of a batch: those that the address names, or the first ones, completed ones before others."""
    detail = await get_batch(call.deps, call.actor, call.path_uuid("id"))
    jobs = [item.job for item in detail.jobs]
    named = set(call.request.query.getall("job", []))
    chosen = [job for job in jobs if str(job.id) in named]
    if not chosen:
        chosen = sorted(jobs, key=lambda job: job.results_file_id is None)
    shown = [job.id for job in chosen[:MAX_COMPARED]]
    back = f"/ui/batches/{detail.batch.id}"
    too_many = len(named) > MAX_COMPARED
    return await _compare(call, shown, back, choices=jobs, too_many=too_many)


async def compare_jobs(call: Call) -> web.Response:
    """Give the comparison of the jobs that the address names."""
    texts = list(dict.fromkeys(call.request.query.getall("job", [])))
    if not 2 <= len(texts) <= MAX_COMPARED or not all(
        re.fullmatch(UUID_PATTERN, text) for text in texts
    ):
        raise InvalidInput("Choose two to four jobs to compare", action="Go back to the jobs and choose them.")  # fmt: skip
    return await _compare(call, [UUID(text) for text in texts], "/ui/jobs")


async def _compare(
    call: Call, ids: list[UUID], back: str, *, choices: Sequence[Job] = (), too_many: bool = False
) -> web.Response:
    return await render(
        call,
        "pages/compare.html",
        items=await list_analyses(call.deps, call.actor, ids),
        back=back,
        choices=choices,
        too_many=too_many,
        most=MAX_COMPARED,
        **_context(),
    )


PAGES: tuple[Endpoint, ...] = (
    page(f"/ui/jobs/{_ID}/results", show_results, "job_results", "The quality of a job's results"),
    page(
        f"/ui/batches/{_ID}/compare",
        compare_batch,
        "batch_compare",
        "The jobs of a batch side by side",
    ),
    page("/ui/compare", compare_jobs, "compare", "Two to four jobs side by side"),
)
