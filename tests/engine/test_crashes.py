"""A process is stopped, or one thing fails, at every single point of a job's life; another process brings the job to its end.

The remote gets one job, the owner is told everything once, progress never goes back, no slot is lost, and a file is downloaded
at most once more.
"""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import cast

import asyncpg
import pytest

from app.adapters.base import Capabilities, DoubtfulSubmission
from app.core.errors import AppError
from app.core.models import Job
from app.core.remote import RemoteState
from app.usecases import decisions
from app.usecases.deps import Actor, Deps
from app.usecases.engine.cancellation import request_cancel
from app.usecases.engine.leases import give_leases_back
from app.usecases.results import read_archive
from tests.engine.fake_service import RESULTS, FakeJob
from tests.engine.fuse import Burn, Fuse, FusedPool, Killed
from tests.engine.stage import Stage
from tests.support.deps import RecordingQueue
from tests.support.people import Person

MAX_POINTS = 150
ONCE = (
    "Job created",
    "Job queued for processing",
    "Job processing started",
    "Job submitted to external service",
)
Run = Callable[[Deps, Job], Awaitable[None]]
Check = Callable[[Job, Fuse], Awaitable[None]]


def fused(stage: Stage, fuse: Fuse) -> Deps:
    """Give a process on whose way the fuse is."""
    stage.service.gate = fuse.gate
    pool = cast("asyncpg.Pool", FusedPool(stage.deps.pool, fuse))
    return stage.process(f"doomed {fuse.at}", pool=pool, enqueue=RecordingQueue())


async def with_fuse(stage: Stage, fuse: Fuse, run: Run, job: Job) -> None:
    """Let a process work until its end or the fuse's; whoever comes next finds the service as it was."""
    deps = fused(stage, fuse)
    try:
        await run(deps, job)
    except Killed:
        pass
    except (asyncpg.ConnectionDoesNotExistError, OSError):
        assert fuse.burn is not Burn.KILLS
    finally:
        stage.service.gate = lambda _name, _after: None


async def check_remote(stage: Stage, job: Job) -> None:
    sent = [item for item in stage.service.jobs if item.name == job.remote_name]
    assert len(sent) <= 1, f"sent {len(sent)} times"


async def check_told(stage: Stage, job: Job, fuse: Fuse) -> None:
    told = Counter(await stage.told(job.id))
    assert all(told[message] <= 1 for message in ONCE), (told, fuse.log[-3:])
    ends = ("Results ready for download", "Job cancellation initiated")
    assert all(told[message] <= 1 for message in ends), told
    notices = await stage.notices(job.id)
    assert set(notices.values()) == {1}, notices
    shown = await stage.deps.pool.fetch(
        "select progress_percentage as n from job_status_updates where job_id = $1 order by id",
        job.id,
    )
    progress = [row["n"] for row in shown]
    assert progress == sorted(progress)


async def check_results(stage: Stage, job: Job) -> None:
    files = await stage.deps.pool.fetch(
        "select jf.name, f.storage_key from job_files jf join files f on f.id = jf.file_id"
        " where jf.job_id = $1 and jf.role in ('result', 'qc')",
        job.id,
    )
    assert sorted(row["name"] for row in files) == sorted(RESULTS)
    for row in files:
        assert stage.deps.store.path(row["storage_key"]).read_bytes() == RESULTS[row["name"]]
    assert (await read_archive(stage.deps.pool, job.id)).layout.size_bytes > 0
    for name in RESULTS:
        assert stage.service.downloads[f"{job.external_job_id}/{name}"] <= 2


async def at_every_point(
    stage: Stage, run: Run, new_job: Callable[[], Awaitable[Job]], check: Check, burn: Burn
) -> int:
    """Burn the fuse at each point in turn until a run gets through; give how many points there were."""
    for at in range(1, MAX_POINTS):
        fuse = Fuse(at, burn)
        job = await new_job()
        await with_fuse(stage, fuse, run, job)
        ended = await stage.until_end(job.id, stage.process("heir", enqueue=RecordingQueue()))
        await check_remote(stage, ended)
        await check_told(stage, ended, fuse)
        await check(ended, fuse)
        busy = await stage.deps.pool.fetchval("select count(*) from imputation_jobs where has_slot")
        assert busy == 0, ("a slot leaked", fuse.log[-3:])
        stage.clock.move(seconds=120)  # whatever the dead had in hand has run out
        if not fuse.is_burnt:
            return at - 1
    raise AssertionError("more points than expected")


BURNS = pytest.mark.parametrize("burn", Burn, ids=lambda burn: burn.value)


