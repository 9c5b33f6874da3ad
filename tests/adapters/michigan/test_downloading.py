"""Fetching results: once each, without the token, unpacked on the way; and every way it can go wrong."""

import hashlib
import os
from dataclasses import replace

import pytest
from aiohttp import web

from app.adapters.base import (
    AdapterError,
    DownloadsExhausted,
    Rejected,
    RemoteNotFound,
    RemoteOutput,
    ServiceUnavailable,
    UntrustedAddress,
)
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.transport import Transport
from app.core.errors import StorageFull
from tests.adapters.conftest import PASSWORD, michigan, patient
from tests.adapters.sinks import MemorySink
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.recording import (
    HTML_200,
    HTML_502,
    Behaviour,
    RecordingServer,
    answer,
    redirect,
    reset,
    silent,
)
from tests.fakes.zips import Entry, aes256, plain_zip, zipcrypto

SHARE = "/share/results/"
DOSE = os.urandom(100_000)
WANTED = {"chr20.dose.vcf.gz": DOSE, "chr20.info.gz": b"info"}
ARCHIVE = zipcrypto(PASSWORD, *(Entry(name, data) for name, data in WANTED.items()))


def _ignore(_count: int) -> None:
    pass


async def _fetch(
    adapter: MichiganAdapter, output: RemoteOutput, password: str | None = PASSWORD
) -> dict[str, bytes]:
    sink = MemorySink()
    await adapter.download(output, sink, password, _ignore)
    return sink.whole()


async def _offered(
    adapter: MichiganAdapter,
    cloudgene: FakeCloudgene,
    content: bytes = ARCHIVE,
    name: str = "chr_20.zip",
    **stored: object,
) -> RemoteOutput:
    job = cloudgene.add_job("fi-1", 4)
    cloudgene.offer(job, name, content, **stored)  # type: ignore[arg-type] # a bag of keyword arguments
    (output,) = await adapter.outputs(job)
    return output


