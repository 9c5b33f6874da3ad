"""A web server before a WES server, as sites have: it passes calls on, hands out result files, and loses answers when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

Loss = Literal["request", "answer", "late answer"]
_PASSED = ("Content-Type", "Accept", "Authorization")


@dataclass(slots=True)
class Front:
    """The front of the server at `behind`, whose files below `files` it serves under `/results/`.

    `losses` are used up by submissions, one each. `request`: the connection breaks and nothing was passed on. `answer`: it breaks
    after the server behind took the run. `late answer`: nothing more is said after the server took the run, until the end.
    """

    behind: URL
    files: Path
    base: str = ""
    losses: list[Loss] = field(default_factory=list)
    taken: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """The loss that met each submission, as it happened; empty where it went well."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        """Forget what happened, and lose nothing."""
        self.losses.clear()
        self.taken = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a call on."""
        body = await request.read()
        is_submission = request.method == "POST" and request.path.endswith("/runs")
        loss = self.losses.pop(0) if is_submission and self.losses else None
        if loss == "request":
            return self._broken(request, loss)
        passed = {name: request.headers[name] for name in _PASSED if name in request.headers}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                self.behind.join(URL(request.raw_path, encoded=True)),
                data=body or None,
                headers=passed,
                skip_auto_headers=["Content-Type"],
            ) as answer,
        ):
            said = await answer.read()
            response = web.Response(status=answer.status, body=said)
            response.headers["Content-Type"] = answer.headers["Content-Type"]
        if is_submission and loss is None:
            self.taken.put_nowait("")
        if loss == "late answer":
            self.taken.put_nowait(loss)
            await self.closing.wait()
        return response if loss is None else self._broken(request, loss)

    def _broken(self, request: web.Request, loss: Loss) -> web.Response:
        if loss != "late answer":
            self.taken.put_nowait(loss)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()


@asynccontextmanager
async def open_front(behind: str, files: Path) -> AsyncIterator[Front]:
    """Run the front on a port of its own."""
    front = Front(URL(behind).origin(), files)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_static("/results/", files)
    app.router.add_route("*", "/{path:.*}", front.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        front.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield front
    finally:
        front.closing.set()
        await runner.cleanup()
