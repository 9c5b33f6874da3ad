"""The whole way of a job through the REST API, as a script of a user would go it, each step timed and shown.

`e2e` goes it against any configured service, `demo` against the sandbox. It uses nothing but HTTP.
"""

import asyncio
import hashlib
import sys
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

CHUNK_BYTES = 1024 * 1024
FOLLOW_EVERY_S = 0.5


class JourneyError(Exception):
    """Raised when a step did not hold; the message says which and why."""


@dataclass(slots=True)
class Journey:
    """One user's way. `base` is the platform's address."""

    base: str
    session: aiohttp.ClientSession
    token: str = field(default="", repr=False)
    steps: list[tuple[str, float]] = field(default_factory=list)

    @asynccontextmanager
    async def step(self, title: str) -> AsyncIterator[None]:
        """Time a step and print it when it held."""
        began = time.monotonic()
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, KeyError, OSError) as error:
            raise JourneyError(f"{title}: {type(error).__name__} {error}") from error
        took = time.monotonic() - began
        self.steps.append((title, took))
        print(f"  ✓ {title}  ({took:.2f} s)", flush=True)

    async def call(
        self, method: str, path: str, *, expect: int | tuple[int, ...] = 200, **options: Any
    ) -> Any:
        """Call the API. Raises JourneyError with the problem's own words."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        async with self.session.request(
            method, self.base + path, headers=headers, **options
        ) as response:
            body = await response.read()
            if response.status in (expect if isinstance(expect, tuple) else (expect,)):
                return msgspec.json.decode(body) if body else None
        try:
            problem = msgspec.json.decode(body)
            said = " ".join(str(problem[key]) for key in ("message", "action") if problem.get(key))
        except (msgspec.DecodeError, AttributeError):
            said = body[:200].decode(errors="replace")
        raise JourneyError(f"{method} {path} answered {response.status}: {said}")

    async def sign_in(self, username: str, password: str) -> None:
        """Get a token."""
        body = {"username": username, "password": password}
        answer = await self.call("POST", "/api/auth/login", json=body)
        self.token = answer["access_token"]

    async def find_service(self, name: str) -> dict[str, Any]:
        """Find a service by slug, name or id."""
        services = await self.call("GET", "/services")
        for service in services:
            if name in (service["slug"], service["name"], str(service["id"])):
                return dict(service)
        known = ", ".join(service["slug"] for service in services) or "none"
        raise JourneyError(f"there is no service {name!r}; known: {known}")

    async def pick_panel(self, service_id: int, name: str | None) -> dict[str, Any]:
        """Find a panel by id, key or name; the first one when `name` is None."""
        panels = await self.call("GET", f"/services/{service_id}/reference-panels")
        for panel in panels:
            if name is None or name in (panel["key"], panel["name"], str(panel["id"])):
                return dict(panel)
        known = "; ".join(panel["key"] for panel in panels) or "none"
        raise JourneyError(f"there is no panel {name!r}; known: {known}")

    async def store_credential(self, service_id: int, api_token: str) -> None:
        """Store a token and let the service say that it is good."""
        body = {"service_id": service_id, "api_token": api_token, "label": "demo"}
        answer = await self.call(
            "POST", "/users/me/service-credentials", expect=(200, 201), json=body
        )
        verified = await self.call("POST", f"/users/me/service-credentials/{answer['id']}/verify")
        if not verified["is_valid"]:
            raise JourneyError(f"the service does not accept the token: {verified['message']}")

    async def submit(self, path: Path, fields: dict[str, str]) -> dict[str, Any]:
        """Send the file from disk with its form."""
        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, value)
        with path.open("rb") as file:
            form.add_field("input_file", file, filename=path.name)
            return dict(await self.call("POST", "/jobs", expect=201, data=form))

    async def follow(self, job_id: str, *, limit_s: float, label: str = "") -> dict[str, Any]:
        """Show every change until the job ends, each line with the label. Raises JourneyError when it takes longer than `limit_s` or does not complete."""
        seen = 0
        ends = time.monotonic() + limit_s
        began = time.monotonic()
        while time.monotonic() < ends:
            job = await self.call("GET", f"/jobs/{job_id}")
            updates = await self.call("GET", f"/jobs/{job_id}/status-updates?limit=200")
            for update in sorted(updates, key=lambda item: int(item["id"])):
                if update["id"] > seen:
                    seen = update["id"]
                    _show(time.monotonic() - began, update, label)
            if job["completed_at"] is not None:
                if job["status"] != "completed":
                    raise JourneyError(f"the job ended as {job['status']}: {job['error_message']}")
                return dict(job)
            await asyncio.sleep(FOLLOW_EVERY_S)
        raise JourneyError(f"the job did not end within {limit_s:.0f} s; it goes on at the service")

    async def download(self, job_id: str, target: Path) -> dict[str, Any]:
        """Fetch results.zip as curl would; check its size, and each file in it against the SHA-256 that the API tells."""
        listing = await self.call(
            "GET", f"/jobs/{job_id}/results", headers={"Accept": "application/json"}
        )
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "*/*"}
        url = f"{self.base}/jobs/{job_id}/results"
        async with self.session.get(url, headers=headers) as response:
            if response.status != 200:
                raise JourneyError(f"results.zip: status {response.status}")
            with target.open("wb") as file:
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    await asyncio.to_thread(file.write, chunk)
        if target.stat().st_size != listing["file_size"]:
            raise JourneyError("results.zip does not have the size that was announced")
        expected = {item["name"]: item["sha256"] for item in listing["files"]}
        found = await asyncio.to_thread(_hash_members, target)
        if found != expected:
            raise JourneyError("a file in results.zip does not have its announced SHA-256")
        return dict(listing)


def _show(elapsed_s: float, update: dict[str, Any], label: str) -> None:
    percent = update["progress_percentage"]
    where = f"{label}: " if label else ""
    bar = ("█" * (percent // 5)).ljust(20, "░")
    print(
        f"    {elapsed_s:6.1f} s  {bar} {percent:3d} %  {update['status']:<9} {where}{update['message']}",
        flush=True,
    )


def _hash_members(path: Path) -> dict[str, str]:
    digests = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            digest = hashlib.sha256()
            with archive.open(name) as member:
                while chunk := member.read(CHUNK_BYTES):
                    digest.update(chunk)
            digests[name] = digest.hexdigest()
    return digests


def size_text(size_bytes: int) -> str:
    """Give a size for people."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def fail(error: JourneyError) -> int:
    """Say in one line what did not hold."""
    print(f"  ✗ {error}", file=sys.stderr)
    return 1
