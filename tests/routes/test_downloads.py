"""Fetching own files over HTTP: whole or in part, by signed links, and a job's results as one archive."""

from typing import Any
from uuid import uuid4

import pytest

from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.deps import Clock
from tests.support.files import GENOTYPES, upload
from tests.support.jobs import Desk, complete, genotypes, submitted
from tests.support.people import Person

JSON = {"Accept": "application/json"}


class TestDownload:
    async def test_download_when_asked_then_gives_bytes_and_writes_it_down(
        self, deps: Deps, client: Api, alice: Person
    ) -> None:
        file = (await upload(client, alice)).json()
        path = f"/files/{file['id']}/download"
        answer = await client.get(path, as_=alice)
        assert (answer.status, answer.body) == (200, GENOTYPES)
        assert answer.headers["ETag"] == f'"{file["sha256"]}"'
        assert answer.headers["Content-Type"] == "application/gzip"
        part = await client.get(path, as_=alice, headers={"Range": "bytes=5-9"})
        assert (part.status, part.body) == (206, GENOTYPES[5:10])
        bogus = {"Range": "bytes=5-9", "If-Range": '"bogus"'}
        assert (await client.get(path, as_=alice, headers=bogus)).body == GENOTYPES
        beyond = await client.get(path, as_=alice, headers={"Range": "bytes=999999-"})
        assert (beyond.status, beyond.json()["status"]) == (416, 416)
        same = await client.get(path, as_=alice, headers={"If-None-Match": answer.headers["ETag"]})
        assert same.status == 304
        head = await client.head(path, as_=alice)
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(GENOTYPES)))
        acts = await deps.pool.fetch("select * from audit_logs where action = 'file.downloaded'")
        assert len(acts) == 3
        assert {(row["user_id"], row["address"]) for row in acts} == {(alice.id, "127.0.0.1")}

    async def test_download_when_the_bytes_are_gone_then_is_404_and_not_written_down(
        self, deps: Deps, client: Api, alice: Person
    ) -> None:
        file = (await upload(client, alice)).json()
        await deps.store.delete(await deps.pool.fetchval("select storage_key from files"))
        answer = await client.get(f"/files/{file['id']}/download", as_=alice)
        assert (answer.status, answer.json()["code"]) == (404, "file_gone")
        downloads = "select count(*) from audit_logs where action = 'file.downloaded'"
        assert await deps.pool.fetchval(downloads) == 0

    async def test_download_when_a_member_of_the_archive_is_gone_then_is_404(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        job = await complete(deps, await submitted(deps, client, alice, desk))
        key = await deps.pool.fetchval("select storage_key from files where name like '%.dose%'")
        await deps.store.delete(key)
        assert (await client.get(f"/jobs/{job.id}/results", as_=alice)).status == 404


class TestLinks:
    @pytest.fixture
    async def file(self, client: Api, alice: Person) -> dict[str, Any]:
        found: dict[str, Any] = (await upload(client, alice)).json()
        return found

    async def link(self, client: Api, person: Person, file: dict[str, Any]) -> str:
        answer = await client.get(f"/files/{file['id']}/download", as_=person, headers=JSON)
        told = answer.json()
        assert set(told) == {"download_url", "expires_at"}
        return str(told["download_url"].removeprefix("http://platform.test"))

    async def test_link_when_followed_then_needs_no_sign_in(
        self, deps: Deps, client: Api, alice: Person, file: dict[str, Any]
    ) -> None:
        path = await self.link(client, alice, file)
        answer = await client.get(path)
        assert (answer.status, answer.body) == (200, GENOTYPES)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert (await client.head("/api" + path)).headers["Content-Length"] == str(len(GENOTYPES))
        part = await client.get(path, headers={"Range": "bytes=-4"})
        assert (part.status, part.body) == (206, GENOTYPES[-4:])
        act = await deps.pool.fetchrow("select * from audit_logs where action = 'file.downloaded'")
        assert (act["user_id"], act["details"]) == (
            alice.id, {"name": "chr20.vcf.gz", "by_link": True},
        )  # fmt: skip

    async def test_link_when_asked_for_often_then_is_the_same_while_it_lasts(
        self, client: Api, alice: Person, file: dict[str, Any], clock: Clock
    ) -> None:
        first = await self.link(client, alice, file)
        assert await self.link(client, alice, file) == first
        clock.move(seconds=2000)
        second = await self.link(client, alice, file)
        assert second != first
        assert (await client.get(first)).status == 200

    async def test_link_when_wrong_expired_or_revoked_then_answers_are_the_same(
        self, deps: Deps, client: Api, alice: Person, file: dict[str, Any], clock: Clock
    ) -> None:
        path = await self.link(client, alice, file)
        token = path.split("/")[3]
        flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
        forged = deps.links.sign(uuid4(), file["id"])
        paths = [
            path.replace(token, other)
            for other in (flipped, forged, "x", "%F0%9F%A7%AC", "a" * 5000)
        ]
        assert (await client.get(path.replace("chr20", "any"))).status == 200
        answers = [await client.get(wrong) for wrong in paths]
        revoked = await client.delete(f"/files/{file['id']}/links", as_=alice)
        assert revoked.json() == {"revoked": 1}
        answers.append(await client.get(path))
        late = await self.link(client, alice, file)
        clock.move(seconds=3601)
        answers.append(await client.get(late))
        shapes = set()
        for answer in answers:
            told = answer.json()
            told.pop("request_id")
            shapes.add((answer.status, str(told)))
        assert len(shapes) == 1
        assert answers[0].status == 404

    async def test_link_when_its_user_is_disabled_or_the_file_deleted_then_ends(
        self, deps: Deps, client: Api, alice: Person, file: dict[str, Any]
    ) -> None:
        path = await self.link(client, alice, file)
        await deps.pool.execute("update users set is_active = false")
        assert (await client.get(path)).status == 404
        await deps.pool.execute("update users set is_active = true")
        assert (await client.get(path)).status == 200
        assert (await client.delete(f"/files/{file['id']}", as_=alice)).status == 204
        assert (await client.get(path)).status == 404

    async def test_link_when_its_token_names_another_file_then_is_refused(
        self, deps: Deps, client: Api, alice: Person, file: dict[str, Any]
    ) -> None:
        other = (await upload(client, alice, genotypes(records=5))).json()
        await self.link(client, alice, file)
        link_id = await deps.pool.fetchval("select id from signed_links")
        forged = deps.links.sign(link_id, other["id"])
        assert (await client.get(f"/files/download/{forged}/x")).status == 404


async def test_archive_when_made_twice_then_is_one_file_of_the_same_bytes(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    job = await complete(deps, await submitted(deps, client, alice, desk))
    first = await client.get(f"/jobs/{job.id}/results", as_=alice)
    second = await client.get(f"/jobs/{job.id}/results", as_=alice)
    assert first.body == second.body
    assert first.headers["ETag"] == second.headers["ETag"]
    row = await deps.pool.fetchrow("select * from files where id = $1", job.results_file_id)
    assert (row["size_bytes"], row["storage_key"]) == (len(first.body), None)


async def test_archive_when_the_job_has_no_results_then_is_an_empty_zip(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    job = await complete(deps, await submitted(deps, client, alice, desk), {})
    answer = await client.get(f"/jobs/{job.id}/results", as_=alice)
    assert (answer.status, len(answer.body)) == (200, 22)
