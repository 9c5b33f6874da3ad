"""A submission without a clear end at a service that cannot be searched: never two remote jobs, and the owner has the last word."""

from typing import Any

import aiohttp
import pytest

from app.adapters.base import Capabilities, DoubtfulSubmission, ServiceUnavailable
from app.core.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable
from app.core.models import Job
from app.core.remote import RemoteState
from app.security.links import Purpose
from app.usecases import decisions
from app.usecases.deps import Actor
from app.usecases.engine.cancellation import request_cancel
from tests.engine.fake_service import FakeJob
from tests.engine.stage import Stage, make_person
from tests.support.api import Api
from tests.support.app import serve
from tests.support.jobs import Desk, genotypes, stored_paths
from tests.support.people import Person

BLIND = Capabilities(
    list_jobs=False,
    restart=False,
    archive_password=False,
    input_links=True,
    upload_links=True,
    searches=3,
    cancel_wait_s=600,
)


@pytest.fixture
async def desk(stage: Stage, dora: Person) -> Desk:
    stage.service.capabilities = BLIND
    stage.service.hides_jobs = True
    stage.content = genotypes()
    return await stage.desk(dora, max_remote_jobs=2)


async def lost(stage: Stage, dora: Person, desk: Desk, *, runs: bool = True) -> Job:
    """Submit a job whose answer is lost; with `runs` the service has it, and does not show it."""
    stage.service.errors["submit"] = [DoubtfulSubmission("reset")]
    job = await stage.submit(dora, desk)
    await stage.step()
    if runs:
        made = FakeJob(f"hidden-{job.remote_name}", job.remote_name, "researcher", stage.clock())
        stage.service.jobs.append(made)
    return await stage.job(job.id)


async def undecided(stage: Stage, dora: Person, desk: Desk, *, runs: bool = True) -> Job:
    """The same, when its owner has been asked."""
    job = await lost(stage, dora, desk, runs=runs)
    for _ in range(3):
        assert (await stage.job(job.id)).stage == "confirming_submission"
        stage.clock.move(seconds=61)
        await stage.step()
    job = await stage.job(job.id)
    assert (job.stage, job.status) == ("decision_needed", "queued")
    return job


