"""A real aiohttp server on loopback that records what it got and can be told to misbehave."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web
from multidict import CIMultiDict

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    target: str
    """Path and query as they stood on the wire."""
    headers: CIMultiDict[str]


@dataclass
class Fault:
    """A behaviour in place of the real answer, for requests whose path begins with `path`."""

    method: str
    path: str
    behaviour: Behaviour
    times: int | None


@dataclass
class RecordingServer:
    """Serves an application; subclasses add routes in `build`."""

    requests: list[Recorded] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    prefix: str = ""
    _runner: web.AppRunner | None = None
    port: int = 0

    def build(self, app: web.Application) -> None:
        """Add routes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 40, middlewares=[self._watch])
        if self.prefix:
            inner = web.Application()
            self.build(inner)
            app.add_subapp(self.prefix, inner)
        else:
            self.build(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def misbehave(
        self, behaviour: Behaviour, path: str = "/", method: str = "*", times: int | None = None
    ) -> None:
        """Answer requests below `path` by `behaviour`, `times` times (always, if None)."""
        self.faults.append(Fault(method, self.prefix + path, behaviour, times))

    def behave(self) -> None:
        """Answer as it should again."""
        self.faults.clear()

    def seen(self, path: str, method: str = "*") -> list[Recorded]:
        """Give the requests below `path`."""
        return [
            item
            for item in self.requests
            if item.path.startswith(self.prefix + path) and method in {"*", item.method}
        ]

    @web.middleware
    async def _watch(self, request: web.Request, handler: Behaviour) -> web.StreamResponse:
        self.requests.append(
            Recorded(request.method, request.path, request.raw_path, CIMultiDict(request.headers))
        )
        for fault in self.faults:
            if fault.method in {"*", request.method} and request.path.startswith(fault.path):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times < 0:
                        continue
                return await fault.behaviour(request)
        return await handler(request)


def answer(
    status: int, body: str | bytes = b"", content_type: str = "application/json", **headers: str
) -> Behaviour:
    """Answer always the same. Header names: underscores become hyphens."""

    async def behave(request: web.Request) -> web.StreamResponse:
        await (
            request.read()
        ) if request.content_length and request.content_length < 1 << 20 else None
        return web.Response(
            status=status,
            body=body.encode() if isinstance(body, str) else body,
            content_type=content_type,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    return behave


HTML_502 = answer(
    502,
    "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>",
    "text/html",
)
HTML_200 = answer(200, "<!DOCTYPE html><html><body>Please sign in</body></html>", "text/html")
NOTHING = answer(200)
GARBAGE = answer(200, b'{"id": [1, 2')
DEEP = answer(200, b"[" * 200_000)


def redirect(location: str, status: int = 302) -> Behaviour:
    """Send elsewhere."""
    return answer(status, b"", "text/plain", Location=location)


async def reset(request: web.Request) -> web.StreamResponse:
    """Drop the connection at once, without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def read_then_reset(request: web.Request) -> web.StreamResponse:
    """Take the whole request, then drop the connection without an answer."""
    async for _ in request.content.iter_any():
        pass
    return await reset(request)


def reset_after(size: int) -> Behaviour:
    """Drop the connection after some bytes of the body."""

    async def behave(request: web.Request) -> web.StreamResponse:
        taken = 0
        async for piece in request.content.iter_any():
            taken += len(piece)
            if taken >= size:
                break
        return await reset(request)

    return behave


async def endless(request: web.Request) -> web.StreamResponse:
    """Begin a JSON list and never end it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b"[")
    while True:
        await response.write(b'{"id":"job-1"},' * 10_000)


async def half_an_answer(request: web.Request) -> web.StreamResponse:
    """Announce more than is sent, then drop the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "job-')
    return await reset(request)


async def silent(request: web.Request) -> web.StreamResponse:
    """Take the request and answer nothing for long; ends when the client goes away."""
    await asyncio.sleep(30)
    return web.Response()


async def never_read(request: web.Request) -> web.StreamResponse:
    """Stop taking the body, so that the sender stalls."""
    assert request.transport is not None
    request.transport.pause_reading()
    await asyncio.sleep(30)
    return web.Response()