@BURNS
async def test_job_when_its_process_breaks_at_any_point_then_is_sent_once_and_completes(
    stage: Stage, dora: Person, burn: Burn
) -> None:
    desk = await stage.desk(dora, max_remote_jobs=2)

    async def live(deps: Deps, _job: Job) -> None:
        await stage.step(deps)
        await stage.look(deps)
        stage.service.finish()
        await stage.look(deps)
        stage.clock.move(seconds=6)
        await stage.step(deps)

    async def check(job: Job, fuse: Fuse) -> None:
        assert job.status == "completed", (job, fuse.log[-3:])
        await check_results(stage, job)

    points = await at_every_point(stage, live, lambda: stage.submit(dora, desk), check, burn)
    assert points > 40, points


@BURNS
@pytest.mark.parametrize("sent", ["at the remote", "unanswered", "ended at the remote"])
async def test_job_when_its_process_breaks_while_it_is_cancelled_then_ends_cancelled_here_and_there(
    stage: Stage, dora: Person, burn: Burn, sent: str
) -> None:
    desk = await stage.desk(dora)

    async def new_job() -> Job:
        job = await stage.submit(dora, desk)
        if sent == "unanswered":
            stage.service.errors["submit"] = [DoubtfulSubmission("reset")]
        await stage.step()
        if sent == "unanswered":
            stage.service.jobs.append(
                FakeJob(f"lost-{job.remote_name}", job.remote_name, "researcher", stage.clock())
            )
        if sent == "ended at the remote":
            stage.service.finish()
            await stage.look()
        return await stage.job(job.id)

    async def stop(deps: Deps, job: Job) -> None:
        await request_cancel(deps, job.id)
        for _ in range(3):
            await stage.step(deps)
            stage.clock.move(seconds=6)

    async def check(job: Job, fuse: Fuse) -> None:
        if job.cancel_requested_at is None:
            assert fuse.is_burnt, "the request itself was lost; whoever asked was told so"
            return
        assert job.status == "cancelled", (job, fuse.log)
        states = {item.state for item in stage.service.jobs if item.name == job.remote_name}
        assert states <= {RemoteState.CANCELLED, RemoteState.SUCCEEDED}

    await at_every_point(stage, stop, new_job, check, burn)


async def decide(stage: Stage, deps: Deps, owner: Actor, job: Job) -> None:
    """Do as an owner who has looked at the service."""
    there = [item for item in stage.service.jobs if item.name == job.remote_name]
    if there:
        await decisions.adopt(deps, owner, job.id, there[0].id)
    else:
        await decisions.resubmit(deps, owner, job.id)


@BURNS
async def test_job_when_its_process_breaks_at_a_service_that_cannot_be_searched_then_is_never_there_twice(
    stage: Stage, dora: Person, burn: Burn
) -> None:
    stage.service.capabilities = Capabilities(
        list_jobs=False, restart=False, archive_password=False, input_links=True, upload_links=True
    )
    stage.service.hides_jobs = True
    desk = await stage.desk(dora, max_remote_jobs=2)
    owner = Actor(dora.user)
    asked = 0

    async def live(deps: Deps, job: Job) -> None:
        await stage.step(deps)
        if (await stage.job(job.id)).external_job_id is None:
            for _ in range(2):
                stage.clock.move(seconds=61)
                await stage.step(deps)
            with contextlib.suppress(AppError):
                await decide(stage, deps, owner, job)

    for at in range(1, MAX_POINTS):
        fuse = Fuse(at, burn)
        # A quarter of the jobs lose their answer before the service has them, so that the owner's own steps break too.
        stage.service.errors["submit"] = [DoubtfulSubmission("reset")] * (at % 4 == 0)
        job = await stage.submit(dora, desk)
        await with_fuse(stage, fuse, live, job)
        stage.service.errors.clear()
        heir = stage.process("heir", enqueue=RecordingQueue())
        for _ in range(8):
            await stage.step(heir)
            stage.clock.move(seconds=61)
        await check_remote(stage, job)
        if (await stage.job(job.id)).stage == "decision_needed":
            asked += 1
            await decide(stage, heir, owner, job)
        ended = await stage.until_end(job.id, heir)
        assert ended.status == "completed", (ended, fuse.log[-3:])
        await check_remote(stage, ended)
        good = "select count(*) from signed_links where revoked_at is null"
        assert await stage.deps.pool.fetchval(good) == 0, "links outlive their job"
        if not fuse.is_burnt and at % 4:
            break
    assert asked > 2


async def test_process_when_it_ends_orderly_then_gives_back_what_it_has_in_hand(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    doomed = stage.process("doomed", enqueue=RecordingQueue())

    async def stop_here() -> None:
        raise Killed

    stage.service.meanwhile["submit"] = stop_here
    with pytest.raises(Killed):
        await stage.step(doomed)
    assert await stage.step(stage.process("early", enqueue=RecordingQueue())) == 0
    await give_leases_back(doomed)
    await stage.step(stage.process("heir", enqueue=RecordingQueue()))
    assert (await stage.job(job.id)).stage == "confirming_submission", (
        "searched for, not sent again"
    )
    await stage.until_end(job.id)
    await check_remote(stage, job)
