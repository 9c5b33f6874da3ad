"""The page of a job's analysis, and who may see it."""

import gzip
from collections.abc import Sequence
from uuid import uuid4

import pytest

from app.genotypes.inspector import Hear, Inspector
from app.genotypes.quality import Analysis, ResultFile
from app.usecases import analyses
from app.usecases.analyses import compute_analysis
from app.usecases.deps import Deps
from tests.genotypes.test_quality import HEAD, site
from tests.support.api import Api
from tests.support.jobs import complete, make_desk, submitted
from tests.support.people import Person

INFO = gzip.compress((HEAD + site(100, "IMPUTED;AF=0.2;MAF=0.2;AVG_CS=0.9;R2=0.9")).encode())


async def test_results_when_first_looked_at_then_computed_once_and_shown_to_their_owner(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    job = await submitted(deps, client, alice, await make_desk(deps, alice))
    path = f"/ui/jobs/{job.id}/results"
    assert (await client.get(path, as_=alice)).status == 404

    job = await complete(deps, job, {"chr20.info.gz": INFO})
    assert "Waiting for its turn" in (await client.get(path, as_=alice)).text
    assert (await client.get(f"/jobs/{job.id}/analysis", as_=alice)).status == 202

    await compute_analysis(deps, job.id)
    await compute_analysis(deps, job.id)
    answer = await client.get(f"/jobs/{job.id}/analysis", as_=alice)
    assert answer.json()["result"]["imputed"] == 1
    page = (await client.get(path, as_=alice)).text
    assert "Variants kept" in page
    assert "Allele frequencies of imputed sites" in page
    assert "Their mean is 0.200." in page
    for table in (
        "r2",
        "maf",
        "frequencies",
        "chromosomes",
        "windows",
        "typed",
        "suspects",
        "excluded",
        "chunks",
    ):
        sent = await client.get(f"/jobs/{job.id}/analysis.csv?table={table}", as_=alice)
        assert sent.status == 200
        assert "," in sent.text.splitlines()[0]

    assert (await client.get(path, as_=bob)).status == 404
    both = f"/ui/compare?job={job.id}&job={uuid4()}"
    assert (await client.get(both, as_=alice)).status == 404
    assert (await client.get("/ui/compare?job=nonsense", as_=alice)).status in (400, 422)


async def test_results_when_a_worker_reads_them_then_how_far_it_has_come_and_in_which_file(
    client: Api, deps: Deps, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await submitted(deps, client, alice, await make_desk(deps, alice))
    await complete(deps, job, {"chr20.info.gz": INFO})
    path = f"/ui/jobs/{job.id}/results"
    analyse = Inspector.analyse
    seen: list[str] = []

    async def slowly(
        self: Inspector, files: Sequence[ResultFile], timeout_s: float, hear: Hear
    ) -> Analysis:
        seen.append((await client.get(path, as_=alice)).text)
        await hear(0.42, files[0].name)
        seen.append((await client.get(path, as_=alice)).text)
        told = await client.get(f"/jobs/{job.id}/analysis", as_=alice)
        assert (told.status, told.json()["state"]) == (202, "computing")
        assert told.json()["progress"] == pytest.approx(0.42)
        return await analyse(self, files, timeout_s, hear)

    await client.get(path, as_=alice)
    monkeypatch.setattr(Inspector, "analyse", slowly)
    await compute_analysis(deps, job.id)

    assert 'value="0"' in seen[0]
    assert "about to be read" in seen[0]
    assert 'value="42"' in seen[1]
    assert "chr20.info.gz" in seen[1]
    assert 'hx-trigger="every 2s"' in seen[1]
    done = (await client.get(f"/jobs/{job.id}/analysis", as_=alice)).json()
    assert (done["state"], done["progress"]) == ("done", None)


async def test_results_when_their_time_was_over_then_the_page_says_that_they_are_partial(
    client: Api, deps: Deps, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await submitted(deps, client, alice, await make_desk(deps, alice))
    await complete(deps, job, {"chr20.info.gz": INFO})
    await client.get(f"/ui/jobs/{job.id}/results", as_=alice)
    monkeypatch.setattr(analyses, "TIMEOUT_S", -1.0)
    await compute_analysis(deps, job.id)

    page = (await client.get(f"/ui/jobs/{job.id}/results", as_=alice)).text

    assert "This analysis is partial: not everything could be read." in page
    assert "chr20.info.gz: reading took longer than is allowed" in page
    assert "Allele frequencies of imputed sites" not in page


async def test_comparison_when_one_job_is_not_done_then_the_others_and_in_words_what_is_missing(
    client: Api, deps: Deps, alice: Person
) -> None:
    desk = await make_desk(deps, alice)
    jobs = [await submitted(deps, client, alice, desk) for _ in range(3)]
    for job in jobs[:2]:
        await complete(deps, job, {"chr20.info.gz": INFO})
    path = "/ui/compare?" + "&".join(f"job={job.id}" for job in jobs)
    await client.get(path, as_=alice)
    for job in jobs[:2]:
        await compute_analysis(deps, job.id)

    shown = await client.get(path, as_=alice)

    assert shown.status == 200
    assert "R² along the chromosomes" in shown.text
    assert "is not shown: The results are not ready" in shown.text


async def test_comparison_when_of_own_completed_jobs_then_side_by_side_and_of_nobody_else(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    desk = await make_desk(deps, alice)
    jobs = []
    for _ in range(2):
        job = await submitted(deps, client, alice, desk)
        jobs.append(await complete(deps, job, {"chr20.info.gz": INFO}))
    path = "/ui/compare?" + "&".join(f"job={job.id}" for job in jobs)
    assert "Computing" in (await client.get(path, as_=alice)).text
    for job in jobs:
        await compute_analysis(deps, job.id)

    shown = await client.get(path, as_=alice)
    assert shown.status == 200
    assert "A." in shown.text
    assert "B." in shown.text
    assert (await client.get(path, as_=bob)).status == 404
    assert (await client.get(f"/ui/compare?job={jobs[0].id}", as_=alice)).status in (200, 400)
    many = "&".join(f"job={uuid4()}" for _ in range(50))
    assert (await client.get(f"/ui/compare?{many}", as_=alice)).status in (400, 404)
