"""Fixtures of all tests. Each test has an event loop, a database and a server of its own; PostgreSQL and Valkey are shared.

The loop is the test's own so that whatever a test leaves running is seen there and not in the next one; opening a pool on it
takes a few milliseconds.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from app.db.pool import open_pool
from app.settings import Settings
from tests.support.servers import Postgres, Valkey


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A short path that other accounts may pass: sockets live below, and root's servers run as nobody."""
    path = Path(tempfile.mkdtemp(prefix="fip-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def postgres(servers_dir: Path) -> Iterator[Postgres]:
    """The PostgreSQL server of the session, with a migrated template."""
    server = Postgres(servers_dir / "pg")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(servers_dir: Path) -> Iterator[Valkey]:
    """The Valkey server of the session."""
    server = Valkey(servers_dir / "vk")
    yield server
    server.stop()


@pytest.fixture
async def database_url(postgres: Postgres) -> AsyncIterator[str]:
    """The address of a migrated, empty database of the test's own."""
    url = await postgres.create_database()
    yield url
    await postgres.drop_database(url)


@pytest.fixture
async def redis_url(valkey: Valkey) -> str:
    """The address of the emptied Valkey."""
    async with redis.asyncio.Redis.from_url(valkey.url) as connection:
        await connection.flushall()
    return valkey.url


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """The pool over the test's database, as the platform opens it."""
    pool = await open_pool(database_url, size=8)
    yield pool
    await pool.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a platform under test; override the fixture or use `dataclasses.replace`."""
    return Settings(
        data_dir=tmp_path / "data",
        public_url="http://platform.test",
        jwt_secret="j" * 32,
        link_secret="l" * 32,
        bcrypt_cost=4,
        rate_limit_per_minute=100_000,
        min_free_bytes=1024 * 1024,
    )
