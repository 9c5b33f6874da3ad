"""`service …` from a shell."""

import argparse
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.commands import services
from app.core.errors import AppError, Conflict, InvalidInput, NoCredentials, NotFound
from app.sandbox.panels import DEFAULT_PANELS
from app.settings import Settings
from tests.support.sandbox import open_sandbox
from tests.support.world import Sandbox

Run = Callable[..., Awaitable[int]]
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaGFyZWQifQ.c2lnbmF0dXJl"


@pytest.fixture
def run(settings: Settings, database_url: str, redis_url: str) -> Run:
    """Run `service` with arguments; give the exit status."""
    parser = argparse.ArgumentParser()
    services.register(parser.add_subparsers())
    settings = replace(settings, database_url=database_url, redis_url=redis_url, pool_size=2)

    async def run(*arguments: object) -> int:
        args = parser.parse_args(["service", *map(str, arguments)])
        status: int = await args.run(args, settings)
        return status

    return run


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A service that answers."""
    async with open_sandbox(tmp_path / "sandbox") as sandbox:
        yield sandbox


async def test_add_when_a_preset_is_named_then_service_and_panels_are_there(
    run: Run, pool: asyncpg.Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("list") == 0
    assert "No service yet" in capsys.readouterr().out
    assert await run("add", "--preset", "h3africa") == 0
    out = capsys.readouterr().out
    assert "slug h3africa" in out
    assert "shared" not in out
    assert await run("list") == 0
    listed = capsys.readouterr().out
    for word in ("h3africa", "unknown", "per user", "https://"):
        assert word in listed
    assert await run("panels", "h3africa") == 0
    assert "African Genome Variation Project" in capsys.readouterr().out
    entry = await pool.fetchrow("select user_id, action from audit_logs")
    assert tuple(entry) == (None, "service.created")
    with pytest.raises(Conflict):
        await run("add", "--preset", "h3africa")


async def test_add_when_a_token_is_given_then_says_that_everybody_shares_it(
    run: Run, pool: asyncpg.Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    arguments = ("add", "--url", "https://impute.example.org/", "--name", "Our Own")
    assert await run(*arguments, "--api-token-file", file) == 0
    said = capsys.readouterr()
    assert "slug our-own" in said.out
    assert "«shared»" in said.out
    assert "every permitted user" in said.out
    assert TOKEN not in said.out + said.err
    row = await pool.fetchrow("select credential_policy, shared_secret, base_url from services")
    assert (row["credential_policy"], row["base_url"]) == ("shared", "https://impute.example.org")
    assert row["shared_secret"] is not None
    assert TOKEN.encode() not in row["shared_secret"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("add", "--url", "http://x.example.org"),
        ("add", "--url", "http://x.example.org", "--name", "X"),
        ("add", "--url", "https://x.example.org", "--name", "X", "--type", "galaxy"),
        ("add", "--url", "https://x.example.org", "--name", "X", "--api-token", "two words"),
    ],
)
async def test_add_when_something_is_missing_or_wrong_then_is_refused(
    run: Run, pool: asyncpg.Pool, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput):
        await run(*arguments)
    assert await pool.fetchval("select count(*) from services") == 0


async def test_check_when_looked_at_then_status_tells_up_from_down(
    run: Run, pool: asyncpg.Pool, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run("add", "--url", sandbox.base, "--name", "Box", "--allow-insecure")
    assert await run("check", "box") == 0
    assert "box is up (" in capsys.readouterr().out
    sandbox.set_faults(answer="html_502")
    assert await run("check", "box") == 1
    assert "box is down" in capsys.readouterr().out
    row = await pool.fetchrow("select health, health_checked_at from services")
    assert row["health"] == "down"
    assert row["health_checked_at"] is not None
    states = await pool.fetch("select state from service_health order by id")
    assert [state["state"] for state in states] == ["up", "unknown", "down"], (
        "the second look confirms"
    )


async def test_panels_when_synced_with_a_token_for_this_call_then_it_is_not_stored(
    run: Run,
    pool: asyncpg.Pool,
    sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await run("add", "--url", sandbox.base, "--name", "Box", "--allow-insecure")
    with pytest.raises(NoCredentials):
        await run("panels", "box", "--sync")
    monkeypatch.setattr("sys.stdin", io.StringIO(sandbox.token + "\n"))
    capsys.readouterr()
    assert await run("panels", "box", "--sync", "--api-token-file", "-") == 0
    out = capsys.readouterr().out
    assert "3 new" in out
    for panel in DEFAULT_PANELS:
        assert panel.key in out
    assert await pool.fetchval("select shared_secret is null from services")
    assert await pool.fetchval("select count(*) from user_service_credentials") == 0


async def test_panels_when_the_token_is_shared_then_sync_uses_it(
    run: Run, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    token: list[Any] = ["--api-token", sandbox.token]
    await run("add", "--url", sandbox.base, "--name", "Box", "--allow-insecure", *token)
    assert await run("panels", "box", "--sync") == 0
    assert "3 new, 0 vanished" in capsys.readouterr().out


@pytest.mark.parametrize("action", ["check", "panels"])
async def test_service_when_the_slug_is_unknown_then_says_so(run: Run, action: str) -> None:
    with pytest.raises(NotFound) as caught:
        await run(action, "nope")
    assert isinstance(caught.value, AppError)


async def test_add_when_only_the_address_is_given_then_shows_what_it_found_and_asks(
    run: Run,
    pool: asyncpg.Pool,
    sandbox: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sandbox speaks two dialects at one address: which is meant has to be said."""
    address = ("add", "--url", sandbox.base, "--allow-insecure")
    with pytest.raises(AppError, match="michigan, ga4gh_wes"):
        await run(*address)
    michigan = (*address, "--type", "michigan")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert await run(*michigan) == 1
    out = capsys.readouterr().out
    for word in ("michigan (cloudgene3)", sandbox.base, "Add it?", "Nothing was added"):
        assert word in out
    assert await pool.fetchval("select count(*) from services") == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert await run(*michigan, "--slug", "mine") == 0
    row = await pool.fetchrow("select slug, api_type, credential_policy from services")
    assert tuple(row) == ("mine", "michigan", "per_user")


async def test_add_when_an_address_and_a_token_are_given_then_its_panels_are_there_at_once(
    run: Run,
    pool: asyncpg.Pool,
    sandbox: Sandbox,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "token"
    file.write_text(sandbox.token + "\n")
    address = ("--url", sandbox.base, "--allow-insecure", "--type", "michigan")
    assert await run("add", *address, "--yes", "--api-token-file", file) == 0
    captured = capsys.readouterr()
    assert f"Read {len(DEFAULT_PANELS)} panels" in captured.out
    assert sandbox.token not in captured.out + captured.err
    assert await pool.fetchval("select count(*) from reference_panels") == len(DEFAULT_PANELS)


async def test_add_when_nothing_is_recognised_then_says_so(run: Run, pool: asyncpg.Pool) -> None:
    with pytest.raises(AppError, match="Nothing could be found out"):
        await run("add", "--url", "http://127.0.0.1:1", "--allow-insecure", "--yes")
    assert await pool.fetchval("select count(*) from services") == 0
