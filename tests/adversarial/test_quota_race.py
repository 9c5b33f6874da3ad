"""Uploads of one user at the same time: together they never hold more than the quota, and what breaks gives its room back."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from app.settings import Settings
from app.usecases.deps import Deps
from tests.adversarial.conftest import MIB
from tests.adversarial.refusals import leaves_nothing, refused
from tests.adversarial.wire import END, Wire, chunk, connect, file, head
from tests.support.jobs import genotypes, stored_paths
from tests.support.people import Person

FORM = "multipart/form-data; boundary=B"
SIZE = MIB
FITTING = 4


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(
        settings, max_stored_bytes_per_user=FITTING * SIZE + SIZE // 2, upload_idle_timeout_s=20.0
    )


def opening(person: Person, size: int) -> bytes:
    """The head of an upload whose file has this size, and the head of the file."""
    begun = file(b"", field="file")[:-2]
    length = len(begun) + size + 2 + len(END)
    head_ = head("POST", "/files/upload", person.token, Content_Type=FORM, Content_Length=length)
    return head_ + begun


async def held(deps: Deps) -> int:
    found = await deps.pool.fetchval("select coalesce(sum(size_bytes), 0) from upload_reservations")
    return int(found)


async def until_held(deps: Deps, size: int) -> None:
    async with asyncio.timeout(10):
        while await held(deps) != size:
            await asyncio.sleep(0.01)


async def test_uploads_when_ten_begin_at_once_then_those_that_cannot_fit_are_told_before_their_file(
    base: str, deps: Deps, alice: Person
) -> None:
    quota = deps.settings.max_stored_bytes_per_user
    async with leaves_nothing(deps), AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(connect(base)) for _ in range(10)]
        await asyncio.gather(*(wire.send(opening(alice, SIZE)) for wire in wires))
        told = [asyncio.create_task(wire.answer(limit_s=5)) for wire in wires]
        # Four have their room, a fifth has what is left, since it might hold more fields than file; five are refused.
        await asyncio.wait(told, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(5):
            while sum(task.done() for task in told) < 5:
                await asyncio.sleep(0.01)
        assert await held(deps) == quota
        for task in told:
            if task.done():
                refused(task.result(), 403, "storage_quota")
        going = [wire for wire, task in zip(wires, told, strict=True) if not task.done()]
        for task in told:
            task.cancel()
        await asyncio.gather(*told, return_exceptions=True)
        for wire in going:
            wire.reset()
        await until_held(deps, 0)
    assert await stored_paths(deps) == []


async def test_upload_when_it_breaks_then_the_next_has_its_room(
    base: str, deps: Deps, alice: Person
) -> None:
    quota = deps.settings.max_stored_bytes_per_user
    data = genotypes()

    async def small(wire: Wire) -> int:
        await wire.send(opening(alice, len(data)) + data + b"\r\n" + END)
        return (await wire.answer()).status

    for how in ("reset", "closed", "garbage"):
        async with connect(base) as wire:
            await wire.send(opening(alice, quota) + data[:100])
            await until_held(deps, quota)
            async with connect(base) as other:
                assert await small(other) == 403
            if how == "reset":
                wire.reset()
            elif how == "garbage":
                await wire.send(b"<html>" * 20_000)
        await until_held(deps, 0)
        assert await stored_paths(deps) == [], how
    async with connect(base) as wire:
        assert await small(wire) == 201
    assert await held(deps) == 0


async def test_upload_when_it_declares_no_length_then_is_counted_as_it_comes(
    base: str, deps: Deps, alice: Person
) -> None:
    quota = deps.settings.max_stored_bytes_per_user
    start = head(
        "POST", "/files/upload", alice.token, Content_Type=FORM, Transfer_Encoding="chunked"
    )
    async with connect(base) as wire:
        await wire.send(start + chunk(file(genotypes(), field="file")[:-2]))
        await until_held(deps, quota)
        wire.reset()
    await until_held(deps, 0)
    async with connect(base) as wire:
        await wire.send(start + chunk(file(genotypes(), field="file") + END) + b"0\r\n\r\n")
        assert (await wire.answer()).status == 201
    assert await held(deps) == 0


async def test_uploads_when_all_run_to_their_end_then_as_many_as_fit_are_stored(
    base: str, deps: Deps, alice: Person
) -> None:
    data = genotypes()
    quota = deps.settings.max_stored_bytes_per_user
    await deps.pool.execute(
        "insert into files (user_id, kind, name, storage_key, size_bytes) values ($1, 'input', 'a', 'k', $2)",
        alice.id,
        quota - 3 * len(data),
    )

    async def send() -> int:
        async with connect(base) as wire:
            await wire.send(opening(alice, len(data)) + data + b"\r\n" + END)
            return (await wire.answer()).status

    statuses = await asyncio.gather(*(send() for _ in range(8)))
    assert sorted(statuses) == [201] * 3 + [403] * 5
    assert await held(deps) == 0
    stored = await deps.pool.fetchval("select sum(size_bytes) from files")
    assert stored == quota
