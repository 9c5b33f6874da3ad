"""Analyses of results: computed once, whatever happens to the workers, and never at the cost of a job."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.core.models import Job
from app.genotypes.findings import InspectionError
from app.genotypes.inspector import Hear, Inspector
from app.genotypes.quality import VERSION, Analysis, ResultFile
from app.usecases.analyses import LEASE_S, MAX_ATTEMPTS, compute_analysis, get_analysis
from app.usecases.deps import Actor, Deps
from tests.pages.test_results import INFO
from tests.support.api import Api
from tests.support.deps import Clock
from tests.support.jobs import complete, make_desk, submitted
from tests.support.people import Person


@pytest.fixture
async def job(client: Api, deps: Deps, alice: Person) -> Job:
    job = await submitted(deps, client, alice, await make_desk(deps, alice))
    return await complete(deps, job, {"chr20.info.gz": INFO})


async def state(deps: Deps, job: Job) -> tuple[str, int, bool]:
    row = await deps.pool.fetchrow(
        "select state, attempts, result is not null as has_result from job_analyses where job_id = $1",
        job.id,
    )
    return row["state"], row["attempts"], row["has_result"]


async def test_analysis_when_two_workers_begin_at_once_then_one_computes(
    deps: Deps, alice: Person, job: Job
) -> None:
    await get_analysis(deps, Actor(alice.user), job.id)

    await asyncio.gather(*(compute_analysis(deps, job.id) for _ in range(5)))

    assert await state(deps, job) == ("done", 1, True)


async def test_analysis_when_its_worker_died_then_another_takes_it_after_the_lease(
    deps: Deps, clock: Clock, alice: Person, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> Analysis:
        raise asyncio.CancelledError

    await get_analysis(deps, Actor(alice.user), job.id)
    with monkeypatch.context() as patched:
        patched.setattr(Inspector, "analyse", die)
        with pytest.raises(asyncio.CancelledError):
            await compute_analysis(deps, job.id)
    await compute_analysis(deps, job.id)
    assert await state(deps, job) == ("due", 1, False), "its lease still runs"

    clock.move(seconds=LEASE_S + 1)
    await compute_analysis(deps, job.id)
    assert await state(deps, job) == ("done", 2, True)


async def test_analysis_when_a_slow_worker_has_lost_its_lease_then_its_answer_is_dropped(
    deps: Deps, clock: Clock, alice: Person, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyse = Inspector.analyse

    async def late(
        self: Inspector, files: Sequence[ResultFile], timeout_s: float, hear: Hear
    ) -> Analysis:
        with monkeypatch.context() as patched:
            patched.setattr(Inspector, "analyse", analyse)
            clock.move(seconds=LEASE_S + 1)
            await deps.pool.execute(
                "update job_analyses set attempts = attempts + 1, lease_until = $2 where job_id = $1",
                job.id,
                deps.now() + timedelta(hours=1),
            )
        return await analyse(self, files, timeout_s, hear)

    await get_analysis(deps, Actor(alice.user), job.id)
    monkeypatch.setattr(Inspector, "analyse", late)
    await compute_analysis(deps, job.id)

    assert await state(deps, job) == ("due", 2, False), "somebody else has it in hand"


async def test_analysis_when_it_cannot_be_computed_then_it_says_so_and_the_job_stays(
    deps: Deps, alice: Person, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> Analysis:
        raise InspectionError("timeout")

    actor = Actor(alice.user)
    await get_analysis(deps, actor, job.id)
    monkeypatch.setattr(Inspector, "analyse", fail)
    await compute_analysis(deps, job.id)

    found = await get_analysis(deps, actor, job.id)
    assert (found.state, found.result) == ("failed", None)
    assert found.error
    assert found.job.status == "completed"


async def test_analysis_when_begun_too_often_then_given_up(
    deps: Deps, alice: Person, job: Job
) -> None:
    await get_analysis(deps, Actor(alice.user), job.id)
    await deps.pool.execute("update job_analyses set attempts = $1", MAX_ATTEMPTS)

    await compute_analysis(deps, job.id)

    assert (await state(deps, job))[0] == "failed"


async def test_analysis_when_made_in_an_earlier_way_then_made_anew_or_told(
    deps: Deps, alice: Person, job: Job
) -> None:
    actor = Actor(alice.user)
    await get_analysis(deps, actor, job.id)
    await compute_analysis(deps, job.id)
    await deps.pool.execute("update job_analyses set version = $1", VERSION - 1)
    assert (await get_analysis(deps, actor, job.id)).state == "due"

    await compute_analysis(deps, job.id)
    await deps.pool.execute("update job_analyses set version = $1", VERSION - 1)
    await deps.pool.execute("update imputation_jobs set results_file_id = null")
    assert (await get_analysis(deps, actor, job.id)).state == "failed"
