"""Collecting, at its edges: the remote counts downloads, lists results late and bit by bit, and changes its mind."""

from datetime import timedelta

import pytest

from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DownloadsExhausted,
    Rejected,
    RemoteNotFound,
    ServiceUnavailable,
)
from app.core.errors import StorageFull
from app.core.models import Job
from app.core.remote import RemoteState
from app.db.engine import ENGINE
from app.security.vault import Vault
from app.usecases.engine.cancellation import request_cancel
from app.usecases.engine.collection import collect
from app.usecases.engine.fetching import MAX_TRIES
from app.usecases.results import StoreSink
from tests.engine.fake_service import RESULTS
from tests.engine.stage import Stage
from tests.engine.test_accounts import store
from tests.support.jobs import Desk, stored_paths
from tests.support.people import Person

DOSES = "chr20.dose.vcf.gz"


@pytest.fixture
async def desk(stage: Stage, dora: Person) -> Desk:
    return await stage.desk(dora, max_remote_jobs=2)


@pytest.fixture
async def done(stage: Stage, dora: Person, desk: Desk) -> Job:
    """A job whose results are due."""
    return await ended(stage, dora, desk, RemoteState.SUCCEEDED)


async def ended(stage: Stage, dora: Person, desk: Desk, state: RemoteState) -> Job:
    """Let a job end at the remote, and its collection be due."""
    job = await stage.submit(dora, desk)
    await stage.step()
    remote = stage.service.get((await stage.job(job.id)).external_job_id)
    remote.state = state
    remote.reason = "More than 100 strand flips" if state is RemoteState.FAILED else None
    await stage.look()
    stage.clock.move(seconds=6)
    job = await stage.job(job.id)
    assert job.next_action == "collect"
    return job


def tries(stage: Stage, job: Job, name: str = DOSES) -> int:
    return stage.service.downloads[f"{job.external_job_id}/{name}"]


async def pass_days(stage: Stage, days: float) -> None:
    for _ in range(int(days * 12)):
        await stage.step()
        stage.clock.move(hours=2)


async def names(stage: Stage, job: Job) -> list[str]:
    rows = await stage.deps.pool.fetch(
        "select name from job_files where job_id = $1 and role in ('result', 'qc') order by name",
        job.id,
    )
    return [row["name"] for row in rows]


async def test_file_when_it_breaks_off_each_time_then_is_tried_a_few_times_and_some_downloads_are_left(
    stage: Stage, done: Job
) -> None:
    stage.service.errors["download"] = [None, *[ServiceUnavailable("cut")] * 100]
    await pass_days(stage, 5)
    held = await stage.job(done.id)
    assert held.stage == "results_blocked"
    assert "counts downloads" in (held.hold_reason or "")
    assert tries(stage, done) == MAX_TRIES < 10
    assert tries(stage, done, "qc_report.txt") == 1
    assert (await stage.notices(done.id))["results_blocked"] == 1
    assert len(await stage.told(done.id)) < 12


async def test_file_when_the_operators_reset_its_counter_then_is_tried_again(
    stage: Stage, done: Job
) -> None:
    stage.service.left[DOSES] = 10
    stage.service.errors["download"] = [None, *[ServiceUnavailable("cut")] * MAX_TRIES]
    await pass_days(stage, 5)
    assert tries(stage, done) == MAX_TRIES
    stage.service.left[DOSES] = 10
    await pass_days(stage, 1)
    assert (await stage.job(done.id)).status == "completed"


async def test_file_when_the_remote_says_that_none_is_left_then_is_not_even_asked_for(
    stage: Stage, done: Job
) -> None:
    stage.service.left[DOSES] = 0
    await pass_days(stage, 2)
    assert tries(stage, done) == 0
    assert (await stage.job(done.id)).stage == "results_blocked"
    stage.service.left[DOSES] = 3
    await pass_days(stage, 0.5)
    assert (await stage.job(done.id)).status == "completed"


