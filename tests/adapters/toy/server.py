"""A server of the toy dialect. Its jobs move only when told to."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiohttp import BodyPartReader, web

from tests.fakes.cloudgene_form import PANEL
from tests.fakes.recording import RecordingServer, reset

KEY = "toy-key-of-jdoe"


@dataclass
class ToyServer(RecordingServer):
    """Programmable; every attribute may be changed by a test while it serves."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    lose_answers: int = 0

    def build(self, app: web.Application) -> None:
        """Add the routes."""
        app.add_routes(
            [
                web.get("/toy", self.front),
                web.get("/toy/panels", self.panels),
                web.get("/toy/jobs", self.list_jobs),
                web.post("/toy/jobs", self.submit),
                web.get("/toy/jobs/{id}", self.get_job),
                web.post("/toy/jobs/{id}/stop", self.stop),
                web.get("/toy/jobs/{id}/files", self.list_files),
                web.get("/toy/files/{link}", self.get_file),
            ]
        )

    def _check(self, request: web.Request) -> None:
        if request.headers.get("X-Toy-Key") != KEY:
            raise web.HTTPUnauthorized(text='{"error": "who are you?"}')

    def _job(self, request: web.Request) -> dict[str, Any]:
        self._check(request)
        try:
            return self.jobs[request.match_info["id"]]
        except KeyError:
            raise web.HTTPNotFound(text='{"error": "no such job"}') from None

    async def front(self, _request: web.Request) -> web.Response:
        """Open to all."""
        return web.json_response({"toy": "1", "name": "Toy <b>Imputer</b>", "closed": False})

    async def panels(self, request: web.Request) -> web.Response:
        """One panel."""
        self._check(request)
        panel = {"key": PANEL, "name": "Toys", "populations": ["afr", "off"], "version": "1"}
        return web.json_response({"panels": [panel]})

    async def list_jobs(self, request: web.Request) -> web.Response:
        """Oldest first."""
        self._check(request)
        return web.json_response({"jobs": list(self.jobs.values())})

    async def submit(self, request: web.Request) -> web.StreamResponse:
        """Take a job."""
        self._check(request)
        fields = {}
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            fields[str(part.name)] = await part.read()
        job_id = uuid4().hex
        now = datetime.now(UTC).isoformat()
        name = fields["name"].decode()
        self.jobs[job_id] = {"id": job_id, "name": name, "state": "waiting", "at": now}
        if self.lose_answers:
            self.lose_answers -= 1
            return await reset(request)
        return web.json_response({"id": job_id}, status=201)

    async def get_job(self, request: web.Request) -> web.Response:
        """One job."""
        return web.json_response(self._job(request))

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a job that is open."""
        job = self._job(request)
        if job["state"] in ("waiting", "busy"):
            job["state"] = "stopped"
        return web.json_response({})

    def offer(self, job_id: str, name: str, content: bytes) -> None:
        """Make a file of a job's downloadable."""
        link = uuid4().hex
        self.files[link] = content
        self.links.setdefault(job_id, []).append({"name": name, "link": link})

    async def list_files(self, request: web.Request) -> web.Response:
        """The files of a job, by secret links."""
        return web.json_response({"files": self.links.get(self._job(request)["id"], [])})

    async def get_file(self, request: web.Request) -> web.Response:
        """A file to whoever knows its link; a key here would be a leak."""
        assert "X-Toy-Key" not in request.headers
        return web.Response(body=self.files[request.match_info["link"]])
