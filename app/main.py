"""The web application, assembled: middlewares, routes, and what handlers reach through the application's keys."""

from aiohttp import web

from app.keys import DEPS, EVENTS, REDIS_PING
from app.lifespan import Platform
from app.routes.table import add_routes
from app.web.middleware import middlewares
from app.web.reading import MAX_JSON_BYTES


def create_app(platform: Platform) -> web.Application:
    """Give the application over an open platform."""
    app = web.Application(middlewares=middlewares(platform.deps), client_max_size=MAX_JSON_BYTES)
    app[DEPS] = platform.deps
    app[EVENTS] = platform.events
    app[REDIS_PING] = platform.enqueuer.ping
    add_routes(app)
    app.on_shutdown.append(_end_streams)
    return app


async def _end_streams(app: web.Application) -> None:
    """Event streams have no end of their own; the server's stop would wait for them."""
    app[EVENTS].end_streams()
