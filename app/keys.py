"""Every key under which something is kept in the application or a request."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from app.usecases.deps import Actor, Deps
from app.usecases.events import EventHub

DEPS = web.AppKey("deps", Deps)
EVENTS = web.AppKey("events", EventHub)
REDIS_PING: web.AppKey[Callable[[], Awaitable[bool]]] = web.AppKey("redis_ping")
"""Tells whether Redis answers; never raises."""
ACTOR = web.RequestKey("actor", Actor)
TOKEN = web.RequestKey("token", str)
"""The sign-in token that the request came with, in its header or its cookie."""
REQUEST_ID = web.RequestKey("request_id", str)
CLIENT_ADDRESS = web.RequestKey("client_address", str)
ROUTE_PATTERN = web.RequestKey("route_pattern", str)