async def test_job_when_searches_prove_nothing_then_held_told_and_never_sent_again(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    assert job.has_slot, "it may be running"
    assert "may be running at" in (job.hold_reason or "")
    assert "very probably" not in (job.hold_reason or "")
    assert (await stage.notices(job.id))["decision_needed"] == 1
    told = await stage.told(job.id)
    assert len(told) == len(set(told))
    searched = stage.service.calls["find_by_name"]
    for _ in range(30):
        stage.clock.move(minutes=31)
        await stage.step()
    assert stage.service.calls["submit"] == 1
    assert 14 <= stage.service.calls["find_by_name"] - searched <= 16, "every hour"
    assert await stage.told(job.id) == told, "nothing new, nothing told"


async def test_job_when_a_later_search_is_conclusive_then_still_nothing_is_sent_by_itself(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk, runs=False)
    stage.service.hides_jobs = False
    for _ in range(6):
        stage.clock.move(minutes=61)
        await stage.step()
    assert stage.service.calls["submit"] == 1
    assert (await stage.job(job.id)).stage == "decision_needed"


async def test_job_when_it_is_found_later_then_adopted(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    stage.service.hides_jobs = False
    stage.clock.move(minutes=61)
    await stage.step()
    found = await stage.job(job.id)
    assert found.external_job_id == f"hidden-{job.remote_name}"
    assert (found.doubts, found.hold_reason) == (0, None)
    assert (await stage.until_end(job.id)).status == "completed"


@pytest.mark.parametrize("use", ["input", "sheet", "index", "push", "HEAD", "before"])
async def test_job_when_its_links_were_used_since_it_was_sent_then_says_that_it_probably_runs(
    stage: Stage, dora: Person, desk: Desk, use: str
) -> None:
    job = await lost(stage, dora, desk)
    # The request broke before the fake service kept it: the links are those of the job.
    rows = await stage.deps.pool.fetch("select id, file_id, purpose from signed_links")
    assert len(rows) == 3
    links = {row["purpose"]: (row["id"], row["file_id"] or 0) for row in rows}
    tokens = {
        purpose: stage.deps.links.sign(*links[purpose], Purpose[purpose.upper()])
        for purpose in links
    }
    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        api = Api(session, base)
        name = "chr20.vcf.gz"
        method, path = {
            "input": ("GET", f"/files/remote/{tokens['remote_input']}/{name}"),
            "before": ("GET", f"/files/remote/{tokens['remote_input']}/{name}"),
            "HEAD": ("HEAD", f"/files/remote/{tokens['remote_input']}/{name}"),
            "index": ("GET", f"/files/remote/{tokens['remote_input']}/{name}.tbi"),
            "sheet": ("GET", f"/files/remote/{tokens['remote_sheet']}/samplesheet.csv"),
            "push": ("PUT", f"/files/push/{tokens['remote_upload']}/x.zip"),
        }[use]
        answer = await api.request(method, path, data=b"x" if method == "PUT" else None)
        assert answer.status in (200, 201), answer.text
    if use == "before":
        await stage.deps.pool.execute(
            "update signed_links set last_used_at = last_used_at - interval '1 hour'"
        )
    for _ in range(3):
        stage.clock.move(seconds=61)
        await stage.step()
    reason = (await stage.job(job.id)).hold_reason or ""
    assert ("very probably" in reason) is (use not in ("HEAD", "before")), reason


async def test_job_when_its_input_is_fetched_after_the_owner_was_asked_then_they_are_told_so(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    await stage.deps.pool.execute("update signed_links set last_used_at = $1", stage.clock())
    for _ in range(3):
        stage.clock.move(minutes=61)
        await stage.step()
    told = await stage.told(job.id)
    assert sum("very probably" in message for message in told) == 1


def actor(person: Person) -> Actor:
    return Actor(person.user)


async def refuses(kind: type[AppError], code: str, act: Any) -> None:
    with pytest.raises(kind) as caught:
        await act
    assert caught.value.code == code


async def test_adopt_when_the_run_is_there_then_the_job_goes_on_with_it(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    run_id = f"hidden-{job.remote_name}"
    detail = await decisions.adopt(stage.deps, actor(dora), job.id, f" {run_id}\n")
    assert (detail.job.external_job_id, detail.job.next_action) == (run_id, "poll")
    assert (detail.job.doubts, detail.job.hold_reason) == (0, None)
    assert (await stage.until_end(job.id)).status == "completed"
    assert stage.service.calls["submit"] == 1
    await refuses(
        Conflict, "no_decision_needed", decisions.adopt(stage.deps, actor(dora), job.id, run_id)
    )
    acts = await stage.deps.pool.fetch(
        "select details from audit_logs where action = 'job.adopted'"
    )
    assert [row["details"]["external_job_id"] for row in acts] == [run_id]


async def test_adopt_when_the_run_is_not_there_or_not_this_jobs_then_refused(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    stage.service.hides_jobs = False
    stage.service.errors.clear()
    other = await stage.submit(dora, desk)
    await stage.step()
    other = await stage.job(other.id)
    assert other.external_job_id
    eve = await make_person(stage, "eve")
    stage.service.jobs.append(FakeJob("renamed", other.remote_name, "researcher", stage.clock()))
    stage.service.jobs.append(FakeJob("erased", f"fi-{'a' * 32}", "researcher", stage.clock()))
    missing = FakeJob("away", "x", "researcher", stage.clock(), RemoteState.MISSING)
    stage.service.jobs.append(missing)
    for run_id, kind, code in (
        ("never-was", NotFound, "remote_not_found"),
        ("away", NotFound, "remote_not_found"),
        (other.external_job_id, Conflict, "run_taken"),
        ("renamed", Conflict, "run_taken"),
        ("erased", Conflict, "run_taken"),
        ("../../admin", InvalidInput, "invalid_run_id"),
        ("a b", InvalidInput, "invalid_run_id"),
        ("", InvalidInput, "invalid_run_id"),
    ):
        await refuses(kind, code, decisions.adopt(stage.deps, actor(dora), job.id, run_id))
    run_id = f"hidden-{job.remote_name}"
    await refuses(NotFound, "not_found", decisions.adopt(stage.deps, actor(eve), job.id, run_id))
    await refuses(NotFound, "not_found", decisions.resubmit(stage.deps, actor(eve), job.id))
    stage.service.down = ServiceUnavailable("away")
    await refuses(
        Unavailable,
        "service_unavailable",
        decisions.adopt(stage.deps, actor(dora), job.id, run_id),
    )
    assert (await stage.job(job.id)).stage == "decision_needed"


async def test_resubmit_when_the_owner_says_so_then_sent_once_more_with_new_links(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk, runs=False)
    old = await stage.deps.pool.fetch("select id from signed_links")
    file_id = await stage.deps.pool.fetchval(
        "insert into files (user_id, kind, name, storage_key, size_bytes, sha256, crc32)"
        " values ($1, 'result', 'x.zip', repeat('a', 32), 1, 'x', 1) returning id",
        dora.id,
    )
    await stage.deps.pool.execute(
        "insert into job_files (job_id, file_id, role, name, position) values ($1, $2, 'result', 'x.zip', 9)",
        job.id,
        file_id,
    )
    await decisions.resubmit(stage.deps, actor(dora), job.id)
    await refuses(
        Conflict, "no_decision_needed", decisions.resubmit(stage.deps, actor(dora), job.id)
    )
    revoked = await stage.deps.pool.fetch("select revoked_at from signed_links")
    assert all(row["revoked_at"] is not None for row in revoked)
    ended = await stage.until_end(job.id)
    assert ended.status == "completed"
    assert stage.service.calls["submit"] == 2
    assert len(stage.service.jobs) == 1
    links = await stage.deps.pool.fetch("select id from signed_links")
    assert len(links) == len(old) * 2
    names = await stage.deps.pool.fetch("select name from files where id = $1", file_id)
    assert names == [], "what the former run may have pushed is gone"
    assert len(await stored_paths(stage.deps)) == 4


async def test_resubmit_when_the_job_is_not_held_for_a_decision_then_refused(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await lost(stage, dora, desk)
    for act in (
        decisions.resubmit(stage.deps, actor(dora), job.id),
        decisions.adopt(stage.deps, actor(dora), job.id, "x"),
    ):
        await refuses(Conflict, "no_decision_needed", act)


async def test_decision_when_a_search_is_under_way_then_only_one_of_them_counts(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    stage.clock.move(minutes=61)

    async def decide() -> None:
        await refuses(
            Conflict, "no_decision_needed", decisions.resubmit(stage.deps, actor(dora), job.id)
        )

    stage.service.meanwhile["find_by_name"] = decide
    await stage.step()
    assert (await stage.job(job.id)).stage == "decision_needed"
    assert stage.service.calls["submit"] == 1


async def test_cancel_when_the_owner_was_asked_then_cancelled_here_and_says_what_may_be_there(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await undecided(stage, dora, desk)
    await request_cancel(stage.deps, job.id)
    await refuses(
        Conflict, "no_decision_needed", decisions.resubmit(stage.deps, actor(dora), job.id)
    )
    await stage.step()
    ended = await stage.job(job.id)
    assert ended.status == "cancelled"
    assert "may still run at" in (await stage.told(job.id))[-1]


async def test_cancel_when_the_remote_goes_on_for_long_then_cancelled_here_and_results_dropped(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    job = await stage.submit(dora, desk)
    await stage.step()
    remote = stage.service.jobs[0]

    async def go_on() -> None:
        remote.state = RemoteState.RUNNING

    stage.service.down = ServiceUnavailable("away")
    await request_cancel(stage.deps, job.id)
    for _ in range(60):
        await stage.step()
        stage.clock.move(minutes=1)
    assert (await stage.job(job.id)).completed_at is None, "nobody has taken the request yet"
    stage.service.down = None
    ended = None
    for number in range(60):
        stage.service.meanwhile["status"] = go_on
        await stage.step()
        ended = await stage.job(job.id)
        if ended.is_final:
            assert number >= 5
            break
        stage.clock.move(minutes=1)
    assert ended is not None
    assert ended.status == "cancelled"
    assert "goes on: its results are dropped" in (await stage.told(job.id))[-1]
    remote.state = RemoteState.SUCCEEDED
    for _ in range(5):
        stage.clock.move(minutes=5)
        await stage.step()
        await stage.look()
    assert stage.service.calls["download"] == 0
    assert (await stage.job(job.id)).status == "cancelled"


async def test_decisions_over_http_when_the_job_is_anybodys_or_in_any_stage_then_answered_so(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    eve = await make_person(stage, "eve")
    job = await undecided(stage, dora, desk)
    run = {"external_job_id": f"hidden-{job.remote_name}"}
    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        api = Api(session, base)
        path = f"/jobs/{job.id}"
        for act, body in (("adopt", run), ("resubmit", None)):
            assert (await api.post(f"{path}/{act}", json=body)).status == 401
            assert (await api.post(f"{path}/{act}", as_=eve, json=body)).status == 404
        wrongs: list[Any] = [{}, {"external_job_id": 5}, {"external_job_id": ""}, []]
        for wrong in wrongs:
            assert (await api.post(f"{path}/adopt", as_=dora, json=wrong)).status == 400
        answer = await api.post(f"{path}/adopt", as_=dora, json=run)
        assert answer.status == 200, answer.text
        assert answer.json()["external_job_id"] == run["external_job_id"]
        again = await api.post(f"{path}/resubmit", as_=dora)
        assert (again.status, again.json()["code"]) == (409, "no_decision_needed")
