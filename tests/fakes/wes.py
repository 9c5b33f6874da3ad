"""A small WES server of sapporo's kind: bearer tokens, tags, paging, downloads. Runs move only when told to.

`tests/fakes/wes_starter_kit.py` and `tests/fakes/wes_weskit.py` are of other kinds and take the common parts from here.
"""

import json
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import BodyPartReader, web

from tests.fakes.recording import RecordingServer

GOOD_TOKEN = "good-token-of-the-fake-wes"
USERNAME = "impute"
PASSWORD = "pw-of-the-fake-wes"


@dataclass
class Part:
    """One part of a form as it arrived."""

    name: str
    filename: str | None
    content: bytes


@dataclass
class Run:
    """One run."""

    run_id: str
    parts: list[Part]
    state: str = "QUEUED"
    start_time: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    outputs: Any = None
    run_log: dict[str, Any] = field(default_factory=dict)
    task_logs: Any = None
    fetched: bool = False

    @property
    def fields(self) -> dict[str, str]:
        return {part.name: part.content.decode() for part in self.parts if part.filename is None}

    @property
    def attachments(self) -> dict[str, bytes]:
        return {part.filename: part.content for part in self.parts if part.filename is not None}

    @property
    def tags(self) -> dict[str, Any]:
        tags: dict[str, Any] = json.loads(self.fields.get("tags") or "{}")
        return tags

    @property
    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = json.loads(self.fields.get("workflow_params") or "{}")
        return params

    def request(self) -> dict[str, Any]:
        plain = {key: self.fields[key] for key in self.fields if not key.endswith("_params")}
        return {**plain, "workflow_params": self.params, "tags": self.tags}


@dataclass
class WesServer(RecordingServer, ABC):
    """What the kinds have in common."""

    runs: dict[str, Run] = field(default_factory=dict)
    base: str = "/ga4gh/wes/v1"
    lose_answers: int = 0
    headers_of_posts: list[dict[str, str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base}"

    def build(self, app: web.Application) -> None:
        base = self.base
        app.add_routes(
            [
                web.get(f"{base}/service-info", self.service_info),
                web.get(f"{base}/runs", self.list_runs),
                web.post(f"{base}/runs", self.post_run),
                web.get(f"{base}/runs/{{id}}", self.get_run),
                web.get(f"{base}/runs/{{id}}/status", self.get_status),
                web.post(f"{base}/runs/{{id}}/cancel", self.cancel),
            ]
        )

    async def service_info(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.info)

    @abstractmethod
    async def list_runs(self, request: web.Request) -> web.StreamResponse: ...

    @abstractmethod
    async def post_run(self, request: web.Request) -> web.StreamResponse: ...

    @abstractmethod
    async def get_run(self, request: web.Request) -> web.StreamResponse: ...

    @abstractmethod
    async def get_status(self, request: web.Request) -> web.StreamResponse: ...

    @abstractmethod
    async def cancel(self, request: web.Request) -> web.StreamResponse: ...

    async def read_form(self, request: web.Request) -> list[Part]:
        """Read a form as real servers do. 415 for anything but multipart."""
        if request.content_type != "multipart/form-data":
            raise web.HTTPUnsupportedMediaType(
                text=json.dumps({"title": "Unsupported Media Type", "status": 415}),
                content_type="application/json",
            )
        self.headers_of_posts.append(dict(request.headers))
        parts: list[Part] = []
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            parts.append(Part(part.name or "", part.filename, bytes(await part.read())))
        return parts

    def keep(self, parts: list[Part], run_id: str | None = None) -> Run:
        run = Run(run_id or str(uuid.uuid4()), parts)
        run.start_time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.runs[run.run_id] = run
        return run

    async def answer_posted(self, request: web.Request, run: Run) -> web.StreamResponse:
        """Give the id, or drop the connection in its place."""
        if self.lose_answers > 0:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"run_id": run.run_id})


def error(status: int, msg: str) -> web.Response:
    """Answer an error in the specification's own shape."""
    return web.json_response({"msg": msg, "status_code": status}, status=status)


