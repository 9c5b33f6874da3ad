"""Results that a service hands out elsewhere, or that were pushed: a job completes with what can be had, and says where the rest is."""

from dataclasses import replace

import aiohttp

from app.adapters.base import Capabilities
from app.core.models import Job
from tests.engine.fake_service import LISTS, RESULTS
from tests.engine.stage import Stage
from tests.support.api import Api
from tests.support.app import serve
from tests.support.people import Person

PLACE = "/data/runs/17/results/chr20.vcf.gz"


async def completed(stage: Stage, dora: Person, *, fetched: bool) -> Job:
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.step()
    stage.service.held = {"a.vcf.gz": PLACE, "b.vcf.gz": f"{PLACE}?token=verysecret"}
    if not fetched:
        stage.service.jobs[0].files = {}
    ended = await stage.until_end(job.id)
    assert ended.status == "completed"
    return ended


async def test_job_when_all_results_are_held_then_completes_without_archive_and_says_where(
    stage: Stage, dora: Person
) -> None:
    job = await completed(stage, dora, fetched=False)
    assert (job.results_file_id, job.results_held) == (None, 2)
    service = await stage.deps.pool.fetchval("select name from services")
    assert (await stage.told(job.id))[-1] == f"Results are ready at {service}"
    assert stage.service.calls["download"] == 0
    notice = await stage.deps.pool.fetchrow(
        "select title, message, data from notifications where type = 'job_completed'"
    )
    assert notice is not None
    assert "hands them out itself" in notice["message"]
    assert notice["data"]["results_url"] is None
    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        api = Api(session, base)
        shown = (await api.get(f"/jobs/{job.id}", as_=dora)).json()
        assert (shown["results_held"], shown["results_file_id"]) == (2, None)
        path = f"/jobs/{job.id}/results"
        listed = (await api.get(path, as_=dora, headers={"Accept": "application/json"})).json()
        assert listed["download_url"] is None
        assert listed["files"] == []
        assert listed["held_files"][0] == {
            "name": "a.vcf.gz",
            "held_at": PLACE,
            "size_bytes": None,
        }
        assert "verysecret" not in str(listed)
        refused = await api.get(path, as_=dora)
        assert (refused.status, refused.json()["code"]) == (404, "results_at_service")
        assert PLACE in refused.json()["message"]
        assert "verysecret" not in refused.text


async def test_job_when_some_results_are_held_then_the_archive_has_the_others(
    stage: Stage, dora: Person
) -> None:
    job = await completed(stage, dora, fetched=True)
    assert job.results_held == 2
    assert job.results_file_id is not None
    assert "2 more at" in (await stage.told(job.id))[-1]
    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        api = Api(session, base)
        path = f"/jobs/{job.id}/results"
        listed = (await api.get(path, as_=dora, headers={"Accept": "application/json"})).json()
        assert sorted(file["name"] for file in listed["files"]) == sorted(RESULTS)
        assert [file["name"] for file in listed["held_files"]] == ["a.vcf.gz", "b.vcf.gz"]
        assert (await api.get(path, as_=dora)).body[:2] == b"PK"


async def test_job_when_a_held_file_can_be_fetched_later_then_is_not_held_any_longer(
    stage: Stage, dora: Person
) -> None:
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.step()
    stage.service.held = {"x.vcf.gz": PLACE}
    stage.service.jobs[0].files = {}
    await stage.deps.pool.execute(
        "insert into job_outputs (job_id, key, name, role, fetched_at) values ($1, 'held/x.vcf.gz', 'x.vcf.gz', 'result', now())",
        job.id,
    )
    ended = await stage.until_end(job.id)
    assert ended.results_held == 0, "it was fetched before it was taken away"


async def test_job_when_the_service_need_not_list_results_then_an_empty_list_is_no_wait(
    stage: Stage, dora: Person
) -> None:
    stage.service.capabilities = replace(LISTS, needs_results=False)
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.step()
    stage.service.jobs[0].files = {}
    ended = await stage.until_end(job.id, rounds=4)
    assert ended.status == "completed"
    assert stage.service.calls["outputs"] == 1


async def test_job_when_results_were_pushed_then_an_empty_list_is_no_wait(
    stage: Stage, dora: Person
) -> None:
    stage.service.capabilities = Capabilities(
        list_jobs=True, restart=False, archive_password=False, upload_links=True
    )
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.step()
    stage.service.jobs[0].files = {}
    url = stage.service.submissions[-1].upload_url
    assert url is not None
    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        path = url.removeprefix("http://platform.test")
        answer = await Api(session, base).request("PUT", f"{path}x.vcf.gz", data=b"doses")
        assert answer.status == 201
    ended = await stage.until_end(job.id, rounds=4)
    assert (ended.status, ended.results_held) == ("completed", 0)
    assert ended.results_file_id is not None
