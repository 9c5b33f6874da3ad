"""A small Cloudgene 3: it speaks the dialect as the real server's sources do, and its jobs move only when told to."""

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import BodyPartReader, web

from tests.fakes.cloudgene_errors import framework_error, own_error
from tests.fakes.cloudgene_form import APP, default_params
from tests.fakes.recording import RecordingServer

GOOD_TOKEN = "eyJhbGciOiJIUzI1NiJ9." + (
    base64.urlsafe_b64encode(
        json.dumps(
            {"sub": "jdoe", "username": "jdoe", "exp": 4_102_444_800, "token_type": "API_TOKEN"}
        ).encode()
    )
    .decode()
    .rstrip("=")
    + ".c2lnbmF0dXJlLW9mLWpkb2U"
)
REVOKED_TOKEN = GOOD_TOKEN[:-4] + "0000"
SUBMIT = "/api/v2/jobs/submit/"
NOW_MS = 1_759_674_300_000


@dataclass
class Upload:
    """One submission as it arrived."""

    headers: dict[str, str]
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """By file name: the field, the size, the SHA-256."""
    body_bytes: int = 0

    @property
    def text(self) -> dict[str, str]:
        return dict(self.fields)


@dataclass
class Stored:
    """One downloadable file."""

    content: bytes
    count: int = 10
    redirect_to: str | None = None
    status: int = 200
    row: dict[str, Any] = field(default_factory=dict)
    """The row of the job that shows it."""


