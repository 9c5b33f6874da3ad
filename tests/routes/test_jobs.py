"""Jobs over HTTP: looking at them, stopping, trying again, deleting. And charlie sees none of it."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from app.core.models import Job
from app.usecases import files, jobs
from app.usecases.deps import Actor, Deps
from tests.support.api import Api
from tests.support.deps import Clock, RecordingQueue
from tests.support.jobs import (
    RESULTS,
    Desk,
    complete,
    finish,
    genotypes,
    make_desk,
    stored_paths,
    submit,
    submitted,
)
from tests.support.people import Person


async def test_every_route_when_the_job_is_anothers_then_there_is_no_such_job(
    deps: Deps, client: Api, charlie: Person, job: Job
) -> None:
    await complete(deps, job)
    paths = ["", "/status-updates", "/results", "/files", "/logs"]
    for method, path in [
        *(("GET", path) for path in paths),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ]:
        for job_id in (job.id, uuid4()):
            answer = await client.request(method, f"/jobs/{job_id}{path}", as_=charlie)
            assert (answer.status, answer.json()["code"]) == (404, "not_found"), (method, path)
            assert (await client.request(method, f"/jobs/{job_id}{path}")).status == 401
    assert (await client.get("/jobs", as_=charlie)).json() == []
    assert (await client.get("/jobs/not-a-uuid", as_=charlie)).status == 404


async def test_list_when_filtered_then_gives_those_newest_first(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    other = await make_desk(deps, alice)
    made = [
        await submitted(deps, client, alice, place, name=f"{name}.vcf.gz")
        for place, name in [(desk, "first"), (desk, "100%_sure"), (other, "third")]
    ]
    await finish(deps, made[0])
    await deps.pool.execute(
        "update imputation_jobs set created_at = created_at - interval '1 day' where id = $1",
        made[0].id,
    )

    async def names(query: str) -> list[str]:
        answer = await client.get(f"/jobs?{query}", as_=alice)
        assert answer.status == 200, answer.text
        return [item["name"] for item in answer.json()]

    assert await names("") == ["third", "100%_sure", "first"]
    assert await names("limit=1&offset=1") == ["100%_sure"]
    assert await names("status=failed") == ["first"]
    assert await names("status=failed,Queued&limit=2") == ["third", "100%_sure"]
    assert await names(f"service_id={other.service.id}") == ["third"]
    assert await names("q=%25_s") == ["100%_sure"]
    assert await names("q=FIRST") == ["first"]
    assert await names(f"q={made[2].id}") == ["third"]
    assert await names("q=x%5C") == []
    since = (deps.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await names(f"since={since}") == ["third", "100%_sure"]
    assert await names(f"since={since[:-1]}") == ["third", "100%_sure"]
    page = await client.get("/jobs?limit=2", as_=alice)
    assert page.headers["X-Total-Count"] == "3"
    assert 'rel="next"' in page.headers["Link"]


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_list_when_the_query_is_wrong_then_says_which(
    client: Api, alice: Person, prefix: str
) -> None:
    for query in (
        "status=done",
        "status=queued,running,x",
        "since=yesterday",
        "since=0001-01-01T00:00:00%2B14:00",
        "service_id=x",
        "limit=0",
        "q=" + "x" * 201,
    ):
        answer = await client.get(f"{prefix}/jobs?{query}", as_=alice)
        assert answer.status == 400, query
        assert query.partition("=")[0] in answer.json()["message"]


async def test_get_when_it_runs_then_its_time_is_live(
    deps: Deps, client: Api, alice: Person, job: Job, clock: Clock
) -> None:
    assert (await client.get(f"/jobs/{job.id}", as_=alice)).json()["execution_time_seconds"] is None
    await deps.pool.execute("update imputation_jobs set started_at = $1", deps.now())
    clock.move(seconds=90)
    shown = (await client.get(f"/jobs/{job.id}", as_=alice)).json()
    assert 90 <= shown["execution_time_seconds"] < 120
    await finish(deps, job)
    clock.move(hours=1)
    shown = (await client.get(f"/jobs/{job.id}", as_=alice)).json()
    assert 90 <= shown["execution_time_seconds"] < 120


async def test_status_updates_when_there_are_many_then_are_paged(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    page = await client.get(f"/jobs/{job.id}/status-updates?limit=1&offset=1", as_=alice)
    assert page.headers["X-Total-Count"] == "2"
    assert [item["message"] for item in page.json()] == ["Job created"]


async def test_cancel_when_nothing_was_sent_then_it_ends_at_once_and_a_second_time_conflicts(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    answer = await client.post(f"/jobs/{job.id}/cancel", as_=alice)
    assert answer.status == 202
    assert answer.json() == {"message": "Job cancellation initiated", "job_id": str(job.id)}
    assert (await client.get(f"/jobs/{job.id}", as_=alice)).json()["status"] == "cancelled"
    assert (await client.post(f"/jobs/{job.id}/cancel", as_=alice)).status == 409
    acts = await deps.pool.fetchval(
        "select count(*) from audit_logs where action = 'job.cancel_requested'"
    )
    assert acts == 1


class TestRetry:
    async def test_retry_when_it_failed_then_makes_a_new_job_like_it(
        self, deps: Deps, client: Api, alice: Person, desk: Desk, queue: RecordingQueue
    ) -> None:
        files = [genotypes("20"), genotypes("21")]
        answer = await submit(
            client,
            alice,
            desk,
            *files,
            name="c.vcf.gz",
            phasing="false",
            population="eur",
            options='{"a": 1}',
        )
        old = answer.json()
        found = await jobs.get_own(deps.pool, Actor(alice.user), UUID(old["id"]))
        ended = await finish(deps, found, error_message="no")
        queue.tasks.clear()
        new = (await client.post(f"/jobs/{ended.id}/retry", as_=alice)).json()
        assert new["retry_of"] == old["id"] != new["id"]
        assert new["status"] == "queued"
        same = "name description service_id reference_panel_id build phasing phasing_engine population input_files"
        assert {key: new[key] for key in same.split()} == {key: old[key] for key in same.split()}
        record = await jobs.get_own(deps.pool, Actor(alice.user), UUID(new["id"]))
        assert record.options == {"a": "1"}
        assert record.remote_name != ended.remote_name
        assert ("submit_next", (ended.account_id,)) in queue.tasks
        assert (await client.get(f"/jobs/{old['id']}", as_=alice)).json()["status"] == "failed"
        assert len(await stored_paths(deps)) == 2

    async def test_retry_when_the_job_is_open_then_conflicts(
        self, client: Api, alice: Person, job: Job
    ) -> None:
        answer = await client.post(f"/jobs/{job.id}/retry", as_=alice)
        assert (answer.status, answer.json()["code"]) == (409, "job_is_open")

    async def test_retry_when_something_has_changed_then_it_is_judged_anew(
        self, deps: Deps, client: Api, alice: Person, job: Job
    ) -> None:
        await finish(deps, job)
        for change, code in [
            ("update reference_panels set is_active = false", "unknown_panel"),
            ("delete from user_service_credentials", "no_credentials"),
            ("update services set is_active = false", "service_disabled"),
            ("delete from reference_panels", "panel_gone"),
        ]:
            await deps.pool.execute(change)
            answer = await client.post(f"/jobs/{job.id}/retry", as_=alice)
            assert answer.json()["code"] == code, change
        assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 1

    async def test_retry_when_any_input_is_gone_then_conflicts(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        shown = (await submit(client, alice, desk, genotypes("20"), genotypes("21"))).json()
        await finish(deps, await jobs.get_own(deps.pool, Actor(alice.user), UUID(shown["id"])))
        last = shown["input_files"][-1]["id"]
        assert (await client.delete(f"/files/{last}", as_=alice)).status == 204
        answer = await client.post(f"/jobs/{shown['id']}/retry", as_=alice)
        assert (answer.status, answer.json()["code"]) == (409, "input_gone")

    async def test_retry_when_repeated_with_its_key_then_is_one_job(
        self, deps: Deps, client: Api, alice: Person, job: Job
    ) -> None:
        await finish(deps, job)
        headers = {"Idempotency-Key": "again"}
        answers = [
            await client.post(f"/jobs/{job.id}/retry", as_=alice, headers=headers) for _ in range(2)
        ]
        assert answers[0].json()["id"] == answers[1].json()["id"]


class TestDelete:
    async def test_delete_when_the_job_is_open_then_conflicts(
        self, deps: Deps, client: Api, alice: Person, job: Job
    ) -> None:
        answer = await client.delete(f"/jobs/{job.id}", as_=alice)
        assert (answer.status, answer.json()["code"]) == (409, "job_is_open")
        assert len(await stored_paths(deps)) == 1

    async def test_delete_when_nobody_else_uses_its_files_then_they_go_too(
        self, deps: Deps, client: Api, alice: Person, job: Job
    ) -> None:
        await complete(deps, job)
        assert len(await stored_paths(deps)) == 1 + len(RESULTS)
        assert (await client.delete(f"/jobs/{job.id}", as_=alice)).status == 204
        assert await stored_paths(deps) == []
        for table in ("imputation_jobs", "files", "job_files", "job_status_updates"):
            assert await deps.pool.fetchval(f"select count(*) from {table}") == 0
        assert (await client.get(f"/jobs/{job.id}", as_=alice)).status == 404
        acts = [row["action"] for row in await deps.pool.fetch("select action from audit_logs")]
        assert "job.deleted" in acts

    async def test_delete_when_another_job_uses_its_input_then_that_stays(
        self, deps: Deps, client: Api, alice: Person, job: Job
    ) -> None:
        await complete(deps, job)
        again = (await client.post(f"/jobs/{job.id}/retry", as_=alice)).json()
        assert (await client.delete(f"/jobs/{job.id}", as_=alice)).status == 204
        shown = (await client.get(f"/jobs/{again['id']}", as_=alice)).json()
        assert [item["name"] for item in shown["input_files"]] == ["cohort.vcf.gz"]
        assert shown["retry_of"] is None
        assert len(await stored_paths(deps)) == 1

    async def test_delete_when_the_input_was_uploaded_for_itself_then_that_stays(
        self, deps: Deps, client: Api, alice: Person, job: Job
    ) -> None:
        await deps.pool.execute("update files set kept = true")
        await finish(deps, job)
        assert (await client.delete(f"/jobs/{job.id}", as_=alice)).status == 204
        assert len((await client.get("/files", as_=alice)).json()) == 1
        assert len(await stored_paths(deps)) == 1

    async def test_delete_when_the_disk_fails_then_the_job_is_gone_and_the_bytes_are_orphans(
        self, deps: Deps, client: Api, alice: Person, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await finish(deps, job)
        monkeypatch.setattr("pathlib.Path.unlink", _broken)
        assert (await client.delete(f"/jobs/{job.id}", as_=alice)).status == 204
        monkeypatch.undo()
        assert len(await stored_paths(deps)) == 1
        monkeypatch.setattr(files, "ORPHAN_AFTER_S", 0.0)
        assert await files.remove_orphans(deps) == 1
        assert await stored_paths(deps) == []


def _broken(*_: object, **__: object) -> None:
    raise OSError(5, "broken")
