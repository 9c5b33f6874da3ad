"""The analysis of a job's results, as JSON and as tables."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from aiohttp import web

from app.core.errors import NotFound
from app.genotypes.quality import Analysis
from app.genotypes.tally import AF_BINS
from app.usecases.analyses import get_analysis
from app.web.endpoint import UUID_PATTERN, Call, Endpoint, json_response

_ID = f"{{id:{UUID_PATTERN}}}"


class AnalysisOut(msgspec.Struct, kw_only=True):
    """`state`: computing, done or failed (`error` says why).

    `progress` (0 to 1) is the share of the files that was read; null while the analysis waits for its turn, and when it is over.
    """

    job_id: str
    state: str
    progress: float | None
    error: str | None
    computed_at: Any
    result: Analysis | None


class TableQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which table."""

    table: Literal[
        "r2",
        "maf",
        "frequencies",
        "chromosomes",
        "windows",
        "typed",
        "suspects",
        "excluded",
        "chunks",
    ] = "r2"


async def get(call: Call) -> web.Response:
    """Give the analysis; 202 while it is computed."""
    found = await get_analysis(call.deps, call.actor, call.path_uuid("id"))
    state = "computing" if found.state == "due" else found.state
    out = AnalysisOut(
        job_id=str(found.job.id),
        state=state,
        progress=found.progress,
        error=found.error,
        computed_at=found.computed_at,
        result=found.result,
    )
    return json_response(out, 202 if state == "computing" else 200)


async def get_table(call: Call) -> web.Response:
    """Give one table as CSV."""
    found = await get_analysis(call.deps, call.actor, call.path_uuid("id"))
    if found.result is None:
        raise NotFound("There is no analysis of these results (yet)", code="results_not_ready", action="Follow the job, or wait for the notice.")  # fmt: skip
    name = call.query.table
    text = io.StringIO()
    head, rows = table_of(found.result, name)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    disposition = f'attachment; filename="{name}.csv"'
    return web.Response(
        text=text.getvalue(), content_type="text/csv", headers={"Content-Disposition": disposition}
    )


def _harmless(cell: object) -> object:
    """Spreadsheets take a text that begins so for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r\n" and cell else cell


def table_of(result: Analysis, name: str) -> tuple[Sequence[str], Iterable[Sequence[object]]]:
    """Give head and rows of a table."""
    if name == "r2":
        bins = [
            f"maf_from_{row.low}" if row.low is not None else "maf_unknown" for row in result.maf
        ]
        return ["r2_from", *bins], (
            [place / 100, *(row[place] for row in result.r2_by_maf)] for place in range(100)
        )
    if name == "frequencies":
        return ["alt_frequency_from", "sites"], (
            [place / AF_BINS, n] for place, n in enumerate(result.frequencies)
        )
    if name == "typed":
        return ["er2_from", "r2_from", "sites"], (
            [y / 20, x / 20, n] for y, row in enumerate(result.er2_by_r2) for x, n in enumerate(row)
        )
    items: dict[str, tuple[Any, ...]] = {
        "maf": tuple(result.maf),
        "chromosomes": tuple(result.chromosomes),
        "windows": tuple(result.windows),
        "suspects": tuple(result.suspects),
        "excluded": tuple(result.excluded),
        "chunks": tuple(result.chunks),
    }
    rows = [list(msgspec.structs.asdict(item).values()) for item in items[name]]
    return HEADS[name], rows


HEADS: dict[str, list[str]] = {
    "maf": ["low", "high", "sites", "n_r2", "mean_r2"],
    "chromosomes": ["name", "sites", "typed", "typed_only", "imputed", "mean_r2", "excluded"],
    "windows": ["chromosome", "start_mb", "n", "mean_r2"],
    "suspects": ["chromosome", "position", "ref", "alt", "r2", "er2"],
    "excluded": ["reason", "sites"],
    "chunks": ["name", "sites", "overlap", "low_call_rate"],
}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        f"/jobs/{_ID}/analysis",
        get,
        "jobs.analysis",
        "What the results say of their quality, computed once from the result files; 202 while it is computed",
        response=AnalysisOut,
        tag="jobs",
        openapi={
            "responses": {
                "202": {
                    "description": "It is being computed; ask again in a few seconds",
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/AnalysisOut"}}
                    },
                }
            }
        },
    ),
    Endpoint(
        "GET",
        f"/jobs/{_ID}/analysis.csv",
        get_table,
        "jobs.analysis_table",
        "One table of the analysis, as CSV",
        query=TableQuery,
        content="text/csv",
        tag="jobs",
    ),
)
