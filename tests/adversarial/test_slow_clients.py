"""Clients that connect and say nothing, stop in the middle, or take nothing: everybody else is served as if they were not there."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings
from app.usecases.deps import Deps
from tests.adversarial.conftest import MIB
from tests.adversarial.forms import fields, start
from tests.adversarial.refusals import refused
from tests.adversarial.wire import Wire, chunk, connect, file, head
from tests.support.api import Api
from tests.support.jobs import Desk, complete, genotypes, stored_paths, submit, submitted
from tests.support.people import PASSWORD, Person

IDLE, UPLOADS, BODIES, READERS, STREAMS = 50, 20, 20, 10, 3
PATIENCE_S = 5.0
"""What anybody else waits at most. Served in a few milliseconds, on a machine that has other things to do."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, upload_idle_timeout_s=60.0)


def memory(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@asynccontextmanager
async def crowd(base: str, alice: Person, desk: Desk, download: str) -> AsyncIterator[list[Wire]]:
    """Let all of them come and hang on."""
    begun = fields(desk) + file(genotypes() + os.urandom(300_000))[:-2]
    login = head("POST", "/api/auth/login", Content_Type="application/json", Content_Length=1000)
    async with AsyncExitStack() as stack:

        async def join(*pieces: bytes) -> Wire:
            wire = await stack.enter_async_context(connect(base))
            for piece in pieces:
                await wire.send(piece)
            return wire

        for _ in range(IDLE):
            await join()
        uploads = [
            await join(start(alice, None), chunk(begun))
            if number % 2
            else await join(start(alice, 10**8) + begun)
            for number in range(UPLOADS)
        ]
        for number in range(BODIES):
            await join(login + b'{"username": "' if number % 2 else login[:-10])
        for _ in range(READERS):
            reader = await join()
            reader.writer.transport.pause_reading()  # type: ignore[attr-defined] # a transport of a socket has it
            await reader.send(head("GET", download, alice.token))
        for _ in range(STREAMS):
            await join(head("GET", "/events", alice.token))
        yield uploads


async def test_others_when_a_crowd_hangs_on_then_are_served_and_memory_stays_bounded(
    base: str, client: Api, deps: Deps, alice: Person, bob: Person, desk: Desk
) -> None:
    job = await complete(
        deps, await submitted(deps, client, alice, desk), {"chr20.dose.vcf.gz": os.urandom(8 * MIB)}
    )
    held = len(await stored_paths(deps))
    tasks = len(asyncio.all_tasks())
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    before = memory("VmRSS")
    async with crowd(base, alice, desk, f"/jobs/{job.id}/results"):
        async with asyncio.timeout(10):
            while len(await stored_paths(deps)) < held + UPLOADS:
                await asyncio.sleep(0.02)
        for _ in range(20):
            async with asyncio.timeout(PATIENCE_S):
                assert (await client.get("/health/live")).status == 200
                assert (await client.get("/jobs", as_=bob)).status == 200
        async with asyncio.timeout(2 * PATIENCE_S):
            ready = (await client.get("/health/ready")).json()
            assert ready["checks"]["database"] == ready["checks"]["storage"] == "ok"
            signed_in = {"username": "bob", "password": PASSWORD}
            assert (await client.post("/api/auth/login", json=signed_in)).status == 200
            assert (await submit(client, alice, desk)).status == 201
        assert memory("VmHWM") - before < 48 * MIB
    async with asyncio.timeout(15):
        while len(await stored_paths(deps)) > held + 1 or len(asyncio.all_tasks()) > tasks + 5:
            await asyncio.sleep(0.05)
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 2


class TestImpatience:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, upload_idle_timeout_s=0.5)

    async def test_uploads_when_they_only_hang_on_then_each_is_told_and_thrown_away(
        self, base: str, client: Api, deps: Deps, alice: Person, desk: Desk
    ) -> None:
        job = await complete(deps, await submitted(deps, client, alice, desk), {"a.gz": b"x"})
        held = await stored_paths(deps)
        async with crowd(base, alice, desk, f"/jobs/{job.id}/results") as uploads:
            for answer in await asyncio.gather(*(wire.answer() for wire in uploads)):
                refused(answer, 400, "broken_upload")
            assert await stored_paths(deps) == held

    async def test_upload_when_it_comes_in_drops_then_it_is_taken_as_long_as_they_come(
        self, base: str, alice: Person, desk: Desk
    ) -> None:
        whole = fields(desk) + file(genotypes()) + b"--B--\r\n"
        async with connect(base) as wire:
            await wire.send(start(alice, len(whole)))
            step = len(whole) // 12
            for place in range(0, len(whole), step):
                await wire.send(whole[place : place + step])
                await asyncio.sleep(0.1)
            assert (await wire.answer()).status == 201
