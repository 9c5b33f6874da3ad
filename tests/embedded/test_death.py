"""Nothing outlives the platform, and nothing committed is lost, however it ends."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from app.embedded import DataDirLock, DataDirLockedError, EmbeddedPostgres, EmbeddedValkey
from tests.embedded.conftest import StartChild, is_gone, wait_until


async def _write_rows(url: str, acknowledged: list[int]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("create table if not exists kept (id int primary key)")
    while True:
        number = len(acknowledged)
        await connection.execute("insert into kept values ($1)", number)
        acknowledged.append(number)


async def _kept(url: str) -> set[int]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select id from kept")
    await connection.close()
    return {row["id"] for row in rows}


async def test_kill_9_when_writing_then_servers_end_and_no_committed_row_is_lost(
    data_dir: Path, start_child: StartChild
) -> None:
    child = await start_child(data_dir)
    acknowledged: list[int] = []
    writer = asyncio.create_task(_write_rows(child.postgres_url, acknowledged))
    await wait_until(lambda: len(acknowledged) >= 50)
    child.process.kill()  # and go on at once, while the old servers may still be on their way out
    again = await start_child(data_dir)
    assert is_gone(child.postgres_pid)
    assert is_gone(child.valkey_pid)
    (error,) = await asyncio.gather(writer, return_exceptions=True)
    assert isinstance(error, Exception), "its connection broke"
    assert set(acknowledged) <= await _kept(again.postgres_url)


async def test_kill_9_of_everything_when_started_again_then_recovers(
    data_dir: Path, start_child: StartChild
) -> None:
    child = await start_child(data_dir)
    acknowledged: list[int] = []
    writer = asyncio.create_task(_write_rows(child.postgres_url, acknowledged))
    await wait_until(lambda: len(acknowledged) >= 50)
    async with redis.asyncio.Redis.from_url(child.valkey_url) as client:
        await client.set("key", "value")
    for pid in (child.process.pid, child.postgres_pid, child.valkey_pid):
        os.kill(pid, signal.SIGKILL)
    again = await start_child(data_dir)
    (error,) = await asyncio.gather(writer, return_exceptions=True)
    assert isinstance(error, Exception), "its connection broke"
    assert set(acknowledged) <= await _kept(again.postgres_url)
    async with redis.asyncio.Redis.from_url(again.valkey_url) as client:
        assert await client.ping()


async def test_kill_9_when_idle_then_both_servers_are_gone_without_help(
    data_dir: Path, start_child: StartChild
) -> None:
    child = await start_child(data_dir)
    assert not is_gone(child.postgres_pid)
    assert not is_gone(child.valkey_pid)
    child.process.kill()
    await wait_until(lambda: is_gone(child.postgres_pid) and is_gone(child.valkey_pid))


async def test_second_process_when_the_first_runs_then_refused_but_finds_its_servers(
    data_dir: Path, start_child: StartChild
) -> None:
    child = await start_child(data_dir)
    with pytest.raises(DataDirLockedError, match=f"pid {child.process.pid}"):
        DataDirLock(data_dir).acquire()
    assert EmbeddedPostgres(data_dir / "postgres").running_url() == child.postgres_url
    assert EmbeddedValkey(data_dir / "valkey").running_url() == child.valkey_url


async def test_environment_when_it_has_secrets_then_the_servers_do_not_know_them(
    data_dir: Path, start_child: StartChild
) -> None:
    child = await start_child(data_dir, environment={"FIP_JWT_SECRET": "planted-secret"})
    for pid in (child.postgres_pid, child.valkey_pid):
        known = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"LC_ALL=C" in known
        assert b"planted-secret" not in known
