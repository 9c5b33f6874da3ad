"""A small gateway of the simple dialect, after the original design's own documents."""

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from tests.fakes.cloudgene import GOOD_TOKEN, Upload
from tests.fakes.recording import RecordingServer

FIELDS = {"input-files", "refpanel", "build", "phasing", "mode", "population"}


def plain(members: dict[str, bytes]) -> bytes:
    """Give a plain archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class FakeSimple(RecordingServer):
    """Programmable; its jobs move only when told to."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    lose_answers: int = 0
    lists: bool = False
    """Whether there is a list of jobs, which the design does not describe."""
    cancels: bool = True
    redirect_to: str = ""

    def build(self, app: web.Application) -> None:
        """Add the routes."""
        app.add_routes(
            [
                web.get("/", self.front),
                web.post("/api/v2/jobs/submit", self.submit),
                web.get("/api/v2/jobs/{id}/status", self.status),
                web.get("/api/v2/jobs/{id}/results", self.results),
                web.get("/api/v2/jobs/{id}/cancel", self.cancel),
                web.get("/api/v2/jobs", self.list_jobs),
                web.get("/api/v2/jobs/submit", self.only_post),
                web.route("*", "/{rest:.*}", self.unknown),
            ]
        )

    async def front(self, request: web.Request) -> web.Response:
        """Open to all."""
        return web.Response(text="<html>Gateway</html>", content_type="text/html")

    async def only_post(self, request: web.Request) -> web.Response:
        """What frameworks answer."""
        return web.json_response({"detail": "Method Not Allowed"}, status=405)

    async def unknown(self, request: web.Request) -> web.Response:
        """What frameworks answer."""
        return _error(404, "Not Found")

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Take a job in."""
        if request.headers.get("X-Auth-Token") != GOOD_TOKEN:
            return _error(401, "Invalid token")
        upload = Upload(dict(request.headers))
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            content = bytes(await part.read())
            if part.filename is None:
                upload.fields.append((str(part.name), content.decode()))
            else:
                digest = hashlib.sha256(content).hexdigest()
                upload.files[part.filename] = (str(part.name), len(content), digest)
        self.uploads.append(upload)
        sent = {name for name, _ in upload.fields} | {item[0] for item in upload.files.values()}
        if not sent <= FIELDS or "input-files" not in sent or len(upload.files) != 1:
            return _error(400, "Bad form")
        job_id = f"job-{len(self.jobs) + 1}"
        name = request.headers["Idempotency-Key"]
        self.jobs[job_id] = {"name": name, "state": "waiting", "progress": 0, "message": "Queued"}
        if self.lose_answers > 0:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(
            {"id": job_id, "status": "waiting", "message": "Job queued successfully"}
        )

    def _job(self, request: web.Request) -> dict[str, Any] | web.Response:
        if request.headers.get("X-Auth-Token") != GOOD_TOKEN:
            return _error(401, "Invalid token")
        return self.jobs.get(request.match_info["id"]) or _error(404, "No such job")

    async def status(self, request: web.Request) -> web.Response:
        """String states, a percentage, a message."""
        job = self._job(request)
        if isinstance(job, web.Response):
            return job
        shown = {"id": request.match_info["id"], "status": job["state"]}
        return web.json_response(shown | {key: job[key] for key in ("progress", "message")})

    async def results(self, request: web.Request) -> web.Response:
        """One archive, for the token."""
        job = self._job(request)
        if isinstance(job, web.Response):
            return job
        if self.redirect_to:
            return web.Response(status=302, headers={"Location": self.redirect_to})
        if "results" not in job:
            return _error(404, "No results")
        return web.Response(body=job["results"], content_type="application/zip")

    async def cancel(self, request: web.Request) -> web.Response:
        """As the rest of the family."""
        if not self.cancels:
            return _error(404, "Not Found")
        job = self._job(request)
        if isinstance(job, web.Response):
            return job
        if job["state"] in {"waiting", "running"}:
            job["state"] = "canceled"
        return web.json_response({"id": request.match_info["id"], "status": job["state"]})

    async def list_jobs(self, request: web.Request) -> web.Response:
        """Beyond the design."""
        if request.headers.get("X-Auth-Token") != GOOD_TOKEN:
            return _error(401, "Invalid token")
        if not self.lists:
            return _error(404, "Not Found")
        rows = [{"id": key, "name": job["name"], "status": job["state"]} for key, job in self.jobs.items()]  # fmt: skip
        return web.json_response({"jobs": rows})


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
