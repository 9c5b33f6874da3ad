"""A sandbox under test, and a user of it."""

import asyncio
import contextlib
import json
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from stream_unzip import stream_unzip

from app.sandbox.config import SandboxConfig
from app.sandbox.engine.model import Options
from app.sandbox.keys import JOBS
from app.sandbox.panels import DEFAULT_PANELS
from app.sandbox.server import create_app

APP = "imputationserver2"
PANEL = "apps@h3africa-sandbox@1.0.0"
FORM = {
    "refpanel": PANEL,
    "build": "hg19",
    "phasing": "eagle",
    "population": "afr",
    "mode": "imputation",
    "job-name": "fi-1",
    "password": "fi-secret",
}
OPEN_STATES = {1, 2, 3}
OPTIONS = Options(panel=DEFAULT_PANELS[0], population="afr", password="fi-secret")


class User:
    """Talks to a sandbox as its API's users do."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str) -> None:
        self.session = session
        self.base = base
        self.token = token

    async def call(
        self, method: str, path: str, *, token: str | None = "", **more: Any
    ) -> tuple[int, Any]:
        """Status and body (JSON where it is); ``token`` None sends none."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["X-Auth-Token"] = token or self.token
        async with self.session.request(
            method, self.base + path, headers=headers, allow_redirects=False, **more
        ) as response:
            text = (await response.read()).decode(errors="replace")
            try:
                return response.status, json.loads(text)
            except ValueError:
                return response.status, text

    async def get(self, path: str, **more: Any) -> tuple[int, Any]:
        return await self.call("GET", path, **more)

    def form(self, files: Sequence[Path], fields: dict[str, str | None]) -> aiohttp.FormData:
        """The usual form with the given changes; None leaves a field out."""
        data = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for name, value in {**FORM, **fields}.items():
            if value is not None:
                data.add_field(name, value)
        for file in files:
            data.add_field("files", file.read_bytes(), filename=file.name)
        return data

    async def post(
        self, files: Sequence[Path], app: str = APP, token: str | None = "", **fields: str | None
    ) -> tuple[int, Any]:
        data = self.form(files, {k.replace("_", "-"): v for k, v in fields.items()})
        return await self.call("POST", f"/api/v2/jobs/submit/{app}", data=data, token=token)

    async def submit(self, *files: Path, **fields: str | None) -> str:
        status, body = await self.post(files, APP, "", **fields)
        assert status == 200, body
        job_id: str = body["id"]
        return job_id

    async def job(self, job_id: str) -> dict[str, Any]:
        status, body = await self.get(f"/api/v2/jobs/{job_id}")
        assert status == 200, body
        job: dict[str, Any] = body
        return job

    async def wait_until(
        self, job_id: str, reached: Callable[[dict[str, Any]], bool], timeout_s: float = 30
    ) -> dict[str, Any]:
        async with asyncio.timeout(timeout_s):
            while not reached(job := await self.job(job_id)):
                await asyncio.sleep(0.01)
        return job

    async def finish(self, job_id: str, timeout_s: float = 30) -> dict[str, Any]:
        """The job once it ended and its downloads are there (or it has none to come)."""
        return await self.wait_until(
            job_id, lambda j: j["state"] not in OPEN_STATES and _is_settled(j), timeout_s
        )

    async def fetch(self, job: dict[str, Any], name: str) -> bytes:
        digest = find_file(job, name)["hash"]
        async with self.session.get(f"{self.base}/share/results/{digest}/{name}") as response:
            assert response.status == 200, await response.text()
            return await response.read()

    async def faults(self, **switches: Any) -> None:
        """Put exactly these faults in force."""
        async with self.session.put(f"{self.base}/sandbox/faults", json=switches) as response:
            assert response.status == 200, await response.text()

    async def stats(self) -> dict[str, Any]:
        async with self.session.get(f"{self.base}/sandbox/stats") as response:
            stats: dict[str, Any] = await response.json()
            return stats


def _is_settled(job: dict[str, Any]) -> bool:
    """Every job that ran leaves a file, unless its validation failed."""
    outputs = job["outputParams"]
    return not outputs or bool(outputs[0]["files"]) or not messages(job, group="Quality Control")


def messages(job: dict[str, Any], level: int | None = None, group: str | None = None) -> list[str]:
    """The texts of a job's steps."""
    return [
        message["message"]
        for step in job["steps"]
        if group in {None, step["name"]}
        for message in step["logMessages"]
        if level in {None, message["type"]}
    ]


def files(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The downloads of a job by name."""
    return {f["name"]: f for f in job["outputParams"][0]["files"]}


def find_file(job: dict[str, Any], name: str) -> dict[str, Any]:
    return files(job)[name]


def unzip(archive: bytes, password: str) -> dict[str, bytes]:
    """The members of an encrypted archive by name."""
    with warnings.catch_warnings():
        # stream-unzip derives AES keys in a way that its own dependency calls deprecated.
        warnings.filterwarnings("ignore", message="PBKDF2 without", category=DeprecationWarning)
        opened = stream_unzip([archive], password=password.encode())
        return {name.decode(): b"".join(chunks) for name, _, chunks in opened}


@contextlib.asynccontextmanager
async def serving(config: SandboxConfig) -> AsyncIterator[tuple[web.Application, str]]:
    """A sandbox on a free port, and its address."""
    app = create_app(config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield app, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def stored_jobs(app: web.Application) -> int:
    return sum(1 for _ in app[JOBS].book.list_all())
