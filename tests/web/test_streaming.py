"""Downloads over real HTTP: every byte, every range, and a cut connection rather than a wrong answer."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.core.archive import ArchiveLayout, Member
from app.core.errors import NotFound
from app.keys import REQUEST_ID
from app.storage import LocalStore, StoredFile
from app.web.streaming import Download, disposition, file_spans, send

DATA = random.Random(3).randbytes(3_000_000)
Client = TestClient[web.Request, web.Application]
Serve = Callable[[Download], Awaitable[Client]]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, 0)


def put(store: LocalStore, data: bytes = DATA) -> StoredFile:
    pending = store.create()
    pending.write(data)
    return pending.commit()


def file_download(stored: StoredFile, name: str = "chr20.vcf.gz") -> Download:
    return Download(
        name,
        "application/gzip",
        stored.size_bytes,
        stored.sha256,
        file_spans(stored.key, stored.size_bytes),
    )


@pytest.fixture
async def serve(store: LocalStore) -> AsyncIterator[Serve]:
    clients: list[Client] = []

    async def start(download: Download) -> Client:
        async def handle(request: web.Request) -> web.StreamResponse:
            request[REQUEST_ID] = "the-id"
            try:
                return await send(request, store, download)
            except NotFound:
                return web.Response(status=404)

        app = web.Application()
        app.router.add_get("/", handle)
        client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()


async def test_send_when_asked_plainly_then_gives_the_file(store: LocalStore, serve: Serve) -> None:
    stored = put(store)
    client = await serve(file_download(stored))
    response = await client.get("/")
    assert await response.read() == DATA
    assert response.status == 200
    assert response.headers["Content-Length"] == str(len(DATA))
    assert response.headers["ETag"] == f'"{stored.sha256}"'
    assert response.headers["Content-Type"] == "application/gzip"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"] == 'attachment; filename="chr20.vcf.gz"'
    assert "Content-Encoding" not in response.headers


async def test_send_when_it_is_head_then_gives_the_headers_alone(
    store: LocalStore, serve: Serve
) -> None:
    client = await serve(file_download(put(store)))
    response = await client.head("/")
    assert (response.status, await response.read()) == (200, b"")
    assert response.headers["Content-Length"] == str(len(DATA))


async def test_send_when_a_download_is_resumed_then_the_parts_make_the_file(
    store: LocalStore, serve: Serve
) -> None:
    client = await serve(file_download(put(store)))
    first = await client.get("/", headers={"Range": "bytes=0-999999"})
    tag = first.headers["ETag"]
    rest = await client.get("/", headers={"Range": "bytes=1000000-", "If-Range": tag})
    assert (first.status, rest.status) == (206, 206)
    assert rest.headers["Content-Range"] == f"bytes 1000000-{len(DATA) - 1}/{len(DATA)}"
    assert await first.read() + await rest.read() == DATA


async def test_send_when_if_range_names_another_file_then_gives_the_whole(
    store: LocalStore, serve: Serve
) -> None:
    client = await serve(file_download(put(store)))
    response = await client.get("/", headers={"Range": "bytes=5-", "If-Range": '"bogus"'})
    assert response.status == 200
    assert await response.read() == DATA


async def test_send_when_the_range_is_beyond_the_end_then_is_416_with_the_size(
    store: LocalStore, serve: Serve
) -> None:
    client = await serve(file_download(put(store)))
    response = await client.get("/", headers={"Range": "bytes=3000000-"})
    assert response.status == 416
    assert response.headers["Content-Range"] == "bytes */3000000"
    assert response.content_type == "application/problem+json"
    assert (await response.json(content_type=None))["request_id"] == "the-id"


async def test_send_when_the_client_has_it_then_is_304(store: LocalStore, serve: Serve) -> None:
    stored = put(store)
    client = await serve(file_download(stored))
    response = await client.get("/", headers={"If-None-Match": f'"{stored.sha256}"'})
    assert (response.status, await response.read()) == (304, b"")
    response = await client.get("/", headers={"If-Match": '"x"'})
    assert response.status == 412


async def test_send_when_the_file_is_empty_then_gives_nothing(
    store: LocalStore, serve: Serve
) -> None:
    client = await serve(file_download(put(store, b"")))
    response = await client.get("/")
    assert (response.status, await response.read()) == (200, b"")


async def test_send_when_one_connection_is_used_again_then_answers_stay_apart(
    store: LocalStore, serve: Serve
) -> None:
    client = await serve(file_download(put(store)))
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        for start in (0, 1, 2_999_999):
            async with session.get(
                client.make_url("/"), headers={"Range": f"bytes={start}-"}
            ) as response:
                assert await response.read() == DATA[start:]


@pytest.fixture
def archive(store: LocalStore) -> tuple[Download, bytes]:
    """An archive and its bytes."""
    files = {"chr1.gz": DATA, "empty.txt": b"", "statistics/chr2.gz": DATA[:70_000]}
    members, stored = [], {}
    for name, data in files.items():
        file = put(store, data)
        stored[file.key] = data
        members.append(Member(name, file.size_bytes, file.crc32, file.key))
    layout = ArchiveLayout(members)
    whole = b"".join(
        span.data if span.key is None else stored[span.key]
        for span in layout.spans(0, layout.size_bytes)
    )
    return Download("results.zip", "application/zip", layout.size_bytes, "tag", layout.spans), whole


async def test_send_when_it_is_an_archive_then_any_range_is_a_part_of_the_whole(
    serve: Serve, archive: tuple[Download, bytes]
) -> None:
    download, whole = archive
    client = await serve(download)
    assert await (await client.get("/")).read() == whole
    size = len(whole)
    for start, stop in [(0, 10), (30, 60), (40, 3_000_100), (2_999_000, size), (size - 30, size)]:
        response = await client.get("/", headers={"Range": f"bytes={start}-{stop - 1}"})
        assert await response.read() == whole[start:stop]


async def test_send_when_a_file_is_gone_then_is_not_found(store: LocalStore, serve: Serve) -> None:
    stored = put(store)
    client = await serve(file_download(stored))
    await store.delete(stored.key)
    assert (await client.get("/")).status == 404
    assert (await client.head("/")).status == 404


async def test_send_when_the_file_is_shorter_than_recorded_then_is_not_found(
    store: LocalStore, serve: Serve
) -> None:
    stored = replace(put(store), size_bytes=len(DATA) + 1)
    client = await serve(file_download(stored))
    assert (await client.get("/")).status == 404


async def test_send_when_a_file_ends_early_on_the_way_then_the_connection_is_cut(
    store: LocalStore, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = replace(put(store), size_bytes=len(DATA) + 1)
    monkeypatch.setattr("app.web.streaming._ensure_there", lambda *_: None)
    client = await serve(file_download(stored))
    response = await client.get("/")
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


async def test_send_when_the_client_goes_away_then_the_handler_ends(
    store: LocalStore, serve: Serve
) -> None:
    stored = put(store, bytes(40_000_000))
    client = await serve(file_download(stored))
    response = await client.get("/")
    await response.content.read(1000)
    response.close()
    async with asyncio.timeout(5):
        assert (await client.get("/", headers={"Range": "bytes=0-9"})).status == 206


async def test_send_when_html_came_from_elsewhere_then_is_boxed_in(
    store: LocalStore, serve: Serve
) -> None:
    html = replace(
        file_download(put(store)), content_type="text/html; charset=utf-8", name="qc.html"
    )
    response = await (await serve(html)).get("/")
    assert response.headers["Content-Security-Policy"].startswith("sandbox;")
    assert "allow-scripts" not in response.headers["Content-Security-Policy"]
    assert response.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.gz", 'attachment; filename="a b.gz"'),
        ('a"b.gz', "attachment; filename=\"a_b.gz\"; filename*=UTF-8''a%22b.gz"),
        ("é🧬.gz", "attachment; filename=\"__.gz\"; filename*=UTF-8''%C3%A9%F0%9F%A7%AC.gz"),
        ("a\r\nX: y", "attachment; filename=\"a__X: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ("50%.gz", "attachment; filename=\"50_.gz\"; filename*=UTF-8''50%25.gz"),
    ],
)
def test_disposition_when_the_name_is_anything_then_is_one_safe_header(
    name: str, header: str
) -> None:
    assert disposition(name) == header
