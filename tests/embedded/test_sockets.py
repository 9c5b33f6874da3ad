"""Where sockets go when the data directory is not fit for them, and that nobody else gets there first."""

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from app.embedded import EmbeddedPostgres, EmbeddedServerError
from app.embedded.privileges import Identity, ensure_private_dir
from app.embedded.sockets import MAX_SOCKET_PATH_BYTES, socket_dir

OURSELVES = Identity("self", os.geteuid(), os.getegid())


@pytest.mark.parametrize("name", ["long" * 40, "with blank", "with,comma", "ü", "percent%41"])
async def test_start_when_the_path_is_unfit_for_a_socket_then_a_short_plain_one_is_used(
    tmp_path: Path, name: str
) -> None:
    sockets = socket_dir(tmp_path / name, ".s.PGSQL.5432")
    assert not sockets.is_relative_to(tmp_path)
    assert len(str(sockets)) < MAX_SOCKET_PATH_BYTES - 20
    assert sockets == socket_dir(tmp_path / name, "other"), "every process finds the same"
    assert sockets != socket_dir(tmp_path / "another" / name, ".s.PGSQL.5432")


async def test_start_when_the_path_is_long_then_it_works_and_clears_the_socket_folder(
    open_dir: Path,
) -> None:
    server = EmbeddedPostgres(open_dir / ("long, and with blanks " * 5))
    async with server:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("select 1") == 1
        await connection.close()
        sockets = Path(_host(server.url))
        assert sockets.stat().st_mode & 0o777 == 0o700
    assert not sockets.exists()


def _host(url: str) -> str:
    """The socket folder in a DSN."""
    return parse_qs(urlsplit(url).query)["host"][0]


def test_socket_dir_when_short_then_beside_the_data() -> None:
    assert socket_dir(Path("/srv/fip/postgres"), ".s.PGSQL.5432") == Path("/srv/fip/postgres/run")


def test_private_dir_when_open_to_others_then_closed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    ensure_private_dir(tmp_path / "run", OURSELVES)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_private_dir_when_it_is_a_link_then_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EmbeddedServerError, match="is a link"):
        ensure_private_dir(tmp_path / "run", OURSELVES)


def test_private_dir_when_somebody_else_made_it_then_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    stranger = Identity("self", os.geteuid() + 1, os.getegid())
    with pytest.raises(EmbeddedServerError, match="belongs to the account"):
        ensure_private_dir(tmp_path / "run", stranger)
