"""Handing over through Redis: once for each key and minute; and without Redis, nobody waits for it."""

import asyncio
import time
from pathlib import Path

import pytest
import redis.asyncio

from app.tasks import handover
from app.tasks.handover import QUEUE, Enqueuer
from tests.tasks.loops import until


async def test_step_when_handed_over_by_many_at_once_then_is_queued_once_over_few_connections(
    redis_url: str,
) -> None:
    enqueue = Enqueuer(redis_url)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        before = len(await client.client_list())
        await asyncio.gather(
            *(enqueue("collect", "a-job", key="collect:a-job:1") for _ in range(50))
        )
        assert await client.zcard(QUEUE) == 1
        assert len(await client.client_list()) - before <= 50
        await enqueue.close()

        async def gone() -> bool:
            return len(await client.client_list()) == before

        await until(gone)


async def test_request_when_redis_refuses_connections_then_does_not_wait(tmp_path: Path) -> None:
    enqueue = Enqueuer(f"unix://{tmp_path}/nobody.sock")
    began = time.monotonic()
    for number in range(200):
        await enqueue("collect", "a-job", key=f"k{number}")
    assert time.monotonic() - began < 1.0
    assert not await enqueue.ping()
    await enqueue.close()


async def test_requests_when_redis_hangs_then_wait_once_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "HANDOVER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(handover, "ANSWER_TIMEOUT_S", 0.3)
    accepted = 0

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await reader.read()
        writer.close()

    path = f"{tmp_path}/hangs.sock"
    server = await asyncio.start_unix_server(say_nothing, path)
    enqueue = Enqueuer(f"unix://{path}")
    began = time.monotonic()
    for number in range(100):
        await enqueue("collect", "a-job", key=f"k{number}")
    assert time.monotonic() - began < 1.0
    assert accepted == 1
    await enqueue.close()
    server.close()
    await server.wait_closed()


async def test_handover_when_redis_is_back_then_goes_on(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "QUIET_S", (0.05,))
    link = tmp_path / "redis.sock"
    enqueue = Enqueuer(f"unix://{link}")
    await enqueue("collect", "a-job", key="k")
    link.symlink_to(redis_url.removeprefix("unix://").partition("?")[0])
    async with redis.asyncio.Redis.from_url(redis_url) as client:

        async def arrived() -> bool:
            await enqueue("collect", "a-job", key="k")
            return bool(await client.zcard(QUEUE))

        await until(arrived)
    await enqueue.close()


async def test_caller_when_cancelled_while_it_hands_over_then_no_connection_is_lost(
    redis_url: str,
) -> None:
    enqueue = Enqueuer(redis_url)
    for delay in range(20):
        caller = asyncio.create_task(enqueue("collect", "a-job", key=f"k{delay}"))
        await asyncio.sleep(delay / 20_000)
        caller.cancel()
        await asyncio.wait({caller})
    await enqueue.close()
