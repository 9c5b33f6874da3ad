"""One user's calls to a platform, for tests that go a job's whole way."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec


class Client:
    """Calls a platform at `base` with a token."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base
        self.token = ""

    async def call(
        self, method: str, path: str, *, expect: int | None = None, **options: Any
    ) -> Any:
        """Call the platform; give the decoded answer. Fails when the status is not the expected one."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        url = self.base + path
        async with self.session.request(method, url, headers=headers, **options) as response:
            body = await response.read()
            if expect is not None:
                assert response.status == expect, (
                    f"{method} {path}: {response.status} {body[:1000]!r}"
                )
            return msgspec.json.decode(body) if body else None

    async def sign_in(self, username: str, password: str) -> None:
        """Get a token."""
        self.token = ""
        body = {"username": username, "password": password}
        answer = await self.call("POST", "/api/auth/login", json=body, expect=200)
        self.token = answer["access_token"]

    async def store_token(self, service_id: int, token: str) -> None:
        """Store a credential."""
        body = {"service_id": service_id, "api_token": token, "label": "test"}
        answer = await self.call("POST", "/users/me/service-credentials", json=body)
        assert answer["has_api_token"], answer

    async def submit(self, service_id: int, panel_id: int, file: Path, **fields: str) -> Any:
        """Submit a job; give it."""
        form = aiohttp.FormData()
        values = {
            "name": "test job",
            "service_id": str(service_id),
            "reference_panel_id": str(panel_id),
            "input_format": "vcf",
            "build": "hg19",
            "phasing": "true",
            **fields,
        }
        for name, value in values.items():
            form.add_field(name, value)
        form.add_field("input_file", file.read_bytes(), filename=file.name)
        return await self.call("POST", "/jobs", data=form, expect=201)

    async def job(self, job_id: str) -> dict[str, Any]:
        """Give a job."""
        return dict(await self.call("GET", f"/jobs/{job_id}", expect=200))

    async def updates(self, job_id: str) -> list[dict[str, Any]]:
        """Give a job's status updates, oldest first."""
        found = await self.call("GET", f"/jobs/{job_id}/status-updates?limit=500", expect=200)
        return list(reversed(found))

    async def until(
        self, job_id: str, holds: Callable[[dict[str, Any]], bool], *, limit_s: float = 20.0
    ) -> dict[str, Any]:
        """Wait until something holds for a job; give it then. Fails with the job as it stands."""
        job: dict[str, Any] = {}
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    job = await self.job(job_id)
                    if holds(job):
                        return job
                    await asyncio.sleep(0.05)
        except TimeoutError:
            told = [item["message"] for item in await self.updates(job_id)]
            raise AssertionError(f"did not happen within {limit_s} s: {job}\n{told}") from None

    async def until_end(self, job_id: str, status: str, *, limit_s: float = 20.0) -> dict[str, Any]:
        """Wait until a job has ended, and check how."""
        job = await self.until(job_id, lambda now: now["completed_at"] is not None, limit_s=limit_s)
        assert job["status"] == status, job
        return job

    async def until_stage(
        self, job_id: str, stage: str, *, limit_s: float = 20.0
    ) -> dict[str, Any]:
        """Wait until a job stands at a stage."""
        return await self.until(job_id, lambda now: now["stage"] == stage, limit_s=limit_s)
