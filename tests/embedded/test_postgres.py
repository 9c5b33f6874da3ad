"""PostgreSQL: the data survives what happens to the process."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres, EmbeddedServerError, process, tool
from tests.embedded.conftest import wait_until


def _reports() -> tuple[list[tuple[str, dict[str, object]]], process.Report]:
    events: list[tuple[str, dict[str, object]]] = []

    def report(event: str, /, **fields: object) -> None:
        events.append((event, fields))

    return events, report


async def _ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_start_when_cold_warm_and_restarted_then_keeps_the_rows(open_dir: Path) -> None:
    first = EmbeddedPostgres(open_dir)
    url = await first.start()
    assert await _ask(url, "select lower('ÄÖ')") == "äö"
    await _ask(url, "create table kept as select 42 as answer")
    assert await first.start() == url, "a second start does nothing"
    await first.stop()
    assert first.running_url() is None

    async with EmbeddedPostgres(open_dir) as second:
        assert second.running_url() == url
        assert await _ask(url, "select answer from kept") == 42
        pid = second.pid
        assert await second.restart() == url
        assert second.pid != pid
        assert await _ask(url, "select answer from kept") == 42
        assert await _ask(url, "show listen_addresses") == ""
    assert not list(open_dir.glob("data.new-*"))


async def test_supervise_when_the_server_is_killed_then_it_is_back_at_the_same_address(
    pg_root: Path,
) -> None:
    server = EmbeddedPostgres(pg_root)
    url = await server.start()
    await _ask(url, "create table kept as select 42 as answer")
    events, report = _reports()
    task = asyncio.create_task(server.supervise(report))
    for _ in range(2):
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        await wait_until(lambda killed=killed: server.pid != killed)  # type: ignore[misc] # a lambda's default has no type
        assert await _ask(url, "select answer from kept") == 42
    await server.restart()
    await server.stop()
    async with asyncio.timeout(5):
        await task
    assert [event for event, _ in events] == [
        "embedded.postgres.died",
        "embedded.postgres.restarted",
    ] * 2


async def test_supervise_when_the_server_cannot_come_back_then_tries_until_it_can(
    pg_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "RESTART_DELAYS_S", (0.0, 0.01))
    server = EmbeddedPostgres(pg_root)
    url = await server.start()
    events, report = _reports()
    task = asyncio.create_task(server.supervise(report))
    version = pg_root / "data" / "PG_VERSION"
    version.rename(pg_root / "aside")
    log = server.log_path
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await wait_until(lambda: len(events) > len(process.RESTART_DELAYS_S) + 2)
    assert {event for event, _ in events[1:]} == {"embedded.postgres.not_restarted"}
    # Another reason: the log cannot be opened.
    log.rename(pg_root / "log")
    log.mkdir()
    (pg_root / "aside").rename(version)
    await wait_until(lambda: "Is a directory" in str(events[-1]))
    log.rmdir()
    await wait_until(lambda: server.pid != killed)
    assert await _ask(url, "select 1") == 1
    await server.stop()
    await asyncio.wait_for(task, 5)


async def test_start_when_the_pid_file_names_a_stranger_then_starts(pg_root: Path) -> None:
    """In a new container, the pid of the last server soon belongs to another process."""
    async with EmbeddedPostgres(pg_root) as server:
        lines = (pg_root / "data" / "postmaster.pid").read_text().split("\n")
        url = server.url
    owner = (pg_root / "data").stat().st_uid  # PostgreSQL believes only in pids of its own account
    with subprocess.Popen(["sleep", "60"], user=owner) as stranger:
        lines[0] = str(stranger.pid)
        (pg_root / "data" / "postmaster.pid").write_text("\n".join(lines))
        os.chown(pg_root / "data" / "postmaster.pid", owner, -1)
        again = EmbeddedPostgres(pg_root)
        assert again.running_url() is None
        assert await again.start() == url
        await again.stop()
        stranger.kill()


async def test_start_when_another_process_serves_the_directory_then_refused_and_left_alone(
    pg_root: Path,
) -> None:
    async with EmbeddedPostgres(pg_root) as server:
        with pytest.raises(EmbeddedServerError, match=f"process {server.pid} still uses"):
            await EmbeddedPostgres(pg_root, stop_timeout_s=0.05).start()
        assert await _ask(server.url, "select 1") == 1


async def test_start_when_initdb_was_interrupted_then_begins_again(open_dir: Path) -> None:
    half = open_dir / "data.new-0"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(open_dir) as server:
        assert await _ask(server.url, "select 1") == 1
    assert not half.exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"PG_VERSION": "16\n"}, "was made by PostgreSQL 16, and version 18 is installed"),
        ({"somebody's.txt": ""}, "is not a PostgreSQL data directory"),
    ],
)
async def test_start_when_the_directory_is_unfit_then_says_why(
    open_dir: Path, files: dict[str, str], message: str
) -> None:
    (open_dir / "data").mkdir()
    for name, text in files.items():
        (open_dir / "data" / name).write_text(text)
    with pytest.raises(EmbeddedServerError, match=message):
        await EmbeddedPostgres(open_dir).start()


async def test_start_when_postgres_refuses_then_its_last_words_are_in_the_message(
    pg_root: Path,
) -> None:
    broken = EmbeddedPostgres(pg_root, settings={"no_such_setting": "1"})
    with pytest.raises(EmbeddedServerError, match='unrecognized configuration parameter "no_such'):
        await broken.start()
    assert broken.pid is None


async def test_start_when_cancelled_then_leaves_no_server(pg_root: Path) -> None:
    server = EmbeddedPostgres(pg_root)

    async def never_ready(pid: int) -> bool:
        return False

    server._is_ready = never_ready  # type: ignore[method-assign] # to cancel at a known moment
    task = asyncio.create_task(server.start())
    await wait_until((pg_root / "data" / "postmaster.pid").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (pg_root / "data" / "postmaster.pid").exists()
    assert server.running_url() is None


async def test_log_when_a_statement_fails_then_holds_none_of_its_data(pg_root: Path) -> None:
    async with EmbeddedPostgres(pg_root) as server:
        connection = await asyncpg.connect(server.url)
        await connection.execute("create table people (email text unique)")
        insert = "insert into people values ($1)"
        await connection.execute(insert, "planted@example.org")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(insert, "planted@example.org")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute("selec 'planted@example.org'")
        await connection.close()
    log = server.log_path.read_text()
    assert "duplicate key" in log
    assert "planted@" not in log


async def test_log_when_it_has_grown_then_the_old_one_is_put_aside_at_the_next_start(
    pg_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LOG_LIMIT_BYTES", 10)
    server = EmbeddedPostgres(pg_root)
    old = server.log_path.read_text()
    assert old
    async with server:
        assert (pg_root / "postgres.log.1").read_text() == old
        assert old not in server.log_path.read_text()


async def test_tool_when_the_wheel_is_installed_then_dumps_this_server(pg_root: Path) -> None:
    async with EmbeddedPostgres(pg_root) as server:
        await _ask(server.url, "create table kept as select 42 as answer")
        dump = await asyncio.create_subprocess_exec(
            *(tool("pg_dump"), "--dbname", server.url), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await dump.communicate()
    assert dump.returncode == 0
    assert b"COPY public.kept" in out
    for name in ("psql", "pg_restore"):
        assert tool(name).is_file()


def test_tool_when_nobody_has_it_then_says_what_to_install() -> None:
    with pytest.raises(EmbeddedServerError, match="pg_nonsense is not installed"):
        tool("pg_nonsense")
