"""`create-admin` and `create-user` from a shell."""

import argparse
import io
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from app.__main__ import main
from app.commands import accounts
from app.core.errors import Conflict, InvalidInput
from app.security.passwords import Passwords
from app.settings import Settings
from app.usecases.deps import Deps
from app.usecases.one_time import ensure_setup_link
from tests.support.api import Api
from tests.support.people import PASSWORD

Run = Callable[..., Awaitable[int]]


@pytest.fixture
def run(settings: Settings, database_url: str, redis_url: str) -> Run:
    """Run a command with arguments; give the exit status."""
    parser = argparse.ArgumentParser()
    accounts.register(parser.add_subparsers())
    settings = replace(settings, database_url=database_url, redis_url=redis_url, pool_size=2)

    async def run(*arguments: object) -> int:
        args = parser.parse_args([str(item) for item in arguments])
        status: int = await args.run(args, settings)
        return status

    return run


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give standard input a text."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


async def test_create_admin_when_password_is_piped_then_the_account_signs_in(
    run: Run, typed: Callable[[str], None], client: Api, deps: Deps
) -> None:
    typed(f"{PASSWORD}\n")

    assert await run("create-admin", "root", "--email", "root@example.org") == 0

    body = {"username": "root", "password": PASSWORD}
    user = (await client.post("/api/auth/login", json=body)).json()["user"]
    assert (user["role"], user["email"]) == ("admin", "root@example.org")
    assert await ensure_setup_link(deps) is None


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nsecond line\n"])
async def test_create_user_when_password_stands_in_a_file_then_its_first_line_counts(
    run: Run, pool: asyncpg.Pool, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(f"{PASSWORD}{ending}".encode())

    assert await run("create-user", "dora", "--password-file", file) == 0

    row = await pool.fetchrow("select role, password_hash, email from users")
    assert (row["role"], row["email"]) == ("user", None)
    assert await Passwords(4).check(PASSWORD, row["password_hash"])


async def test_create_user_when_password_is_piped_by_name_then_it_is_read(
    run: Run, pool: asyncpg.Pool, typed: Callable[[str], None]
) -> None:
    typed(PASSWORD)

    assert await run("create-user", "dora", "--password-file", "-") == 0
    assert await pool.fetchval("select count(*) from users") == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("create-user", "dora", "--password", "short"), InvalidInput),
        (("create-user", "a b", "--password", PASSWORD), InvalidInput),
        (("create-user", "dora", "--password", PASSWORD, "--email", "nonsense"), InvalidInput),
        (("create-user", "ROOT", "--password", PASSWORD), Conflict),
        (("create-user", "dora", "--password", PASSWORD, "--email", "Root@Example.org"), Conflict),
    ],
)
async def test_create_when_something_is_wrong_then_nothing_is_made(
    run: Run, pool: asyncpg.Pool, arguments: tuple[str, ...], error: type[Exception]
) -> None:
    await run("create-admin", "root", "--password", PASSWORD, "--email", "root@example.org")

    with pytest.raises(error):
        await run(*arguments)

    assert await pool.fetchval("select count(*) from users") == 1


async def test_create_when_the_two_passwords_differ_then_refused(
    run: Run, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([PASSWORD, "another horse 8"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda _: True})())

    with pytest.raises(InvalidInput):
        await run("create-user", "dora")
    assert await pool.fetchval("select count(*) from users") == 0


@pytest.mark.parametrize("command", ["create-admin", "create-user"])
def test_help_when_asked_then_it_says_what_the_command_does(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    assert "--password-file" in capsys.readouterr().out


def test_create_when_the_password_file_is_missing_then_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIP_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x")
    monkeypatch.setenv("FIP_REDIS_URL", "redis://127.0.0.1:1")

    status = main(["create-user", "dora", "--password-file", str(tmp_path / "missing")])

    assert status == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
