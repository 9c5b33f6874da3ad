"""The platform's web application on a port of its own, as `serve` runs it, without the engine."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import jinja2
from aiohttp import web
from jinja2.bccache import Bucket

from app.keys import DEPS
from app.lifespan import Platform
from app.main import create_app
from app.routes.table import add_routes
from app.servers import Servers
from app.tasks.worker import Enqueuer
from app.usecases.deps import Deps
from app.usecases.events import EventHub
from app.web.endpoint import Endpoint
from app.web.middleware import middlewares
from app.web.server import Runner


class Redis:
    """Stands for Redis where nothing is handed over to it."""

    def __init__(self) -> None:
        self.answers = True

    async def ping(self) -> bool:
        return self.answers


class Bytecodes(jinja2.BytecodeCache):
    """Keeps compiled templates in memory; Jinja itself compares them with their sources."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._kept.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


@asynccontextmanager
async def serve(
    deps: Deps, redis: Redis | None = None
) -> AsyncIterator[tuple[web.Application, str]]:
    """Run the application; give it and the address that it listens on."""
    platform = Platform(
        deps=deps,
        servers=Servers("", "", ours=False),
        enqueuer=cast("Enqueuer", redis or Redis()),
        events=EventHub(deps.pool),
    )
    app = create_app(platform)
    async with listen(app) as base:
        yield app, base


@asynccontextmanager
async def serve_rows(
    deps: Deps, endpoints: Iterable[Endpoint]
) -> AsyncIterator[tuple[web.Application, str]]:
    """Run an application that has all the middlewares and nothing but these rows."""
    app = web.Application(middlewares=middlewares(deps))
    app[DEPS] = deps
    add_routes(app, endpoints)
    async with listen(app) as base:
        yield app, base


@asynccontextmanager
async def listen(app: web.Application) -> AsyncIterator[str]:
    """Run an application; give the address that it listens on."""
    runner = Runner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
