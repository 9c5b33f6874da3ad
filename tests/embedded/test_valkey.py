"""Valkey: what it keeps, and what may be thrown away."""

import asyncio
import os
import signal
from pathlib import Path

import redis.asyncio

from app.embedded import EmbeddedValkey
from tests.embedded.conftest import wait_until


async def _get(url: str, key: str) -> object:
    async with redis.asyncio.Redis.from_url(url) as client:
        return await client.get(key)


async def _set(url: str, key: str, value: str) -> None:
    async with redis.asyncio.Redis.from_url(url) as client:
        await client.set(key, value)


async def test_start_when_warm_then_has_the_keys_of_last_time(open_dir: Path) -> None:
    async with EmbeddedValkey(open_dir) as first:
        await _set(first.url, "key", "value")
        assert first.running_url() == first.url
    assert first.running_url() is None
    async with EmbeddedValkey(open_dir) as second:
        assert second.url == first.url
        assert await _get(second.url, "key") == b"value"
        async with redis.asyncio.Redis.from_url(second.url) as client:
            assert (await client.config_get("port"))["port"] == "0"


async def test_supervise_when_killed_then_back_at_the_same_address(open_dir: Path) -> None:
    server = EmbeddedValkey(open_dir)
    await server.start()
    events: list[str] = []

    def report(event: str, /, **_: object) -> None:
        events.append(event)

    task = asyncio.create_task(server.supervise(report))
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await wait_until(lambda: server.pid != killed)
    await _set(server.url, "key", "value")
    await server.stop()
    await asyncio.wait_for(task, 5)
    assert events == ["embedded.valkey.died", "embedded.valkey.restarted"]


async def test_start_when_its_file_is_broken_then_begins_with_an_empty_one(open_dir: Path) -> None:
    async with EmbeddedValkey(open_dir) as server:
        await _set(server.url, "key", "value")
    (log,) = (open_dir / "data" / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"garbage\n" * 100)
    async with EmbeddedValkey(open_dir) as server:
        assert await _get(server.url, "key") is None
    assert (open_dir / "data" / "appendonlydir.broken").is_dir()


async def test_start_when_the_pid_file_names_a_stranger_then_starts(open_dir: Path) -> None:
    (open_dir / "data").mkdir()
    (open_dir / "data" / "valkey.pid").write_text(f"{os.getpid()}\n")
    async with EmbeddedValkey(open_dir) as server:
        await _set(server.url, "key", "value")
