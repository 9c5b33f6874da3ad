"""PostgreSQL and Valkey for the tests: real ones, started once, with a database of its own for each test.

A database is a copy of a template that was migrated once. Durability is off: nobody reads these databases after a crash.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from app.db.migrations import migrate
from app.embedded import EmbeddedPostgres, EmbeddedValkey

_TEMPLATE = "template_of_tests"
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
}


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def database_url_of(url: str, name: str) -> str:
    """Give the address of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


class Postgres:
    """The server, and copies of its migrated template. It has an event loop of its own, which outlives those of the tests."""

    def __init__(self, root: Path) -> None:
        self._runner = asyncio.Runner()
        self._server = EmbeddedPostgres(root, settings=_FAST)
        self.url = self._runner.run(self._start())

    async def _start(self) -> str:
        url = await self._server.start()
        async with _connected(url) as connection:
            await connection.execute(f"create database {_TEMPLATE}")
        async with _connected(database_url_of(url, _TEMPLATE)) as connection:
            await migrate(connection)
        return url

    async def create_database(self, *, migrated: bool = True) -> str:
        """Give the address of a new database; `drop_database` removes it."""
        name = f"test_{uuid4().hex}"
        source = _TEMPLATE if migrated else "template1"
        async with _connected(self.url) as connection:
            # A file copy is ten times as fast as the default for a database this small.
            await connection.execute(f"create database {name} template {source} strategy file_copy")
        return database_url_of(self.url, name)

    async def drop_database(self, url: str) -> None:
        """Remove a database whoever is connected to it."""
        async with _connected(self.url) as connection:
            await connection.execute(f"drop database {urlsplit(url).path[1:]} with (force)")

    def stop(self) -> None:
        """End the server."""
        self._runner.run(self._server.stop())
        self._runner.close()


class Valkey:
    """The queue's server, likewise."""

    def __init__(self, root: Path) -> None:
        self._runner = asyncio.Runner()
        self._server = EmbeddedValkey(root)
        self.url = self._runner.run(self._server.start())

    def stop(self) -> None:
        """End the server."""
        self._runner.run(self._server.stop())
        self._runner.close()
