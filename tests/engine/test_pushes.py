"""Results that a job's remote pushes: created once, checked, bounded, part of the job and over with it."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from app.adapters.base import Capabilities
from app.core import pushes
from app.core.models import Job
from app.usecases.engine.cancellation import request_cancel
from app.usecases.results import read_archive
from tests.engine.fake_service import RESULTS
from tests.engine.stage import Stage
from tests.engine.test_remote_links import path_of
from tests.support.api import Answer, Api
from tests.support.app import serve
from tests.support.jobs import stored_paths
from tests.support.people import Person

PUSHES = Capabilities(list_jobs=True, restart=False, archive_password=False, upload_links=True)
DOSES = b"dosages of the push" * 5000


class Sender:
    """Somebody at the service who knows a job's upload address."""

    def __init__(self, stage: Stage, api: Api, job: Job, prefix: str) -> None:
        self.stage, self.api, self.job, self.prefix = stage, api, job, prefix

    async def put(self, name: str, content: object = DOSES, **headers: str) -> Answer:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.api.request("PUT", self.prefix + name, data=content, headers=sent)

    async def names(self) -> list[str]:
        rows = await self.stage.deps.pool.fetch(
            "select name from job_files where job_id = $1 and role <> 'input' order by position",
            self.job.id,
        )
        return [row["name"] for row in rows]


@pytest.fixture
async def sender(stage: Stage, dora: Person) -> AsyncIterator[Sender]:
    stage.service.capabilities = PUSHES
    desk = await stage.desk(dora)
    job = await stage.submit(dora, desk)
    await stage.step()
    prefix = path_of(stage.service.submissions[-1].upload_url)
    assert prefix.endswith("/")
    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        yield Sender(stage, Api(session, base), job, prefix)


async def nothing_kept(sender: Sender) -> None:
    assert await sender.names() == []
    assert len(await stored_paths(sender.stage.deps)) == 1, "the input alone"


async def test_push_when_it_is_whole_then_part_of_the_job_and_in_the_archive(
    stage: Stage, sender: Sender
) -> None:
    digest = hashlib.sha256(DOSES)
    md5 = base64.b64encode(hashlib.md5(DOSES, usedforsecurity=False).digest()).decode()
    answer = await sender.put("a.vcf.gz", X_Checksum_SHA256=digest.hexdigest(), Content_MD5=md5)
    assert answer.status == 201, answer.text
    assert answer.json() == {"name": "a.vcf.gz", "size": len(DOSES), "sha256": digest.hexdigest()}
    assert (await sender.put("report.html", b"<p>")).status == 201
    job = await stage.until_end(sender.job.id)
    assert job.status == "completed"
    assert sorted(await sender.names()) == sorted(
        ["a.vcf.gz", "report.html", *RESULTS, "a job-results.zip"]
    )
    archive = await read_archive(stage.deps.pool, job.id)
    assert archive.layout.size_bytes > len(DOSES)
    late = await sender.put("late.zip")
    assert (late.status, late.json()["code"]) == (404, "link_not_found")


async def test_push_when_the_name_is_there_then_only_the_same_bytes_are_taken(
    sender: Sender,
) -> None:
    assert (await sender.put("a.zip")).status == 201
    again = await sender.put("a.zip")
    assert again.status == 200, again.text
    for other in (b"x", b"X" + DOSES[1:]):
        refused = await sender.put("a.zip", other)
        assert (refused.status, refused.json()["code"]) == (409, "result_exists")
    assert await sender.names() == ["a.zip"]
    assert len(await stored_paths(sender.stage.deps)) == 2


async def test_push_when_many_send_one_name_at_once_then_one_is_kept(sender: Sender) -> None:
    same = await asyncio.gather(*(sender.put("same.zip") for _ in range(5)))
    assert sorted(answer.status for answer in same) == [200, 200, 200, 200, 201]
    differing = await asyncio.gather(
        *(sender.put("other.zip", bytes([n]) * 90_000) for n in range(5))
    )
    assert sorted(answer.status for answer in differing) == [201, 409, 409, 409, 409]
    assert sorted(await sender.names()) == ["other.zip", "same.zip"]
    assert len(await stored_paths(sender.stage.deps)) == 3