@dataclass
class FakeWes(WesServer):
    """Sapporo's kind, at the root. `tokens` are accepted; none means that nobody is asked."""

    base: str = ""
    tokens: set[str] = field(default_factory=lambda: {GOOD_TOKEN})
    most_per_page: int = 10
    shows_tags: bool = True
    list_key: str = "runs"
    info: dict[str, Any] = field(
        default_factory=lambda: {
            "id": "org.example.sapporo",
            "name": "fake sapporo",
            "type": {"group": "sapporo-wes", "artifact": "wes", "version": "1.1.0"},
            "version": "2.4.0",
            "workflow_type_versions": {
                "CWL": {"workflow_type_version": ["v1.0", "v1.2"]},
                "NFL": {"workflow_type_version": ["DSL2"]},
            },
            "workflow_engine_versions": {"cwltool": {"workflow_engine_version": ["3.1"]}},
            "supported_wes_versions": ["1.1.0"],
            "supported_filesystem_protocols": ["http", "https", "file"],
            "default_workflow_engine_parameters": {},
            "system_state_counts": {"QUEUED": 2, "INITIALIZING": 1, "RUNNING": 4},
            "auth_instructions_url": "https://example.org",
            "tags": {},
        }
    )

    def build(self, app: web.Application) -> None:
        super().build(app)
        app.add_routes(
            [
                web.get(
                    f"{self.base}/runs/{{id}}/outputs/{{name:.+}}", self.get_file, allow_head=False
                ),
                web.get(f"{self.base}/runs/{{id}}/outputs", self.list_outputs),
                web.post(f"{self.base}/token", self.token),
            ]
        )

    def refusal(self, request: web.Request, *, needed: bool = True) -> web.Response | None:
        """A bad token is refused everywhere; none at all only where one is needed."""
        said = request.headers.get("Authorization")
        if not self.tokens or (said is None and not needed):
            return None
        if said is None:
            return error(401, "Not authenticated")
        if said.removeprefix("Bearer ") not in self.tokens:
            return error(401, f"Invalid token: {said}")
        return None

    async def token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        if (form.get("username"), form.get("password")) != (USERNAME, PASSWORD):
            return error(401, f"Invalid username or password: {form.get('password')!s}")
        return web.json_response({"access_token": GOOD_TOKEN, "token_type": "bearer"})

    async def service_info(self, request: web.Request) -> web.StreamResponse:
        return self.refusal(request, needed=False) or web.json_response(self.info)

    async def list_runs(self, request: web.Request) -> web.StreamResponse:
        if refused := self.refusal(request):
            return refused
        runs = list(self.runs.values())[::-1]
        if "tags" in request.query:
            key, _, value = request.query["tags"].partition(":")
            runs = [run for run in runs if run.tags.get(key) == value]
        token = request.query.get("page_token", "0")
        if not token.isdecimal():
            return error(400, "Invalid page token")
        start = int(token)
        size = min(int(request.query.get("page_size", "10")), self.most_per_page)
        page = runs[start : start + size]
        rows = [
            {"run_id": run.run_id, "state": run.state, "start_time": run.start_time}
            | ({"tags": run.tags} if self.shows_tags else {})
            for run in page
        ]
        more = str(start + size) if start + size < len(runs) else None
        return web.json_response({self.list_key: rows, "next_page_token": more})

    async def post_run(self, request: web.Request) -> web.StreamResponse:
        if refused := self.refusal(request):
            return refused
        run = Run("", await self.read_form(request))
        if "workflow_engine" not in run.fields:
            return error(400, "Invalid workflow_engine: , please select from cwltool")
        if not all(isinstance(value, str) for value in run.tags.values()):
            return error(400, "tags must be strings")
        return await self.answer_posted(request, self.keep(run.parts))

    async def get_run(self, request: web.Request) -> web.StreamResponse:
        run = self.runs.get(request.match_info["id"])
        if refused := self.refusal(request):
            return refused
        if run is None:
            return error(404, f"Run ID {request.match_info['id']} not found.")
        return web.json_response(
            {
                "run_id": run.run_id,
                "state": run.state,
                "request": run.request(),
                "run_log": {"exit_code": 0, "start_time": run.start_time, "stderr": ""}
                | run.run_log,
                "task_logs": run.task_logs,
                "outputs": self.outputs_of(run) or None,
            }
        )

    def outputs_of(self, run: Run) -> Any:
        if run.outputs is not None:
            return run.outputs
        return [
            {"file_name": name, "file_url": f"{self.url}/runs/{run.run_id}/outputs/{name}"}
            for name in run.files
        ]

    async def list_outputs(self, request: web.Request) -> web.StreamResponse:
        if refused := self.refusal(request):
            return refused
        run = self.runs.get(request.match_info["id"])
        if run is None:
            return error(404, f"Run ID {request.match_info['id']} not found.")
        return web.json_response({"outputs": self.outputs_of(run)})

    async def get_status(self, request: web.Request) -> web.StreamResponse:
        if refused := self.refusal(request):
            return refused
        run = self.runs.get(request.match_info["id"])
        if run is None:
            return error(404, f"Run ID {request.match_info['id']} not found.")
        return web.json_response({"run_id": run.run_id, "state": run.state})

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        if refused := self.refusal(request):
            return refused
        run = self.runs.get(request.match_info["id"])
        if run is None:
            return error(404, "not found")
        run.state = "CANCELED"
        return web.json_response({"run_id": run.run_id})

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        if refused := self.refusal(request):
            return refused
        run = self.runs.get(request.match_info["id"])
        content = run.files.get(request.match_info["name"]) if run else None
        if content is None:
            return error(404, "no such file")
        return web.Response(body=content, content_type="text/vcard")
