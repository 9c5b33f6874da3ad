"""The streamed multipart body: exact length, right bytes, constant memory, honest about how far it came."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import BodyPartReader, web
from yarl import URL

from app.adapters.base import ServiceUnavailable
from app.adapters.failures import NotSent
from app.adapters.payload import FilePart, InputChangedError, MultipartUpload, quote_name
from app.adapters.transport import Transport
from tests.fakes.recording import RecordingServer, never_read, read_then_reset, reset, reset_after

MIB = 1024 * 1024


class Receiver(RecordingServer):
    """Parses the form and remembers hashes."""

    def build(self, app: web.Application) -> None:
        app.add_routes([web.post("/upload", self.take), web.post("/early", self.refuse)])
        self.parts: list[tuple[str, str | None, int, str]] = []
        self.length = 0

    async def take(self, request: web.Request) -> web.Response:
        """Read all parts."""
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            digest, size = hashlib.sha256(), 0
            while piece := await part.read_chunk(MIB):
                digest.update(piece)
                size += len(piece)
            self.parts.append((str(part.name), part.filename, size, digest.hexdigest()))
        self.length = request.content.total_bytes
        return web.json_response({"ok": True})

    async def refuse(self, request: web.Request) -> web.Response:
        """Answer before the body is read."""
        return web.json_response({"message": "too large"}, status=413)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


def _file(folder: Path, content: bytes, name: str = "a.vcf.gz") -> FilePart:
    path = folder / name
    path.write_bytes(content)
    return FilePart("files", name, path, len(content))


async def _send(
    transport: Transport, server: RecordingServer, body: MultipartUpload, path: str = "/upload"
) -> int:
    answer = await transport.upload(URL(server.url + path), body, allow_insecure=True)
    return answer.status


@pytest.mark.parametrize("sizes", [(0,), (1,), (MIB,), (MIB + 1, 0, 3 * MIB - 1), (10, 20)])
async def test_upload_when_sent_then_every_byte_arrives_with_an_exact_length(
    transport: Transport, receiver: Receiver, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    contents = [os.urandom(size) for size in sizes]
    files = [_file(tmp_path, content, f"chr{n}.vcf.gz") for n, content in enumerate(contents)]
    told: list[int] = []
    body = MultipartUpload(
        [("job-name", "fi-1"), ("text", "ä\r\n--x")], files, progress=told.append
    )
    assert await _send(transport, receiver, body) == 200
    (request,) = receiver.requests
    assert "Transfer-Encoding" not in request.headers
    # On a connection of its own: a kept one may be closed by the server just as the job is sent.
    assert request.headers["Connection"] == "close"
    assert int(request.headers["Content-Length"]) == body.size == receiver.length
    assert receiver.parts[0][:2] == ("job-name", None)
    assert receiver.parts[1][3] == hashlib.sha256("ä\r\n--x".encode()).hexdigest()
    assert [(part[1], part[2], part[3]) for part in receiver.parts[2:]] == [
        (f"chr{n}.vcf.gz", len(content), hashlib.sha256(content).hexdigest())
        for n, content in enumerate(contents)
    ]
    assert told == sorted(told)
    assert (told[-1] if told else 0) == sum(sizes) == body.file_bytes


async def test_upload_when_the_same_body_is_sent_twice_then_both_are_whole(
    transport: Transport, receiver: Receiver, tmp_path: Path
) -> None:
    body = MultipartUpload([], [_file(tmp_path, os.urandom(2 * MIB))])
    receiver.misbehave(reset_after(MIB), times=1)
    with pytest.raises(ServiceUnavailable):
        await _send(transport, receiver, body)
    assert await _send(transport, receiver, body) == 200
    assert receiver.parts[0][2] == 2 * MIB


async def test_upload_when_the_file_is_large_then_memory_stays_constant(
    transport: Transport, tmp_path: Path
) -> None:
    """256 MiB from a sparse file; what the process holds more meanwhile must be a few pieces, not a part of the file."""
    size = 256 * MIB
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(size)
    body = MultipartUpload([], [FilePart("files", "a.vcf.gz", path, size)])
    received = 0
    peak = 0

    async def swallow(request: web.Request) -> web.Response:
        nonlocal received, peak
        async for piece in request.content.iter_any():
            received += len(piece)
            peak = max(peak, _rss())
        return web.json_response({})

    async with RecordingServer() as server:
        server.misbehave(swallow)
        before = _rss()
        assert await _send(transport, server, body) == 200
    assert received == body.size
    assert peak - before < 32 * MIB


def _rss() -> int:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_upload_when_the_service_answers_early_then_its_answer_is_given(
    transport: Transport, receiver: Receiver, tmp_path: Path
) -> None:
    body = MultipartUpload([], [_file(tmp_path, os.urandom(MIB))])
    assert await _send(transport, receiver, body, "/early") == 413


@pytest.mark.parametrize("behaviour", [reset, read_then_reset, reset_after(MIB)])
async def test_upload_when_the_connection_breaks_after_it_began_then_not_said_to_be_unsent(
    transport: Transport, receiver: Receiver, tmp_path: Path, behaviour: object
) -> None:
    receiver.misbehave(behaviour)  # type: ignore[arg-type] # parametrised
    body = MultipartUpload([], [_file(tmp_path, os.urandom(4 * MIB))])
    with pytest.raises(ServiceUnavailable) as caught:
        await _send(transport, receiver, body)
    assert not isinstance(caught.value, NotSent)
    assert body.begun


async def test_upload_when_nobody_listens_then_not_sent(
    transport: Transport, tmp_path: Path
) -> None:
    body = MultipartUpload([], [_file(tmp_path, b"x")])
    with pytest.raises(NotSent):
        await transport.upload(URL("http://127.0.0.1:9/"), body, allow_insecure=True)
    assert not body.begun


async def test_upload_when_the_service_stops_reading_then_it_ends_by_itself(
    hasty: Transport, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.misbehave(never_read)
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    body = MultipartUpload([], [FilePart("files", "a.vcf.gz", path, 64 * MIB)], stall_s=0.3)
    with pytest.raises(ServiceUnavailable, match="in time"):
        await _send(hasty, receiver, body)


async def test_upload_when_cancelled_then_no_descriptor_stays_open(
    transport: Transport, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.misbehave(never_read)
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    body = MultipartUpload([], [FilePart("files", "a.vcf.gz", path, 64 * MIB)])
    sending = asyncio.create_task(_send(transport, receiver, body))
    while str(path) not in _open_files():
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with asyncio.timeout(5):
        while str(path) in _open_files():
            await asyncio.sleep(0.01)


def _open_files() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.parametrize("change", ["missing", "longer", "shorter"])
async def test_check_when_a_file_changed_then_refused_before_anything_is_sent(
    tmp_path: Path, change: str
) -> None:
    part = _file(tmp_path, b"12345")
    if change == "missing":
        part.path.unlink()
    else:
        part.path.write_bytes(b"123" if change == "shorter" else b"1234567")
    with pytest.raises(InputChangedError):
        await MultipartUpload([], [part]).check()


async def test_upload_when_a_file_shrinks_meanwhile_then_the_request_is_never_completed(
    transport: Transport, receiver: Receiver, tmp_path: Path
) -> None:
    part = _file(tmp_path, os.urandom(1000))
    part.path.write_bytes(b"short")
    body = MultipartUpload([], [part])
    with pytest.raises(ServiceUnavailable):
        await _send(transport, receiver, body)
    assert isinstance(body.local_error, InputChangedError)
    assert receiver.parts == []


async def test_upload_when_a_file_grew_then_only_the_announced_bytes_go(
    transport: Transport, receiver: Receiver, tmp_path: Path
) -> None:
    part = _file(tmp_path, b"12345")
    part.path.write_bytes(b"1234567")
    assert await _send(transport, receiver, MultipartUpload([], [part])) == 200
    assert receiver.parts[0][2] == 5


def test_quote_name_when_it_could_leave_its_quotes_then_encoded_or_refused() -> None:
    assert quote_name('a"b\\c') == "a%22b%5Cc"
    for bad in ("a\r\nX: y", "a\nb", "a\x00b", "a\x7fb"):
        with pytest.raises(ValueError, match="control"):
            quote_name(bad)