async def test_file_when_the_remote_refuses_it_as_used_up_then_that_try_does_not_count(
    stage: Stage, done: Job
) -> None:
    stage.service.errors["download"] = [None, *[DownloadsExhausted("used up")] * 100]
    await pass_days(stage, 3)
    assert (await stage.job(done.id)).stage == "results_blocked"
    stage.service.errors.clear()
    await pass_days(stage, 0.5)
    assert (await stage.job(done.id)).status == "completed"


async def test_archive_when_it_is_unreadable_each_time_then_the_job_fails_after_three_tries(
    stage: Stage, done: Job
) -> None:
    stage.service.errors["download"] = [None, *[Rejected("wrong password")] * 10]
    await pass_days(stage, 0.5)
    failed = await stage.job(done.id)
    assert (failed.status, failed.error_code) == ("failed", "results_unreadable")
    assert tries(stage, done) == 3


async def test_archive_when_the_disk_was_full_for_long_then_one_unreadable_copy_does_not_fail_the_job(
    stage: Stage, done: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: StoreSink, _name: str) -> None:
        raise StorageFull("The storage is full")

    with monkeypatch.context() as patch:
        patch.setattr(StoreSink, "open", full)
        for _ in range(3):
            await stage.step()
            stage.clock.move(seconds=61)
    assert (await stage.job(done.id)).stage == "results_blocked"
    stage.service.errors["download"] = [None, Rejected("damaged")]
    await pass_days(stage, 1)
    assert (await stage.job(done.id)).status == "completed"


async def test_results_when_they_are_listed_bit_by_bit_then_none_is_left_behind(
    stage: Stage, done: Job
) -> None:
    remote = stage.service.get(done.external_job_id)
    remote.files = {"qc_report.txt": b"early"}

    async def list_more() -> None:
        remote.files = {"chr20.info.gz": RESULTS["chr20.info.gz"], **remote.files}
        stage.service.meanwhile["download"] = list_rest

    async def list_rest() -> None:
        remote.files = {**RESULTS, **remote.files}

    await stage.step()
    assert (await stage.job(done.id)).completed_at is None, "reports alone are no results"
    await list_more()
    stage.clock.move(seconds=6)
    await stage.step()
    assert (await stage.job(done.id)).status == "completed"
    assert await names(stage, done) == sorted(RESULTS)


async def test_results_when_only_reports_were_asked_for_then_these_are_all(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk, options={"mode": "qc_only"})
    await stage.step()
    remote = stage.service.get((await stage.job(job.id)).external_job_id)
    remote.files = {"qc_report.txt": b"all is well"}
    stage.service.finish()
    await stage.look()
    stage.clock.move(seconds=6)
    await stage.step()
    assert (await stage.job(job.id)).status == "completed"


async def test_results_when_none_are_ever_listed_then_are_looked_for_less_often_and_the_owner_is_told(
    stage: Stage, done: Job
) -> None:
    stage.service.get(done.external_job_id).files = {}
    await pass_days(stage, 2)
    held = await stage.job(done.id)
    assert held.stage == "results_blocked"
    assert stage.service.calls["outputs"] < 40
    stage.service.get(done.external_job_id).state = RemoteState.GONE
    await pass_days(stage, 0.5)
    assert (await stage.job(done.id)).error_code == "results_gone"


async def test_report_when_it_cannot_be_had_then_is_left_out_and_not_told_as_fetched(
    stage: Stage, done: Job
) -> None:
    stage.service.errors["download"] = [DownloadsExhausted("used up")]
    await stage.step()
    assert (await stage.job(done.id)).status == "completed"
    assert await names(stage, done) == ["chr20.dose.vcf.gz", "chr20.info.gz"]
    assert "Fetched qc_report.txt" not in await stage.told(done.id)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("status", CredentialRejected("revoked")),
        ("outputs", RemoteNotFound("gone")),
        ("outputs", ServiceUnavailable("away")),
        ("download", ServiceUnavailable("cut")),
        ("download", DownloadsExhausted("used up")),
        ("download", Rejected("unreadable")),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_failed_job_when_its_reports_cannot_be_had_then_ends_soon_with_the_remotes_reason(
    stage: Stage, dora: Person, desk: Desk, call: str, error: AdapterError
) -> None:
    job = await ended(stage, dora, desk, RemoteState.FAILED)
    stage.service.errors[call] = [error] * 50
    for _ in range(10):
        await stage.step()
        stage.clock.move(minutes=5)
    failed = await stage.job(job.id)
    assert (failed.status, failed.error_code) == ("failed", "strand_flips")
    assert (await stage.notices(job.id)) == {"job_queued": 1, "job_failed": 1}


