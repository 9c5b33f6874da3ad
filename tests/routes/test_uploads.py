"""Uploads as the network brings them: cut, slow, endless, huge; refused early, and in constant memory."""

import asyncio
import errno
import os
import re
import shutil
import socket
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from app.settings import Settings
from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.jobs import (
    Desk,
    ThreadInspector,
    genotypes,
    job_form,
    make_desk,
    stored_paths,
    submitted,
)
from tests.support.people import Person

MIB = 1024 * 1024
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def part(name: str, value: str) -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file_part(content: bytes, name: str = "chr20.vcf.gz", field: str = "input_file") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def fields_of(desk: Desk) -> bytes:
    return (
        part("service_id", str(desk.service.id))
        + part("reference_panel_id", str(desk.panel.id))
        + part("build", "hg19")
    )


END = b"--B--\r\n"


@dataclass(slots=True)
class Wire:
    """A connection on which a test writes what it likes."""

    base: str
    token: str
    sock: socket.socket | None = None

    async def send(self, *pieces: bytes, path: str = "/jobs", length: int | None = None) -> None:
        """Begin a POST: chunked when `length` is None (the pieces are then sent as chunks)."""
        loop = asyncio.get_running_loop()
        host, _, port = self.base.removeprefix("http://").partition(":")
        self.sock = socket.socket()
        self.sock.setblocking(False)
        await loop.sock_connect(self.sock, (host, int(port)))
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: multipart/form-data; boundary=B\r\n{framing}\r\n\r\n"
        )
        await loop.sock_sendall(self.sock, head.encode())
        for piece in pieces:
            framed = piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
            await loop.sock_sendall(self.sock, framed)

    async def answer(self) -> tuple[int, Any]:
        """Read status and JSON body of the answer."""
        assert self.sock is not None
        loop = asyncio.get_running_loop()
        raw = b""
        async with asyncio.timeout(10):
            while True:
                if (found := re.search(rb"Content-Length: (\d+)\r\n(?:.*\r\n)*?\r\n", raw)) and len(
                    raw
                ) >= found.end() + int(found[1]):
                    break
                piece = await loop.sock_recv(self.sock, 65536)
                assert piece, raw
                raw += piece
        return int(raw.split()[1]), msgspec.json.decode(raw[found.end() :])

    def close(self, *, reset: bool = False) -> None:
        if self.sock is not None:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()


@pytest.fixture
def wire(app_server: tuple[web.Application, str], alice: Person) -> Wire:
    return Wire(app_server[1], alice.token)


async def nothing_is_left(deps: Deps) -> None:
    async with asyncio.timeout(5):
        while await stored_paths(deps):
            await asyncio.sleep(0.02)
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 0
    assert await deps.pool.fetchval("select count(*) from files") == 0


async def until_begun(deps: Deps) -> None:
    async with asyncio.timeout(5):
        while not await stored_paths(deps):
            await asyncio.sleep(0.01)


async def test_upload_when_the_closing_boundary_is_missing_then_is_broken(
    deps: Deps, desk: Desk, wire: Wire
) -> None:
    body = fields_of(desk) + file_part(genotypes())
    await wire.send(body, length=len(body))
    status, told = await wire.answer()
    assert (status, told["code"]) == (400, "broken_upload")
    wire.close()
    await nothing_is_left(deps)


async def test_upload_when_the_connection_breaks_then_nothing_is_left(
    deps: Deps, desk: Desk, wire: Wire
) -> None:
    body = fields_of(desk) + file_part(genotypes() + os.urandom(2 * MIB))[:-10]
    for reset in (False, True):
        await wire.send(body, length=len(body) + 10_000)
        await until_begun(deps)
        wire.close(reset=reset)
        await nothing_is_left(deps)


async def test_upload_when_the_client_leaves_after_the_last_byte_then_there_is_no_job(
    deps: Deps, desk: Desk, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    inspect = ThreadInspector.inspect

    async def wait(self: ThreadInspector, path: Path, name: str, timeout_s: float = 0) -> Any:
        entered.set()
        await go_on.wait()
        return await inspect(self, path, name, timeout_s)

    monkeypatch.setattr(ThreadInspector, "inspect", wait)
    body = fields_of(desk) + file_part(genotypes()) + END
    await wire.send(body, length=len(body))
    async with asyncio.timeout(5):
        await entered.wait()
        wire.close(reset=True)
        await asyncio.sleep(0.05)
        go_on.set()
    await nothing_is_left(deps)


async def test_upload_when_it_stalls_then_is_given_up(
    deps: Deps, desk: Desk, app_server: tuple[web.Application, str], wire: Wire
) -> None:
    body = fields_of(desk) + file_part(genotypes())
    await wire.send(body, length=len(body) + 100)
    status, told = await wire.answer()
    assert (status, told["code"]) == (400, "broken_upload")
    assert "0.5 seconds" in told["message"]
    wire.close()
    await nothing_is_left(deps)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, upload_idle_timeout_s=0.5, max_upload_bytes=400 * MIB)


async def test_upload_when_it_says_that_it_is_too_large_then_is_refused_unread(
    deps: Deps, desk: Desk, wire: Wire
) -> None:
    await wire.send(b"", length=401 * MIB)
    status, told = await wire.answer()
    assert (status, told["code"]) == (413, "too_large")
    wire.close()
    await nothing_is_left(deps)


async def test_upload_when_chunked_then_is_taken_and_counted_while_it_runs(
    deps: Deps,
    desk: Desk,
    client: Api,
    alice: Person,
    app_server: tuple[web.Application, str],
    wire: Wire,
) -> None:
    await wire.send(fields_of(desk), file_part(genotypes()), END, b"")
    status, told = await wire.answer()
    assert (status, told.get("status")) == (201, "queued"), told
    wire.close()


