"""What tests of jobs need to be there: a service with a panel and a credential, genotype files, forms."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from app.core.models import Job, Panel, Service
from app.db.jobs import find_own_job
from app.genotypes.facts import InspectLimits, VcfFacts
from app.genotypes.inspector import Inspector
from app.genotypes.structure import inspect_file
from app.usecases.deps import Actor, Deps
from app.usecases.own_credentials import GivenCredential, store_credential
from app.usecases.results import StoreSink, create_archive
from tests import factories
from tests.genotypes.vcf_files import bgzf, header, record
from tests.support.api import Answer, Api
from tests.support.people import Person


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a person can hand in jobs."""

    service: Service
    panel: Panel


class ThreadInspector(Inspector):
    """Checks in a thread, afterwards: starting a worker process takes each test a second."""

    def __init__(self) -> None:
        super().__init__(max_workers=0)

    async def inspect(self, path: Path, display_name: str, timeout_s: float = 600.0) -> VcfFacts:
        limits = InspectLimits(timeout_s=timeout_s)
        return await asyncio.to_thread(inspect_file, path, display_name=display_name, limits=limits)


async def make_desk(
    deps: Deps, person: Person | None, panel: dict[str, Any] | None = None, **service: Any
) -> Desk:
    """Make a service with one panel, and the person's credential for it; fields are columns."""
    made = await factories.make_service(deps, **service)
    if person is not None and made.credential_kind == "token":
        await store_credential(
            deps, Actor(person.user), made.id, GivenCredential(api_token="a-token-of-the-user"), ""
        )
    return Desk(made, await factories.make_panel(deps, made, **(panel or {})))


def genotypes(
    chromosome: str = "20", records: int = 3, samples: tuple[str, ...] = ("A", "B")
) -> bytes:
    """Give a small bgzipped VCF; without the prefix chr it is hg19, with it hg38."""
    lines = [
        record(100 * (place + 1), chromosome=chromosome, genotypes=["0|1"] * len(samples))
        for place in range(records)
    ]
    return bgzf(header(samples) + "".join(lines))


def job_form(
    desk: Desk | None,
    *files: bytes,
    name: str = "chr20.vcf.gz",
    last: dict[str, str] | None = None,
    **fields: str | None,
) -> aiohttp.FormData:
    """Give a form: the fields (None leaves one out), then the files (by default one good one), then the `last` fields."""
    place = {}
    if desk is not None:
        place = {"service_id": str(desk.service.id), "reference_panel_id": str(desk.panel.id)}
    values: dict[str, str | None] = {
        **place,
        "build": "hg19",
        **fields,
    }
    form = aiohttp.FormData(quote_fields=False)
    for field, value in values.items():
        if value is not None:
            form.add_field(field, value)
    for content in files or (genotypes(),):
        form.add_field("input_file", content, filename=name)
    for field, value in (last or {}).items():
        form.add_field(field, value)
    return form


async def submit(client: Api, person: Person, desk: Desk, *files: bytes, **fields: Any) -> Answer:
    """Submit a job over HTTP."""
    return await client.post("/jobs", as_=person, data=job_form(desk, *files, **fields))


async def submitted(deps: Deps, client: Api, person: Person, desk: Desk, **fields: Any) -> Job:
    """Submit a job that must succeed; give its record."""
    answer = await submit(client, person, desk, **fields)
    assert answer.status == 201, answer.text
    return await job_of(deps, answer)


async def job_of(deps: Deps, answer: Answer) -> Job:
    """Give the record of the job that an answer shows."""
    shown = answer.json()
    job = await find_own_job(deps.pool, UUID(shown["id"]), shown["user_id"])
    assert job is not None
    return job


RESULTS = {
    "chr20.dose.vcf.gz": b"dosages" * 1000,
    "chr20.info.gz": b"info",
    "statistics/snps-excluded.txt": b"",
    "quality-control.html": b"<script>alert(1)</script>",
}


async def complete(deps: Deps, job: Job, files: dict[str, bytes] | None = None) -> Job:
    """Let a job end well, with result files, as the engine does."""
    sink = StoreSink(deps.store, 10**9)
    for name, data in (RESULTS if files is None else files).items():
        file = sink.open(name)
        file.write(data)
        file.finish()
    async with deps.pool.acquire() as conn, conn.transaction():
        for place, (name, stored) in enumerate(sink.commit_all()):
            file_id = await conn.fetchval(
                "insert into files (user_id, kind, name, storage_key, size_bytes, sha256, crc32, content_type)"
                " values ($1, 'result', $2, $3, $4, $5, $6, $7) returning id",
                job.user_id,
                name,
                stored.key,
                stored.size_bytes,
                stored.sha256,
                stored.crc32,
                "text/html; charset=utf-8" if name.endswith(".html") else "application/gzip",
            )
            role = "result" if name.startswith("chr") else "qc"
            await conn.execute(
                "insert into job_files (job_id, file_id, role, name, position) values ($1, $2, $3, $4, $5)",
                job.id,
                file_id,
                role,
                name,
                100 + place,
            )
        archive = await create_archive(conn, job.id, job.user_id, job.name)
    return await finish(deps, job, "completed", results_file_id=archive)


async def finish(deps: Deps, job: Job, status: str = "failed", **columns: Any) -> Job:
    """End a job; `columns` are written too."""
    values = {"completed_at": deps.now(), "status": status, "next_action": None, **columns}
    settings = ", ".join(f"{name} = ${place}" for place, name in enumerate(values, 2))
    await deps.pool.execute(
        f"update imputation_jobs set {settings} where id = $1", job.id, *values.values()
    )
    ended = await find_own_job(deps.pool, job.id, job.user_id)
    assert ended is not None
    return replace(ended)


async def stored_paths(deps: Deps) -> list[str]:
    """List everything that the store holds, temporary files too, relative to its root."""
    root = deps.settings.data_dir / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
