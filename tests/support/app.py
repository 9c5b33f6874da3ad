"""The platform's web application on a port of its own, as `serve` runs it, without the engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from app.lifespan import Platform, Servers
from app.main import create_app
from app.tasks.worker import Enqueuer
from app.usecases.deps import Deps
from app.usecases.events import EventHub


class Redis:
    """Stands for Redis where nothing is handed over to it."""

    def __init__(self) -> None:
        self.answers = True

    async def ping(self) -> bool:
        return self.answers


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
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield app, f"http://{host}:{port}"
    finally:
        await runner.cleanup()