async def test_job_when_a_run_that_was_cancelled_there_looks_failed_for_a_moment_then_is_cancelled(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await ended(stage, dora, desk, RemoteState.FAILED)
    stage.service.get(job.external_job_id).state = RemoteState.CANCELLED
    await stage.step()
    ended_so = await stage.job(job.id)
    assert (ended_so.status, ended_so.error_message) == ("cancelled", None)


async def test_job_when_its_operators_start_it_again_after_it_failed_then_is_followed_to_its_results(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await ended(stage, dora, desk, RemoteState.FAILED)
    stage.service.get(job.external_job_id).state = RemoteState.RUNNING
    await stage.step()
    again = await stage.job(job.id)
    assert (again.stage, again.next_action, again.outcome) == ("remote_running", "poll", None)
    assert again.error_message is None
    assert (await stage.until_end(job.id)).status == "completed"


async def test_key_when_it_is_missing_for_a_while_then_the_results_wait_for_it(
    stage: Stage, done: Job
) -> None:
    keyless = stage.process("keyless", vault=Vault({"k2": b"w" * 32}))
    await collect(keyless, done.id)
    held = await stage.job(done.id)
    assert held.stage is not None
    assert held.completed_at is None
    stage.clock.move(hours=2)
    assert (await stage.until_end(done.id)).status == "completed"


async def test_credential_when_it_is_refused_at_the_results_then_they_are_had_as_soon_as_it_is_replaced(
    stage: Stage, done: Job, dora: Person, desk: Desk
) -> None:
    stage.service.errors["status"] = [CredentialRejected("revoked")]
    await stage.step()
    assert (await stage.job(done.id)).stage == "credential_needed"
    assert await stage.step() == 0
    await store(stage, dora, desk)
    await stage.step()
    assert (await stage.job(done.id)).status == "completed"


async def test_due_results_when_some_expire_soon_then_those_come_first(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    jobs = [await ended(stage, dora, desk, RemoteState.SUCCEEDED) for _ in range(3)]
    soon = jobs[-1]
    await stage.deps.pool.execute(
        "update imputation_jobs set results_expire_at = $2 where id = $1",
        soon.id,
        stage.clock() + timedelta(hours=3),
    )
    due = await ENGINE.list_due_steps.rows(
        stage.deps.pool, now=stage.clock(), per_service=1, max_rows=10
    )
    assert [row["id"] for row in due] == [soon.id]


async def test_cancellation_when_collections_fill_the_service_then_is_not_kept_waiting(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    await stage.step()
    limit = stage.deps.settings.service_max_steps
    for _ in range(limit):
        other = await ended(stage, dora, desk, RemoteState.SUCCEEDED)
        await stage.deps.pool.execute(
            "update imputation_jobs set lease_owner = 'elsewhere', lease_until = $2 where id = $1",
            other.id,
            stage.clock() + timedelta(hours=1),
        )
    waiting = await ended(stage, dora, desk, RemoteState.SUCCEEDED)
    await collect(stage.deps, waiting.id)
    assert (await stage.job(waiting.id)).stage == "downloading", "there is no place for it"
    await request_cancel(stage.deps, job.id)
    await stage.step()
    assert (await stage.job(job.id)).status == "cancelled"


async def test_files_when_the_job_was_taken_over_during_a_download_then_nothing_of_it_stays(
    stage: Stage, done: Job
) -> None:
    before = await stored_paths(stage.deps)

    async def take_over() -> None:
        await stage.deps.pool.execute("update imputation_jobs set step_number = step_number + 1")

    stage.service.meanwhile["download"] = take_over
    await stage.step()
    assert await stored_paths(stage.deps) == before
    assert await names(stage, done) == []
    assert (await stage.job(done.id)).completed_at is None