async def test_upload_when_sent_byte_by_byte_then_is_the_same(
    deps: Deps, desk: Desk, wire: Wire
) -> None:
    body = fields_of(desk) + file_part(genotypes()) + END
    await wire.send(*[body[place : place + 1] for place in range(len(body))], b"")
    status, told = await wire.answer()
    assert status == 201, told
    wire.close()


async def test_upload_when_the_form_is_abused_then_is_refused_at_once(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    cases = [
        (b"".join(part(f"f{number}", "x") for number in range(10_000)), 400, "unknown_field"),
        (b"".join(part("input_file_id", "") for _ in range(10_000)), 400, "too_many_fields"),
        (part("description", "x" * 70_000), 413, "too_large"),
        (part("name", "a\0b"), 400, "not_text"),
        (part("name", "?").replace(b"?", b"\xff"), 400, "not_text"),
        (b"--B\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 400, "part_headers_too_long"),
        (b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n", 400, "nested_multipart"),
        (b"no boundary at all" * 1000, 400, "broken_upload"),
        (b"", 400, "missing_field"),
        (file_part(b"x", field="attachment"), 400, "unknown_field"),
    ]
    for body, status, code in cases:
        answer = await client.post("/jobs", as_=alice, data=body + END, headers=headers)
        assert (answer.status, answer.json()["code"]) == (status, code), body[:50]
    bare = await client.post(
        "/jobs", as_=alice, data=END, headers={"Content-Type": "multipart/form-data"}
    )
    assert bare.json()["code"] == "no_boundary"
    await nothing_is_left(deps)


async def test_upload_when_the_disk_has_no_room_then_is_507_and_nothing_is_left(
    deps: Deps, client: Api, alice: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if "/files/tmp/" in str(Path(f"/proc/self/fd/{fd}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        answer = await client.post("/jobs", as_=alice, data=job_form(desk))
    assert (answer.status, answer.json()["code"]) == (507, "storage_full")
    await nothing_is_left(deps)
    deps.store._min_free_bytes = 2**62
    answer = await client.post("/jobs", as_=alice, data=job_form(desk))
    assert (answer.status, answer.json()["code"]) == (507, "storage_full")
    await nothing_is_left(deps)


async def test_upload_when_the_database_fails_at_the_end_then_nothing_is_left(
    deps: Deps, client: Api, alice: Person, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr("app.usecases.audit.record", fail)  # the last thing in the transaction
        answer = await client.post("/jobs", as_=alice, data=job_form(desk))
    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
    await nothing_is_left(deps)
    await submitted(deps, client, alice, desk)


async def curl(*words: str) -> tuple[int, bytes]:
    """Run curl; give the status and the body of the answer."""
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "-w", "\n%{http_code}", *words, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 0, out
    body, _, status = out.rpartition(b"\n")
    return int(status), body


def large_file(path: Path, size: int) -> Path:
    """Make a file that begins like a good one and is then a hole."""
    path.write_bytes(genotypes(records=2000))
    os.truncate(path, size)
    return path


@needs_curl
async def test_curl_when_refused_early_then_gets_the_answer_without_sending_all(
    deps: Deps, app_server: tuple[web.Application, str], alice: Person, tmp_path: Path
) -> None:
    desk = await make_desk(deps, None)
    file = large_file(tmp_path / "large.vcf.gz", 50 * MIB)
    words = [
        "-H", f"Authorization: Bearer {alice.token}", "-H", "Expect:",
        "-F", f"service_id={desk.service.id}", "-F", f"input_file=@{file}",
        f"{app_server[1]}/jobs",
    ]  # fmt: skip
    for pace in ([], ["--limit-rate", "2M"]):  # at this pace, sending all of it takes 25 seconds
        async with asyncio.timeout(15):
            status, body = await curl(*pace, *words)
        assert (status, msgspec.json.decode(body)["error"]) == (400, "no_credentials")
    await nothing_is_left(deps)


@needs_curl
async def test_curl_when_it_submits_then_gets_the_job(
    deps: Deps, app_server: tuple[web.Application, str], alice: Person, desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / 'my "best" chr20.vcf.gz'
    file.write_bytes(genotypes())
    quoted = str(file).replace('"', '\\"')
    status, body = await curl(
        "-H", f"Authorization: Bearer {alice.token}", "-H", "Expect: 100-continue",
        "-F", f'input_file=@"{quoted}"', "-F", f"service_id={desk.service.id}",
        "-F", f"reference_panel_id={desk.panel.id}", "-F", "build=hg19", f"{app_server[1]}/jobs",
    )  # fmt: skip
    job = msgspec.json.decode(body)
    assert status == 201, job
    assert job["input_file_name"] == 'my "best" chr20.vcf.gz'


def memory(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@needs_curl
async def test_upload_when_it_is_huge_then_memory_stays_as_it_is(
    deps: Deps,
    app_server: tuple[web.Application, str],
    alice: Person,
    desk: Desk,
    client: Api,
    tmp_path: Path,
) -> None:
    # What is loaded on first use is not what is measured.
    await submitted(deps, client, alice, desk)
    file = large_file(tmp_path / "huge.vcf.gz", 300 * MIB)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = memory("VmRSS")
    status, body = await curl(
        "-H", f"Authorization: Bearer {alice.token}",
        "-F", f"file=@{file}", f"{app_server[1]}/files/upload",
    )  # fmt: skip
    assert (status, msgspec.json.decode(body)["code"]) == (400, "truncated")
    risen = memory("VmHWM") - before
    assert risen < 16 * MIB, f"{risen / MIB:.1f} MiB"
    assert len(await stored_paths(deps)) == 1
