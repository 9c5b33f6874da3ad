"""The links by which a job's remote reads its input: over HTTP, from the submission to the end of the job."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest

from app.adapters.base import Capabilities, DoubtfulSubmission, QuotaFull, Submission
from app.core.models import Job
from app.genotypes.indexing import index_bytes
from app.logs import REDACTED, redact
from app.usecases.engine.cancellation import request_cancel
from app.usecases.files import remove_orphans
from tests.engine.stage import Stage
from tests.support.api import Answer, Api
from tests.support.app import serve
from tests.support.jobs import Desk, genotypes
from tests.support.people import Person

PULLS = Capabilities(list_jobs=True, restart=False, archive_password=False, input_links=True)


@pytest.fixture
async def desk(stage: Stage, dora: Person) -> Desk:
    stage.service.capabilities = PULLS
    stage.content = genotypes(records=50)
    return await stage.desk(dora)


@pytest.fixture
async def remote(stage: Stage) -> AsyncIterator[Api]:
    """Somebody at the service, who knows the links and nothing else."""
    async with (
        serve(stage.deps) as (_, base),
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Api(session, base)


async def sent(stage: Stage, person: Person, desk: Desk) -> tuple[Job, Submission]:
    job = await stage.submit(person, desk)
    await stage.step()
    return await stage.job(job.id), stage.service.submissions[-1]


def path_of(url: str | None) -> str:
    assert url is not None
    assert url.startswith("http://platform.test/files/"), "links begin with FIP_PUBLIC_URL"
    assert urlsplit(url).query == "", "the secret stands in the path"
    return urlsplit(url).path


def same_refusal(*answers: Answer) -> None:
    shapes = set()
    for answer in answers:
        told = answer.json()
        told.pop("request_id")
        shapes.add((answer.status, str(told)))
    assert len(shapes) == 1, shapes
    assert answers[0].status == 404


async def test_input_when_it_is_fetched_then_whole_or_in_parts_and_again(
    stage: Stage, dora: Person, desk: Desk, remote: Api
) -> None:
    job, submission = await sent(stage, dora, desk)
    [file] = submission.files
    path = path_of(file.url)
    assert path.endswith(f"/{file.name}")
    seen = await remote.head(path)
    assert (seen.status, seen.headers["Content-Length"], seen.body) == (
        200,
        str(len(stage.content)),
        b"",
    )
    rows = await stage.deps.pool.fetch("select first_fetched_at from signed_links")
    assert all(row["first_fetched_at"] is None for row in rows), "HEAD fetches nothing"
    etag = seen.headers["ETag"]
    assert etag == f'"{hashlib.sha256(stage.content).hexdigest()}"'
    for _ in range(2):
        whole = await remote.get(path, headers={"Host": "evil.test"})
        assert (whole.status, whole.body) == (200, stage.content)
    assert whole.headers["Referrer-Policy"] == "no-referrer"
    part = await remote.get(path, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (part.status, part.body) == (206, stage.content[10:20])
    stale = await remote.get(path, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (stale.status, stale.body) == (200, stage.content)
    assert (await remote.get(path, headers={"Range": "bytes=999999-"})).status == 416
    audits = await stage.deps.pool.fetch(
        "select details from audit_logs where action = 'file.fetched_by_service'"
    )
    assert [row["details"]["job_id"] for row in audits] == [str(job.id)]


async def test_index_when_it_is_asked_for_then_made_once_and_kept(
    stage: Stage, dora: Person, desk: Desk, remote: Api
) -> None:
    _, submission = await sent(stage, dora, desk)
    [file] = submission.files
    path = path_of(file.url) + ".tbi"
    answers = await asyncio.gather(*(remote.get(path) for _ in range(3)))
    expected = index_bytes(file.path)
    assert {(answer.status, answer.body) for answer in answers} == {(200, expected)}
    assert await stage.deps.pool.fetchval("select count(*) from file_indexes") == 1
    keys = [key for n in range(256) for key in await stage.deps.store.list_keys(f"{n:02x}", 0)]
    assert len(keys) == 2, "who was slower has thrown its index away"
    assert await remove_orphans(stage.deps) == 0
    assert len(await stage.deps.store.list_keys(keys[0][:2], 0)) > 0


async def test_index_when_the_file_can_have_none_then_404_and_it_is_not_tried_again(
    stage: Stage, dora: Person, desk: Desk, remote: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.content = b"not bgzip"
    _, submission = await sent(stage, dora, desk)
    path = path_of(submission.files[0].url)
    first = await remote.get(path + ".tbi")

    async def index(*_: object) -> bytes:
        raise AssertionError("asked again")

    monkeypatch.setattr(type(stage.deps.inspector), "index", index)
    same_refusal(first, await remote.get(path + ".tbi"), await remote.get(path + ".csi"))
    assert (await remote.get(path)).status == 200


async def test_sheet_when_it_is_fetched_then_names_every_file_by_its_link(
    stage: Stage, dora: Person, desk: Desk, remote: Api
) -> None:
    _, submission = await sent(stage, dora, desk)
    path = path_of(submission.samplesheet_url)
    assert path.endswith("/samplesheet.csv")
    answer = await remote.get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    [file] = submission.files
    stem = file.name.removesuffix(".vcf.gz")
    assert answer.text == f"sample,vcf\n{stem},{file.url}\n"
    assert (await remote.get(path, headers={"Range": "bytes=0-5"})).body == b"sample"
    assert (await remote.head(path)).headers["Content-Length"] == str(len(answer.body))


async def test_link_when_it_is_tampered_with_then_one_and_the_same_404(
    stage: Stage, dora: Person, desk: Desk, remote: Api
) -> None:
    stage.service.capabilities = replace(PULLS, upload_links=True)
    _, submission = await sent(stage, dora, desk)
    [file] = submission.files
    path, sheet = path_of(file.url), path_of(submission.samplesheet_url)
    push = path_of(submission.upload_url)
    token, sheet_token, push_token = (text.split("/")[3] for text in (path, sheet, push))
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    name = file.name
    answers = [
        await remote.get(wrong)
        for wrong in (
            f"/files/remote/{flipped}/{name}",
            f"/files/remote/{token}/other.vcf.gz",
            f"/files/remote/{token}/samplesheet.csv",
            f"/files/remote/{sheet_token}/{name}",
            f"/files/remote/{push_token}/{name}",
            f"/files/remote/{push_token}/samplesheet.csv",
            f"/files/remote/{token}/{name}.tbi.tbi",
            f"/files/remote/x/{name}",
        )
    ]
    answers += [
        await remote.request("PUT", f"/files/push/{wrong}/x.zip", data=b"x")
        for wrong in (token, sheet_token, flipped, "x")
    ]
    same_refusal(*answers)
    assert (await remote.get(f"/files/download/{token}/{name}")).status == 404
    stage.clock.move(days=7 + 29)
    assert (await remote.get(path)).status == 200
    stage.clock.move(days=2)
    same_refusal(answers[0], await remote.get(path), await remote.get(sheet))


@pytest.mark.parametrize("end", ["completed", "cancelled", "failed"])
async def test_links_when_the_job_ends_then_end_in_the_same_transaction(
    stage: Stage, dora: Person, desk: Desk, remote: Api, end: str
) -> None:
    job, submission = await sent(stage, dora, desk)
    path, sheet = path_of(submission.files[0].url), path_of(submission.samplesheet_url)
    assert (await remote.get(path)).status == 200
    if end == "cancelled":
        await request_cancel(stage.deps, job.id)
    if end == "failed":
        stage.service.jobs.clear()
    ended = await stage.until_end(job.id)
    assert ended.status == end
    revoked = await stage.deps.pool.fetch("select revoked_at from signed_links")
    assert {row["revoked_at"] is not None for row in revoked} == {True}
    same_refusal(await remote.get(path), await remote.get(path + ".tbi"), await remote.get(sheet))


async def test_links_when_the_job_is_sent_a_second_time_then_are_the_same(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    stage.service.errors["submit"] = [QuotaFull("full"), DoubtfulSubmission("reset"), None]
    job = await stage.submit(dora, desk)
    for _ in range(12):
        await stage.step()
        stage.clock.move(seconds=61)
    urls = [
        (await_.files[0].url, await_.samplesheet_url, await_.upload_url)
        for await_ in stage.service.submissions
    ]
    assert len(urls) == 1, "the first two were not taken"
    links = await stage.deps.pool.fetch("select purpose from signed_links order by purpose")
    assert [row["purpose"] for row in links] == ["remote_input", "remote_sheet"]
    assert urls[0][2] is None
    assert (await stage.job(job.id)).external_job_id is not None


async def test_links_when_the_service_takes_files_itself_then_none_is_made(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    _, submission = await sent(stage, dora, desk)
    assert (submission.files[0].url, submission.samplesheet_url) == (None, None)
    assert await stage.deps.pool.fetchval("select count(*) from signed_links") == 0


async def test_links_when_they_are_shown_or_logged_then_without_their_secret(
    stage: Stage, dora: Person, desk: Desk
) -> None:
    stage.service.capabilities = replace(PULLS, upload_links=True)
    _, submission = await sent(stage, dora, desk)
    for url in (submission.files[0].url, submission.samplesheet_url, submission.upload_url):
        secret = path_of(url).split("/")[3]
        assert secret not in repr(submission)
        cleaned = redact(f"fetching {url} failed")
        assert secret not in cleaned
        assert REDACTED in cleaned
