"""wes-service 5.0 as a client meets it: a folder is all that a run is, and asking about a run makes the folder.

`/status`, `/cancel` and `/runs/{id}` make a run of any id: RUNNING for ever, with nothing to show (500), and listed from then on. A
cancel is taken and does nothing; with a content type other than JSON it is a 415.
"""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.wes import FakeWes, Run, error


@dataclass
class FakeWesService(FakeWes):
    """`phantoms` are the ids that were only ever asked about."""

    base: str = "/ga4gh/wes/v1"
    tokens: set[str] = field(default_factory=set)
    most_per_page: int = 100_000
    shows_tags: bool = False
    list_key: str = "workflows"
    phantoms: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(
        default_factory=lambda: {
            "workflow_type_versions": {
                "CWL": {"workflow_type_version": ["v1.0", "v1.1", "v1.2"]},
            },
            "workflow_engine_versions": {"cwl-runner": "b''"},
            "supported_wes_versions": ["0.3.0", "1.0.0"],
            "supported_filesystem_protocols": ["file", "http", "https"],
            "system_state_counts": {},
            "tags": {},
        }
    )

    def touch(self, request: web.Request) -> None:
        """Make the folder."""
        run_id = request.match_info["id"]
        if run_id not in self.runs:
            self.runs[run_id] = Run(run_id, [], state="RUNNING")
            self.phantoms.append(run_id)

    async def post_run(self, request: web.Request) -> web.StreamResponse:
        run = Run("", await self.read_form(request))
        return await self.answer_posted(request, self.keep(run.parts))

    async def get_run(self, request: web.Request) -> web.StreamResponse:
        self.touch(request)
        if request.match_info["id"] in self.phantoms:
            return web.json_response({"title": "Internal Server Error", "status": 500}, status=500)
        return await super().get_run(request)

    async def get_status(self, request: web.Request) -> web.StreamResponse:
        self.touch(request)
        return await super().get_status(request)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Content-Type") not in {None, "application/json"}:
            return error(415, "Invalid Content-type, expected ['application/json']")
        self.touch(request)
        return web.json_response({"run_id": request.match_info["id"]})
