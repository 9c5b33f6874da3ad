"""A client of the sandbox's WES, as its users write them, and a web server that gives input and takes results."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

BASE = "/ga4gh/wes/v1"
PARAMS = {
    "panel": "h3africa-sandbox",
    "build": "hg19",
    "phasing": "eagle",
    "population": "afr",
    "job_id": "fi-1",
}
FIELDS = {
    "workflow_type": "NFL",
    "workflow_type_version": "DSL2",
    "workflow_url": "imputation.nf",
    "tags": '{"platform_job_id": "fi-1"}',
}
FINAL = {"COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED"}


class WesUser:
    """Talks to the sandbox by WES."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str | None) -> None:
        self.session = session
        self.origin = base
        self.base = base + BASE
        self.headers = {"Authorization": f"Bearer {token}"} if token is not None else {}

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {**self.headers, **more.pop("headers", {})}
        async with self.session.request(
            method, self.base + path, headers=headers, **more
        ) as response:
            text = (await response.read()).decode(errors="replace")
            try:
                return response.status, json.loads(text)
            except ValueError:
                return response.status, text

    async def get(self, path: str) -> Any:
        status, body = await self.call("GET", path)
        assert status == 200, body
        return body

    async def post(
        self,
        *files: Path,
        params: dict[str, Any] | None = None,
        multipart: bool = True,
        **fields: str | None,
    ) -> tuple[int, Any]:
        """Send a run; ``params`` and ``fields`` change the usual ones, None leaves a field out."""
        sent = {"input": " ".join(f.name for f in files), **PARAMS, **(params or {})}
        data = aiohttp.FormData(quote_fields=False, default_to_multipart=multipart)
        for name, value in {**FIELDS, "workflow_params": json.dumps(sent), **fields}.items():
            if value is not None:
                data.add_field(name, value)
        for file in files:
            data.add_field("workflow_attachment", file.read_bytes(), filename=file.name)
        return await self.call("POST", "/runs", data=data)

    async def submit(self, *files: Path, **more: Any) -> str:
        status, body = await self.post(*files, **more)
        assert status == 200, body
        return str(body["run_id"])

    async def state(self, run_id: str) -> str:
        return str((await self.get(f"/runs/{run_id}/status"))["state"])

    async def wait_for(self, run_id: str, *states: str) -> str:
        async with asyncio.timeout(120):
            while (state := await self.state(run_id)) not in states:
                await asyncio.sleep(0.01)
        return state

    async def finish(self, run_id: str) -> dict[str, Any]:
        """The whole run, once it ended."""
        await self.wait_for(run_id, *FINAL)
        run: dict[str, Any] = await self.get(f"/runs/{run_id}")
        return run

    async def faults(self, **switches: Any) -> None:
        async with self.session.put(f"{self.origin}/sandbox/faults", json=switches) as response:
            assert response.status == 200, await response.text()

    async def stats(self) -> dict[str, Any]:
        async with self.session.get(f"{self.origin}/sandbox/stats") as response:
            stats: dict[str, Any] = await response.json()
            return stats


class Depot:
    """A web server of links: files to fetch, and a folder that results are PUT into."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.pushed: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.put_status = 201

    async def give(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path}")
        body = self.files.get(request.match_info["name"])
        return web.Response(status=404) if body is None else web.Response(body=body)

    async def take(self, request: web.Request) -> web.Response:
        self.pushed[request.match_info["name"]] = await request.read()
        return web.Response(status=self.put_status)


@contextlib.asynccontextmanager
async def open_depot() -> AsyncIterator[Depot]:
    depot = Depot()
    app = web.Application(client_max_size=1024**3)
    app.router.add_get("/in/secret-of-a-link/{name}", depot.give)
    app.router.add_put("/out/secret-of-a-link/{name}", depot.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        depot.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield depot
    finally:
        await runner.cleanup()
