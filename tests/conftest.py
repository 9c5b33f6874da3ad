"""Fixtures of all tests. Each test has an event loop, a database and a server of its own; PostgreSQL and Valkey are shared.

The loop is the test's own so that whatever a test leaves running is seen there and not in the next one; opening a pool on it
takes a few milliseconds.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import redis.asyncio
from aiohttp import web

from app.db.pool import open_pool
from app.settings import GIB, Settings
from app.usecases.deps import Deps
from app.web import templating
from tests import factories
from tests.support.api import Api
from tests.support.app import Bytecodes, serve
from tests.support.deps import Clock, RecordingQueue, open_deps
from tests.support.people import Person
from tests.support.servers import Postgres, Valkey
from tests.support.workers import KeptInspector

HERE = Path(__file__).parent
LONGEST = ("e2e", "browser")
"""Folders whose tests take up to a minute each: begun last, one of them would run on while the other processes have nothing to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest; everything else keeps its order."""
    places = {HERE / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.parent, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _compiled_templates() -> Iterator[None]:
    """Compile each template once a session, though each test makes an application of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templating, "BYTECODES", Bytecodes())
        yield


@pytest.fixture(scope="session", autouse=True)
def _kept_workers() -> Iterator[None]:
    yield
    KeptInspector.end()


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A short path that other accounts may pass: sockets live below, and root's servers run as nobody.

    In memory where there is room: copying a database is then ten times as fast.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * GIB
    path = Path(tempfile.mkdtemp(prefix="fip-", dir=memory if roomy else None))
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
def tmp_path(tmp_path: Path) -> Path:
    """Give pytest's own folder, which other accounts may pass: servers that root starts run as one of them."""
    if os.geteuid() == 0:
        # The last one is the folder of all sessions, which each session closes when it begins.
        for folder in (tmp_path, *tmp_path.parents[:3]):
            mode = folder.stat().st_mode
            if not mode & 0o001:
                folder.chmod(mode | 0o011)
    return tmp_path


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
        allowed_networks=(ip_network("127.0.0.0/8"),),
        rate_limit_per_minute=100_000,
        min_free_bytes=1024 * 1024,
    )


@pytest.fixture
def clock() -> Clock:
    """The clock of use cases: real time, which a test may move."""
    return Clock()


@pytest.fixture
def queue() -> RecordingQueue:
    """What was handed to the workers."""
    return RecordingQueue()


@pytest.fixture
async def deps(
    settings: Settings, pool: asyncpg.Pool, clock: Clock, queue: RecordingQueue
) -> AsyncIterator[Deps]:
    """Everything use cases touch: the real things, except that tasks and e-mails are recorded."""
    async with open_deps(settings, pool, clock, queue) as deps:
        yield deps


@pytest.fixture
async def app_server(deps: Deps) -> AsyncIterator[tuple[web.Application, str]]:
    """The platform's web application and where it listens."""
    async with serve(deps) as (app, base):
        yield app, base


@pytest.fixture
async def client(app_server: tuple[web.Application, str]) -> AsyncIterator[Api]:
    """Calls the platform over HTTP."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Api(session, app_server[1])


@pytest.fixture
async def alice(deps: Deps) -> Person:
    """The owner."""
    return await factories.make_person(deps, "alice")


@pytest.fixture
async def bob(deps: Deps) -> Person:
    """A colleague, who has an account and nothing else."""
    return await factories.make_person(deps, "bob")


@pytest.fixture
async def charlie(deps: Deps) -> Person:
    """A stranger."""
    return await factories.make_person(deps, "charlie")


@pytest.fixture
async def admin(deps: Deps) -> Person:
    """An administrator."""
    return await factories.make_person(deps, "root", role="admin")