async def test_outputs_when_listed_then_nothing_is_downloaded(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", 4)
    for name in (
        "chr_20.zip",
        "quality-control.html",
        "statistics/snps-excluded.txt",
        "../evil.zip",
    ):
        cloudgene.offer(job, name, b"x")
    cloudgene.offer(job, "job.log", b"x", param="logfile")
    for _ in range(3):
        outputs = await adapter.outputs(job)
    assert [(output.name, output.role, output.archive) for output in outputs] == [
        ("chr_20.zip", "result", True),
        ("quality-control.html", "qc", False),
        ("statistics/snps-excluded.txt", "qc", False),
        ("job.log", "log", False),
    ]
    assert all(stored.count == 10 for stored in cloudgene.stored.values())
    assert cloudgene.seen(SHARE) == []
    assert len({output.key for output in outputs}) == 4


async def test_outputs_when_the_job_is_unknown_then_not_found(adapter: MichiganAdapter) -> None:
    with pytest.raises(RemoteNotFound):
        await adapter.outputs("job-unknown")


@pytest.mark.parametrize(
    "make", [zipcrypto, aes256, lambda _password, *entries: plain_zip(*entries)]
)
async def test_download_when_an_archive_then_its_files_arrive_and_one_count_is_used(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, make: object
) -> None:
    archive = make(PASSWORD, *(Entry(name, data) for name, data in WANTED.items()))  # type: ignore[operator] # parametrised
    output = await _offered(adapter, cloudgene, archive)
    told: list[int] = []
    sink = MemorySink()
    await adapter.download(output, sink, PASSWORD, told.append)
    assert sink.whole() == WANTED
    assert told == sorted(told)
    assert told[-1] == len(archive)
    (request,) = cloudgene.seen(SHARE)
    assert request.method == "GET"
    assert "X-Auth-Token" not in request.headers
    assert "Range" not in request.headers
    assert next(iter(cloudgene.stored.values())).count == 9


@pytest.mark.parametrize(
    "name", ["statistics/snps excluded.txt", "a%2Fb.txt", "a#b?c&d=e+f.txt", "ä@1.html"]
)
async def test_download_when_plain_then_one_file_under_its_name(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, name: str
) -> None:
    output = await _offered(adapter, cloudgene, b"content", name)
    assert await _fetch(adapter, output) == {name: b"content"}


async def test_download_when_empty_then_an_empty_file(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    output = await _offered(adapter, cloudgene, b"", "qc_report.txt", status=204)
    assert await _fetch(adapter, output) == {"qc_report.txt": b""}


async def test_download_when_stored_elsewhere_then_followed_without_the_token(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    async with RecordingServer() as store:
        store.misbehave(answer(200, ARCHIVE, "application/zip"))
        url = f"http://localhost:{store.port}/bucket/key?X-Amz-Signature=a%2Fb%3D"
        output = await _offered(adapter, cloudgene, b"", redirect_to=url)
        assert await _fetch(adapter, output) == WANTED
        (request,) = store.requests
        assert request.target == "/bucket/key?X-Amz-Signature=a%2Fb%3D"
        assert GOOD_TOKEN not in str(request.headers)


async def test_download_when_redirected_into_the_private_network_then_refused(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    output = await _offered(
        adapter, cloudgene, redirect_to="http://169.254.169.254/latest/meta-data/"
    )
    with pytest.raises(UntrustedAddress):
        await _fetch(adapter, output)


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(ARCHIVE[:50_000])
    return await reset(request)


async def _closed_without_an_end(request: web.Request) -> web.StreamResponse:
    """Close politely, but without the last chunk."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(ARCHIVE[:50_000])
    assert request.transport is not None
    request.transport.close()
    return response


def _with(status: int, body: str | bytes = b"", **headers: str) -> Behaviour:
    return answer(status, body, "application/json", **headers)


ENDS: list[tuple[str, Behaviour, type[AdapterError]]] = [
    ("cut", _cut, ServiceUnavailable),
    ("closed early", _closed_without_an_end, ServiceUnavailable),
    ("reset", reset, ServiceUnavailable),
    ("silent", silent, ServiceUnavailable),
    ("html 200", HTML_200, ServiceUnavailable),
    ("nothing", _with(200), ServiceUnavailable),
    ("html 502", HTML_502, ServiceUnavailable),
    ("500", _with(500, '{"message":"Internal Server Error"}'), ServiceUnavailable),
    ("maintenance", _with(503, '{"message":"under maintenance"}'), ServiceUnavailable),
    ("401", _with(401), ServiceUnavailable),
    ("403", _with(403), ServiceUnavailable),
    (
        "counter",
        _with(400, '{"success":false,"message":"number of max downloads exceeded."}'),
        DownloadsExhausted,
    ),
    ("400", _with(400, '{"success":false,"message":"no"}'), Rejected),
    ("404", _with(404, '{"success":false,"message":"download not found."}'), RemoteNotFound),
    (
        "retired",
        _with(404, '{"success":false,"message":"File not found in workspace."}'),
        RemoteNotFound,
    ),
    ("404 of a proxy", _with(404, "<h1>nginx</h1>"), ServiceUnavailable),
    ("for ever", redirect("/share/results/again"), ServiceUnavailable),
    ("cut archive", _with(200, ARCHIVE[:50_000]), Rejected),
    ("zip-slip", _with(200, zipcrypto(PASSWORD, Entry("../../evil", b"x"))), Rejected),
    ("absolute", _with(200, plain_zip(Entry("/etc/cron.d/evil", b"x"))), Rejected),
    ("bomb", _with(200, plain_zip(Entry("x", b"\0" * 80_000_000))), Rejected),
    ("wrong password", _with(200, aes256("another", Entry("x", b"y"))), Rejected),
    ("bad checksum", _with(200, plain_zip(Entry("x", b"y" * 100, crc=1))), Rejected),
]


@pytest.mark.parametrize(
    ("behaviour", "kind"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS]
)
async def test_download_when_it_ends_so_then_taken_for_that(
    transport: Transport,
    hasty: Transport,
    cloudgene: FakeCloudgene,
    behaviour: Behaviour,
    kind: type[AdapterError],
) -> None:
    adapter = michigan(patient(behaviour, transport, hasty), cloudgene.url)
    output = await _offered(adapter, cloudgene)
    cloudgene.misbehave(behaviour, SHARE)
    sink = MemorySink(keep=False)
    with pytest.raises(AdapterError) as caught:
        await adapter.download(output, sink, PASSWORD, _ignore)
    assert type(caught.value) is kind
    secret = output.address.split("/")[2]
    for hidden in (secret, PASSWORD, GOOD_TOKEN):
        assert hidden not in caught.value.reason


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ServiceUnavailable),
        (404, RemoteNotFound),
        (500, ServiceUnavailable),
        (400, ServiceUnavailable),
    ],
)
async def test_download_when_the_store_refuses_then_a_fresh_link_may_help(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, status: int, kind: type[AdapterError]
) -> None:
    async with RecordingServer() as store:
        store.misbehave(
            answer(status, "<Error><Code>AccessDenied</Code></Error>", "application/xml")
        )
        output = await _offered(adapter, cloudgene, redirect_to=f"http://localhost:{store.port}/k")
        with pytest.raises(AdapterError) as caught:
            await _fetch(adapter, output)
        assert type(caught.value) is kind


async def test_download_when_the_counter_is_used_up_then_said_so(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    output = await _offered(adapter, cloudgene, count=1)
    await _fetch(adapter, output)
    with pytest.raises(DownloadsExhausted):
        await _fetch(adapter, output)


async def test_download_when_a_checksum_is_published_then_compared(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", 4)
    cloudgene.offer(job, "chr_20.zip", ARCHIVE)
    right = hashlib.md5(ARCHIVE, usedforsecurity=False).hexdigest()
    secret = cloudgene.offer(job, "chr_20.zip.md5", f"{right}  chr_20.zip\n".encode())
    (output,) = await adapter.outputs(job)
    assert await _fetch(adapter, output) == WANTED
    cloudgene.stored[secret].content = b"0" * 32 + b"  chr_20.zip\n"
    with pytest.raises(Rejected, match="checksum differs"):
        await _fetch(adapter, output)
    for useless in (b"<html>", b"x" * 100_000):
        cloudgene.stored[secret].content = useless
        assert await _fetch(adapter, output) == WANTED
    cloudgene.stored[secret].count = 0
    assert await _fetch(adapter, output) == WANTED


async def test_download_when_the_sink_is_full_then_its_exception_passes(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    output = await _offered(adapter, cloudgene)
    error = StorageFull("no room")
    with pytest.raises(StorageFull) as caught:
        await adapter.download(output, MemorySink(fail_after=10, error=error), PASSWORD, _ignore)
    assert caught.value is error


@pytest.mark.parametrize(
    "address", ["../../etc/passwd", "share/results//x", "", "share/results/../x"]
)
async def test_download_when_a_stored_address_was_forged_then_not_found(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, address: str
) -> None:
    output = await _offered(adapter, cloudgene)
    before = len(cloudgene.requests)
    with pytest.raises(RemoteNotFound):
        await _fetch(adapter, replace(output, address=address))
    assert len(cloudgene.requests) == before


async def test_download_when_an_address_names_another_host_then_it_stays_a_path(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    output = await _offered(adapter, cloudgene)
    with pytest.raises(AdapterError):
        await _fetch(adapter, replace(output, address="http:/evil.example/x"))
    assert cloudgene.requests[-1].target.startswith("/http%3A/evil.example")
