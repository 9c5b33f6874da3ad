"""Own files over HTTP: uploading, whose they are, and the end of their time."""

import asyncio
import hashlib
from dataclasses import replace

import aiohttp
import pytest

from app.core.models import Job
from app.settings import Settings
from app.usecases import files
from app.usecases.deps import Deps
from tests.genotypes.vcf_files import vcf
from tests.support.api import Answer, Api
from tests.support.deps import Clock
from tests.support.files import GENOTYPES, upload
from tests.support.jobs import (
    RESULTS,
    Desk,
    complete,
    finish,
    genotypes,
    job_form,
    make_desk,
    stored_paths,
    submitted,
)
from tests.support.people import Person

DAY_S = 86_400.0


async def job_with(client: Api, person: Person, desk: Desk, file_id: int) -> Answer:
    """Submit a job over a stored file, as a form without files."""
    fields = {
        "service_id": str(desk.service.id),
        "reference_panel_id": str(desk.panel.id),
        "build": "hg19",
        "input_file_id": str(file_id),
    }
    return await client.post("/jobs", as_=person, data=fields)


class TestUpload:
    async def test_upload_when_the_file_is_good_then_it_is_kept_with_what_was_found(
        self, deps: Deps, client: Api, alice: Person
    ) -> None:
        answer = await upload(client, alice)
        assert answer.status == 201, answer.text
        file = answer.json()
        assert (file["kind"], file["name"], file["size"]) == (
            "input",
            "chr20.vcf.gz",
            len(GENOTYPES),
        )
        assert file["sha256"] == hashlib.sha256(GENOTYPES).hexdigest()
        assert file["facts"]["chromosome"] == "20"
        assert file["facts"]["n_samples"] == 2
        assert (await client.get(f"/files/{file['id']}", as_=alice)).json() == file
        assert (await client.get("/api/files?kind=input", as_=alice)).json() == [file]
        assert (await client.get("/files?kind=result", as_=alice)).json() == []
        assert await deps.pool.fetchval("select action from audit_logs") == "file.uploaded"

    async def test_upload_when_it_cannot_be_used_then_says_why_and_leaves_nothing(
        self, deps: Deps, client: Api, alice: Person
    ) -> None:
        for content, code in [
            (b"", "empty_file"),
            (vcf().encode(), "plain_vcf"),
            (GENOTYPES[:-5], "truncated"),
        ]:
            answer = await upload(client, alice, content)
            assert (answer.status, answer.json()["code"]) == (400, code)
        assert (await upload(client, alice, field="attachment")).json()["code"] == "unknown_field"
        form = aiohttp.FormData()
        form.add_field("file", GENOTYPES, filename="a.vcf.gz")
        form.add_field("file", GENOTYPES, filename="b.vcf.gz")
        two = await client.post("/files/upload", as_=alice, data=form)
        assert two.json()["code"] == "too_many_files"
        none = await client.post("/files/upload", as_=alice, data={"name": ""})
        assert none.json()["code"] == "missing_field"
        text = await client.post("/files/upload", as_=alice, data={"file": "chr20.vcf.gz"})
        assert text.json()["code"] == "not_a_file"
        other = await client.post("/files/upload", as_=alice, json={})
        assert (other.status, other.json()["code"]) == (415, "unsupported_media_type")
        assert await stored_paths(deps) == []
        assert (await client.post("/files/upload", data=b"")).status == 401

    async def test_upload_when_repeated_with_its_key_then_is_one_file(
        self, deps: Deps, client: Api, alice: Person
    ) -> None:
        headers = {"Idempotency-Key": "one"}
        answers = [await upload(client, alice, headers=headers) for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert len(await stored_paths(deps)) == 1
        other = await upload(client, alice, genotypes(records=9), headers=headers)
        assert other.status == 422

    async def test_upload_when_used_by_a_job_then_outlives_it(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        file = (await upload(client, alice)).json()
        answer = await job_with(client, alice, desk, file["id"])
        assert answer.status == 201, answer.text
        busy = await client.delete(f"/files/{file['id']}", as_=alice)
        assert (busy.status, busy.json()["code"]) == (409, "file_in_use")
        await deps.pool.execute(
            "update imputation_jobs set status = 'failed', completed_at = now(), next_action = null"
        )
        assert (await client.delete(f"/jobs/{answer.json()['id']}", as_=alice)).status == 204
        assert (await client.get(f"/files/{file['id']}", as_=alice)).status == 200
        assert (await client.delete(f"/files/{file['id']}", as_=alice)).status == 204
        assert await stored_paths(deps) == []

    async def test_submit_when_a_stored_files_facts_are_unreadable_then_it_is_checked_again(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        file = (await upload(client, alice)).json()
        await deps.pool.execute('update files set facts = \'{"of": "another version"}\'')
        assert (await job_with(client, alice, desk, file["id"])).status == 201


async def test_every_route_when_the_file_is_anothers_then_there_is_no_such_file(
    client: Api, alice: Person, charlie: Person
) -> None:
    file_id = (await upload(client, alice)).json()["id"]
    for path in (f"/files/{file_id}", f"/files/{10**17}"):
        for method, suffix in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/download"),
            ("HEAD", "/download"),
            ("DELETE", "/links"),
        ]:
            answer = await client.request(method, path + suffix, as_=charlie)
            assert answer.status == 404, (method, suffix)
            assert (await client.request(method, path + suffix)).status == 401
    assert (
        await client.get(
            f"/files/{file_id}/download", as_=charlie, headers={"Accept": "application/json"}
        )
    ).status == 404
    assert (await client.get("/files", as_=charlie)).json() == []


async def test_delete_when_the_file_is_a_result_then_conflicts(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    job = await complete(deps, await submitted(deps, client, alice, desk))
    for file in (await client.get("/files", as_=alice)).json():
        if file["kind"] != "input":
            answer = await client.delete(f"/files/{file['id']}", as_=alice)
            assert (answer.status, answer.json()["code"]) == (409, "file_of_job")
    archive = (await client.get(f"/files/{job.results_file_id}", as_=alice)).json()
    assert (archive["kind"], archive["sha256"]) == ("archive", None)


class TestTime:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, input_retention_s=10 * DAY_S)

    async def ended(self, deps: Deps, client: Api, alice: Person, desk: Desk) -> Job:
        return await complete(deps, await submitted(deps, client, alice, desk))

    async def test_remove_expired_when_a_jobs_time_is_over_then_its_files_go(
        self, deps: Deps, client: Api, alice: Person, desk: Desk, clock: Clock
    ) -> None:
        job = await self.ended(deps, client, alice, desk)
        await deps.pool.execute(
            "update files set expires_at = now() + interval '20 days' where kind <> 'input'"
        )
        assert await files.remove_expired(deps) == 0
        clock.move(days=11)
        assert await files.remove_expired(deps) == 1
        assert len(await stored_paths(deps)) == len(RESULTS)
        clock.move(days=10)
        assert await files.remove_expired(deps) == len(RESULTS) + 1
        assert await stored_paths(deps) == []
        clock.move(days=-21)
        answer = await client.get(f"/jobs/{job.id}/results", as_=alice)
        assert answer.json()["code"] == "results_deleted"
        assert (await client.get(f"/jobs/{job.id}", as_=alice)).json()["status"] == "completed"

    async def test_remove_expired_when_an_open_or_fresh_job_uses_a_file_then_it_stays(
        self, deps: Deps, client: Api, alice: Person, desk: Desk, clock: Clock
    ) -> None:
        job = await submitted(deps, client, alice, desk)
        clock.move(days=30)
        assert await files.remove_expired(deps) == 0
        await finish(deps, job)
        clock.move(days=6)
        assert await files.remove_expired(deps) == 0
        clock.move(days=2)
        assert await files.remove_expired(deps) == 1

    async def test_submit_when_it_uses_an_old_file_then_that_lives_longer(
        self, deps: Deps, client: Api, alice: Person, desk: Desk, clock: Clock
    ) -> None:
        file = (await upload(client, alice)).json()
        clock.move(hours=20)
        assert (await job_with(client, alice, desk, file["id"])).status == 201
        longer = (await client.get(f"/files/{file['id']}", as_=alice)).json()
        assert longer["expires_at"] > file["expires_at"]

    async def test_remove_orphans_when_a_process_was_killed_then_only_its_bytes_go(
        self, deps: Deps, client: Api, alice: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await submitted(deps, client, alice, desk)
        pending = deps.store.create()
        pending.write(b"left behind")
        orphan = pending.commit()
        assert await files.remove_orphans(deps) == 0
        monkeypatch.setattr(files, "ORPHAN_AFTER_S", 0.0)
        assert await files.remove_orphans(deps) == 1
        assert not deps.store.path(orphan.key).exists()
        assert len(await stored_paths(deps)) == 1


async def test_submit_and_delete_when_at_once_then_the_job_never_loses_its_input(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    old = await finish(deps, await submitted(deps, client, alice, desk))
    file_id = old.input_file_id
    assert file_id is not None
    async with deps.pool.acquire() as conn, conn.transaction():
        # A submission that holds the file and has not committed yet.
        await conn.execute("select 1 from files where id = $1 for key share", file_id)
        deleting = asyncio.ensure_future(client.delete(f"/jobs/{old.id}", as_=alice))
        await asyncio.sleep(0.2)
        assert not deleting.done()
        other = await make_desk(deps, None)
        account = await conn.fetchval(
            "insert into service_accounts (service_id) values ($1) returning id", other.service.id
        )
        new = await conn.fetchval(
            "insert into imputation_jobs (user_id, name, service_id, account_id, panel_key, panel_name, build, phasing,"
            " remote_name, archive_secret, archive_secret_key_id) values ($1, 'n', $2, $3, 'p', 'p', 'hg19', true, 'r', '', 'k')"
            " returning id",
            alice.id,
            other.service.id,
            account,
        )
        await conn.execute(
            "insert into job_files values ($1, $2, 'input', 'x.vcf.gz', 0)", new, file_id
        )
    assert (await deleting).status == 204
    assert (
        await deps.pool.fetchval("select file_id from job_files where job_id = $1", new) == file_id
    )
    assert len(await stored_paths(deps)) == 1


async def test_submit_when_the_form_has_unknown_things_then_urlencoded_is_judged_alike(
    client: Api, alice: Person, desk: Desk
) -> None:
    many = [(f"f{number}", "x") for number in range(10_000)]
    answer = await client.post("/jobs", as_=alice, data=many)
    assert (answer.status, answer.json()["code"]) == (400, "too_many_fields")
    large = await client.post("/jobs", as_=alice, data={"description": "x" * 300_000})
    assert large.status == 413
    assert (
        await client.post("/jobs", as_=alice, data=job_form(desk, name="ok.vcf.gz"))
    ).status == 201