@pytest.mark.parametrize("name", ["x.sh", "..zip", "%2e%2e%2fx.zip", "a%20b.zip", "x", ".zip"])
async def test_push_when_the_name_is_not_allowed_then_nothing_is_kept(
    sender: Sender, name: str
) -> None:
    answer = await sender.put(name)
    assert answer.status in (400, 404), answer.text
    await nothing_kept(sender)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X_Checksum_SHA256": "0" * 64}, "checksum_differs"),
        ({"Digest": "sha-256=" + base64.b64encode(b"0" * 32).decode()}, "checksum_differs"),
        ({"Content_MD5": base64.b64encode(b"0" * 16).decode()}, "checksum_differs"),
        ({"X_Checksum_SHA256": "none"}, "invalid_checksum"),
    ],
)
async def test_push_when_its_checksum_is_another_then_nothing_is_kept(
    sender: Sender, headers: dict[str, str], code: str
) -> None:
    answer = await sender.put("a.zip", **headers)
    assert (answer.status, answer.json()["code"]) == (400, code)
    await nothing_kept(sender)


async def test_push_when_the_body_breaks_off_then_nothing_is_kept(sender: Sender) -> None:
    host, port = sender.api.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"PUT {sender.prefix}a.zip HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode() + b"x" * 300_000)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    del reader
    for _ in range(200):
        temporary = list((sender.stage.deps.settings.data_dir / "files" / "tmp").iterdir())
        if not temporary and (await sender.names()) == []:
            break
        await asyncio.sleep(0.02)
    assert temporary == []
    await nothing_kept(sender)


@pytest.mark.parametrize("chunked", [False, True])
async def test_push_when_the_job_would_hold_too_much_then_refused(
    stage: Stage, dora: Person, chunked: bool
) -> None:
    stage.service.capabilities = PUSHES
    stage.deps = replace(
        stage.deps, settings=replace(stage.deps.settings, max_result_bytes=len(DOSES) + 10)
    )
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.step()
    prefix = path_of(stage.service.submissions[-1].upload_url)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 5
        yield b"x" * 6

    async with serve(stage.deps) as (_, base), aiohttp.ClientSession() as session:
        sender = Sender(stage, Api(session, base), job, prefix)
        assert (await sender.put("a.zip")).status == 201
        answer = await sender.put("b.zip", pieces() if chunked else b"x" * 11)
        assert (answer.status, answer.json()["code"]) == (413, "results_too_large")
        assert (await sender.put("c.zip", b"x" * 10)).status == 201
        assert (await sender.put("d.zip", b"")).status == 201
        assert await sender.names() == ["a.zip", "c.zip", "d.zip"]


async def test_push_when_the_job_has_as_many_files_as_it_may_then_refused(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.usecases.pushes.MAX_PUSHED_FILES", 2)
    assert pushes.MAX_PUSHED_FILES == 1000
    answers = [await sender.put(f"{n}.zip") for n in range(3)]
    assert [answer.status for answer in answers] == [201, 201, 413]
    assert answers[2].json()["code"] == "too_many_results"
    assert (await sender.put("0.zip")).status == 200, "what is there may be sent again"


async def test_push_when_the_job_is_cancelled_under_way_then_nothing_of_it_is_kept(
    stage: Stage, sender: Sender
) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        began.set()
        await may_end.wait()
        yield b"y"

    sending = asyncio.create_task(sender.put("a.zip", slowly()))
    await began.wait()
    await request_cancel(stage.deps, sender.job.id)
    assert (await stage.until_end(sender.job.id)).status == "cancelled"
    may_end.set()
    assert (await sending).status == 404
    await nothing_kept(sender)


async def test_results_when_pushed_and_fetched_have_one_name_then_neither_is_lost(
    stage: Stage, sender: Sender
) -> None:
    name = "chr20.dose.vcf.gz"
    assert (await sender.put(name, RESULTS[name])).status == 201
    assert (await sender.put("chr20.info.gz", b"another")).status == 201
    job = await stage.until_end(sender.job.id)
    assert job.status == "completed"
    assert sorted(await sender.names()) == sorted(
        [*RESULTS, "chr20-2.info.gz", "a job-results.zip"]
    )
    assert len(await stored_paths(stage.deps)) == 1 + len(RESULTS) + 1
