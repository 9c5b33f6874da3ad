"""The platform's web application on a port of its own, as `serve` runs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from app.keys import DEPS, REDIS_PING
from app.routes.table import add_routes
from app.usecases.deps import Deps
from app.web.middleware import middlewares


async def _redis_answers() -> bool:
    return True


@asynccontextmanager
async def serve(deps: Deps) -> AsyncIterator[tuple[web.Application, str]]:
    """Run the application; give it and the address that it listens on."""
    app = web.Application(middlewares=middlewares(deps))
    app[DEPS] = deps
    app[REDIS_PING] = _redis_answers
    add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield app, f"http://{host}:{port}"
    finally:
        await runner.cleanup()