@dataclass
class FakeCloudgene(RecordingServer):
    """Programmable; every attribute may be changed by a test while it serves."""

    params: list[dict[str, Any]] = field(default_factory=default_params)
    apps: list[str] = field(default_factory=lambda: [APP, "imputationserver2-hla@2.0.12"])
    maintenance: bool = False
    quota: int = 3
    uploads: list[Upload] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    lose_answers: int = 0
    page_size: int = 15
    tokens_verify: bool = True
    seen_tokens_at: list[tuple[str, str]] = field(default_factory=list)

    def build(self, app: web.Application) -> None:
        """Add the routes of Cloudgene 3."""
        app.add_routes(
            [
                web.get("/api/v2/server", self.server),
                web.get("/api/v2/server/counters", self.counters),
                web.get("/api/v2/server/apps/{app}", self.app_form),
                web.post("/api/v2/tokens/verify", self.verify),
                web.get("/api/v2/users/{user}/profile", self.profile),
                web.post("/api/v2/jobs/submit/{app}", self.submit),
                web.get("/api/v2/jobs", self.list_jobs),
                web.get("/api/v2/jobs/{id}", self.get_job),
                web.get("/api/v2/jobs/{id}/cancel", self.cancel),
                web.get("/api/v2/jobs/{id}/restart", self.restart),
                web.get("/logs/{id}", self.get_log),
                web.get("/share/results/{hash}/{name:.+}", self.share, allow_head=False),
                web.route("*", "/{rest:.*}", self.unknown_route),
            ]
        )

    # Authentication ---------------------------------------------------------------------------------------------------

    def _user(self, request: web.Request) -> str | None:
        token = request.headers.get("X-Auth-Token")
        if token == REVOKED_TOKEN:
            raise framework_error(403, "Forbidden")
        return "jdoe" if token == GOOD_TOKEN else None

    def _required(self, request: web.Request) -> None:
        if self._user(request) is None:
            raise framework_error(401, "Unauthorized")
        if self.maintenance:
            raise own_error(503, "This functionality is currently under maintenance.")

    async def verify(self, request: web.Request) -> web.Response:
        """Always 200."""
        if not self.tokens_verify:
            raise framework_error(404, "Page Not Found")
        form = await request.post()
        if form.get("token") != GOOD_TOKEN:
            return web.json_response(
                {
                    "valid": False,
                    "message": "Invalid token.",
                    "expire": "2025-10-05T16:23:45Z",
                    "username": None,
                }
            )
        return web.json_response(
            {
                "valid": True,
                "message": "API Token was created by %s and is valid until %s.",
                "username": "jdoe",
                "name": "J. Doe",
                "mail": "j@example.org",
                "expire": "2099-12-31T00:00:00Z",
            }
        )

    async def profile(self, request: web.Request) -> web.Response:
        """The path's user is ignored."""
        self._required(request)
        return web.json_response({"id": 1, "username": "jdoe", "fullName": "J. Doe"})

    # Discovery --------------------------------------------------------------------------------------------------------

    async def server(self, request: web.Request) -> web.Response:
        """Open to all; apps for accounts only."""
        user = self._user(request)
        return web.json_response(
            {
                "name": "Fake <i>Imputation</i> Server",
                "loggedIn": user is not None,
                "oauth": [],
                "maintenace": self.maintenance,
                "apps": [
                    {"id": app, "name": app, "version": app.partition("@")[2]} for app in self.apps
                ]
                if user
                else [],
            }
        )

    async def counters(self, request: web.Request) -> web.Response:
        """Anonymous."""
        return web.json_response({"complete": {}, "queue": {"size": 7}, "users": 12})

    def _app(self, asked: str) -> str | None:
        return next((app for app in self.apps if asked in {app, app.partition("@")[0]}), None)

    async def app_form(self, request: web.Request) -> web.Response:
        """404 for unknown apps and versions."""
        self._required(request)
        app = self._app(request.match_info["app"])
        if app is None:
            raise own_error(404, f"Application '{request.match_info['app']}' not found.")
        base, _, version = app.partition("@")
        return web.json_response(
            {"id": base, "name": "Genotype Imputation", "version": version, "params": self.params}
        )

    # Jobs -------------------------------------------------------------------------------------------------------------

    def active(self) -> int:
        """Jobs that count against the quota."""
        return sum(job["state"] in (1, 2, 3) for job in self.jobs.values())

    def add_job(self, name: str, state: int = 1, age_s: float = 0, **members: Any) -> str:
        """Make a job as if it had been submitted."""
        number = len(self.jobs)
        job_id = f"job-20251005-{number // 1000:06d}-{number % 1000:03d}"
        self.jobs[job_id] = {
            "id": job_id,
            "name": name,
            "state": state,
            "application": "Genotype Imputation 2.0.12",
            "positionInQueue": 0 if state == 1 else -1,
            "submittedOn": int((time.time() - age_s) * 1000),
            "startTime": 0,
            "endTime": 0,
            "deletedOn": -1,
            "userAgent": "",
            "username": "jdoe",
            "workspaceSize": None,
            "logs": "",
            "steps": [],
            "outputParams": [],
            **members,
        }
        return job_id

    def message(self, job_id: str, step: str, kind: int, text: str) -> None:
        """Show a message on a job's page."""
        steps = self.jobs[job_id]["steps"]
        if not steps or steps[-1]["name"] != step:
            steps.append({"id": 0, "name": step, "empty": False, "logMessages": []})
        steps[-1]["logMessages"].append({"success": True, "message": text, "type": kind, "time": 0})

    def offer(
        self, job_id: str, name: str, content: bytes, param: str = "output", **stored: Any
    ) -> str:
        """Make a file downloadable; give its hash."""
        secret = hashlib.sha256(f"{job_id}/{name}".encode()).hexdigest()
        self.stored[secret] = Stored(content, **stored)
        params = self.jobs[job_id]["outputParams"]
        found = next((item for item in params if item["name"] == param), None)
        if found is None:
            found = {
                "id": 1,
                "name": param,
                "description": "Downloads",
                "hash": "0" * 40,
                "download": True,
                "files": [],
            }
            params.append(found)
        row = self.stored[secret].row
        row |= {"name": name, "path": f"{job_id}/{name}", "hash": secret, "size": "1 MB"}
        row["count"] = self.stored[secret].count
        found["files"].append(row)
        return secret

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """The whole body is stored first, then checked."""
        upload = Upload(dict(request.headers))
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            name = str(part.name)
            if part.filename is None:
                upload.fields.append((name, (await part.read()).decode()))
                continue
            digest, size = hashlib.sha256(), 0
            while piece := await part.read_chunk(1 << 20):
                digest.update(piece)
                size += len(piece)
            upload.files[part.filename] = (name, size, digest.hexdigest())
        self.uploads.append(upload)
        self._required(request)
        if self.active() >= self.quota:
            raise own_error(400, f"Only {self.quota} jobs per user can be executed simultaneously.")
        app = self._app(request.match_info["app"])
        if app is None:
            raise own_error(404, f"Application '{request.match_info['app']}' not found.")
        inputs = {param["id"] for param in self.params} | {"password", "job-name"}
        for name in [name for name, _ in upload.fields] + [
            item[0] for item in upload.files.values()
        ]:
            if name.removeprefix("input-") not in inputs:
                raise own_error(400, f"Parameter '{name}' not found.")
        panels = {
            value["key"]
            for param in self.params
            if param["id"] == "refpanel"
            for value in param["values"]
        }
        known = upload.text.get("refpanel") in panels
        job_id = self.add_job(
            upload.text["job-name"], 1 if known else 5, userAgent=request.headers["User-Agent"]
        )
        if self.lose_answers > 0:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(
            {
                "success": True,
                "message": "Your job was successfully added to the job queue.",
                "id": job_id,
            }
        )

    def _shown(self, job: dict[str, Any], *, in_list: bool) -> dict[str, Any]:
        shown = {**job, "currentTime": int(time.time() * 1000)}
        if in_list and job["state"] not in (1, 2, 3):
            shown |= {"steps": [], "outputParams": [], "username": None}
        return shown

    async def list_jobs(self, request: web.Request) -> web.Response:
        """Newest first; without `page` all at once."""
        self._required(request)
        jobs = sorted(self.jobs.values(), key=lambda job: str(job["id"]), reverse=True)
        page = int(request.query.get("page", 0))
        size = self.page_size if page else len(jobs)
        rows = jobs[(max(page, 1) - 1) * size :][:size]
        return web.json_response(
            {
                "count": len(jobs),
                "page": max(page, 1),
                "pageSize": size,
                "prev": None,
                "next": page + 1 if page and page * size < len(jobs) else None,
                "pages": [],
                "data": [self._shown(job, in_list=True) for job in rows],
            }
        )

    def _job(self, request: web.Request) -> dict[str, Any]:
        self._required(request)
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            raise own_error(404, f"Job {request.match_info['id']} not found.")
        if job["username"] != "jdoe":
            raise own_error(403, "Access denied.")
        return job

    async def get_job(self, request: web.Request) -> web.Response:
        """One job in full."""
        return web.json_response(self._shown(self._job(request), in_list=False))

    async def cancel(self, request: web.Request) -> web.Response:
        """A GET; a finished job stays as it is."""
        job = self._job(request)
        if job["state"] in (-1, 1, 2, 3):
            job["state"] = 6
        return web.json_response(self._shown(job, in_list=False))

    async def restart(self, request: web.Request) -> web.Response:
        """Only from -1."""
        job = self._job(request)
        if job["state"] != -1:
            raise own_error(400, f"Job {job['id']} is not pending.")
        job["state"] = 1
        return web.json_response(
            {"success": True, "message": "Your job was successfully added to the job queue."}
        )

    async def get_log(self, request: web.Request) -> web.Response:
        """Plain text, or nothing."""
        self._required(request)
        log = self.logs.get(request.match_info["id"])
        if log is None:
            raise framework_error(500, "Internal Server Error")
        return web.Response(text=log)

    # Results ----------------------------------------------------------------------------------------------------------

    async def share(self, request: web.Request) -> web.StreamResponse:
        """No authentication; counted before it is sent; chunked, without length or ranges."""
        stored = self.stored.get(request.match_info["hash"])
        if stored is None:
            raise own_error(404, "download not found.")
        if stored.count == 0:
            raise own_error(400, "number of max downloads exceeded.")
        if stored.count > 0:
            stored.count -= 1
            stored.row["count"] = stored.count
        if stored.redirect_to is not None:
            return web.Response(status=301, headers={"Location": stored.redirect_to})
        if stored.status != 200:
            return web.Response(status=stored.status)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for start in range(0, len(stored.content), 65536):
            await response.write(stored.content[start : start + 65536])
        await response.write_eof()
        return response

    async def unknown_route(self, request: web.Request) -> web.Response:
        """What the framework answers."""
        raise framework_error(404, "Page Not Found")


def at(epoch_ms: int) -> datetime:
    """Give a server's time as ours."""
    return datetime.fromtimestamp(epoch_ms / 1000, tz=UTC)
