"""A small Cloudgene 2 (Restlet, imputationserver 1): the same routes, other signs, other answers to bad tokens."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.cloudgene_errors import own_error

APP2 = "imputationserver@1.7.3"
_SHOWN = ("id", "name", "state", "application", "positionInQueue", "submittedOn", "startTime", "endTime", "deletedOn", "steps", "outputParams", "username")  # fmt: skip


@dataclass
class FakeCloudgene2(FakeCloudgene):
    """Facts: cloudgene `SubmitJob`, `GetJobDetails`, `CancelJob`, `JSONConverter`, `ApiTokenVerifier`."""

    apps: list[str] = field(default_factory=lambda: [APP2, "imputationserver-hla@1.7.3"])
    progress: int = -1

    def _user(self, request: web.Request) -> str | None:
        return "jdoe" if request.headers.get("X-Auth-Token") == GOOD_TOKEN else None

    def _required(self, request: web.Request) -> None:
        if self._user(request) is None:
            path = request.path
            if "/apps/" in path or "/submit/" in path:
                app = request.match_info["app"]
                said = f"Application '{app}' not found or the request requires user authentication."
                raise own_error(404, said)
            if path.endswith(("/jobs", "/profile")):
                raise own_error(401, "The request requires user authentication.")
            raise own_error(403, "Access denied.")
        if self.maintenance:
            raise own_error(503, "This functionality is currently under maintenance.")

    async def verify(self, request: web.Request) -> web.Response:
        """`expire` in milliseconds; what is wrong stands in `error`."""
        form = await request.post()
        if form.get("token") != GOOD_TOKEN:
            return web.json_response({"valid": False, "error": "Invalid JWT serialization."})
        return web.json_response(
            {"valid": True, "username": "jdoe", "name": "J. Doe", "expire": 4_102_444_800_000}
        )

    async def server(self, request: web.Request) -> web.Response:
        """Neither `oauth` nor versions."""
        user = self._user(request)
        return web.json_response(
            {
                "name": "Old Server",
                "loggedIn": user is not None,
                "maintenace": self.maintenance,
                "apps": [{"id": app, "name": app} for app in self.apps] if user else [],
                "navigation": [],
            }
        )

    def _shown(self, job: dict[str, Any], *, in_list: bool) -> dict[str, Any]:
        shown = {key: value for key, value in job.items() if key in _SHOWN}
        running = job["state"] in (1, 2, 3)
        shown |= {"complete": job["state"] in (4, 5, 6, 7, 8, 9), "running": running}
        shown["progress"] = self.progress if running else -1
        if in_list:
            shown |= {"steps": [], "outputParams": []}
        return shown

    async def list_jobs(self, request: web.Request) -> web.Response:
        """The bare array of old servers: all at once."""
        self._required(request)
        jobs = sorted(self.jobs.values(), key=lambda job: str(job["id"]), reverse=True)
        return web.json_response([self._shown(job, in_list=True) for job in jobs])

    async def cancel(self, request: web.Request) -> web.Response:
        """Only what is in the queue can be cancelled."""
        job = self._job(request)
        if job["state"] not in (1, 2, 3):
            raise own_error(404, f"Job {job['id']} not found.")
        return await super().cancel(request)

    async def restart(self, request: web.Request) -> web.Response:
        """Not with an API token."""
        raise own_error(401, "The request requires user authentication.")

    def finish(self, job_id: str, archives: dict[str, bytes], *, wrong: bool = False) -> str:
        """Offer archives with one list of checksums, as imputationserver 1 does; give the list's hash."""
        lines = []
        for name, content in archives.items():
            self.offer(job_id, name, content, param="local", count=-1)
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            lines.append(f"{'0' * 32 if wrong else digest} {name}")
        return self.offer(job_id, "results.md5", "\n".join(lines).encode(), param="local", count=10)
