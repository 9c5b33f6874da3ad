"""The GA4GH starter kit 0.3.2 as a client meets it: runs are taken and then mostly silent.

Each top-level value of the parameters goes through `java.net.URI.create`; a value that is none fails the whole submission with
409 and a message that does not say so. Attachments are dropped. `/status` is 400 until Nextflow wrote its history, and stays so
if it never does. The list holds runs that are COMPLETE and were fetched once. Cancel answers 200 with nothing, and does nothing.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.wes import Run, WesServer

_URI = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?:[A-Za-z0-9\-_.!~*'();/?@&=+$,\[\]#]|%[0-9A-Fa-f]{2})*(?::[A-Za-z0-9\-_.!~*'();/?@&=+$,:]*)*"
)


def spring(status: int, error: str, msg: str) -> web.Response:
    """Answer an error in the kit's own shape."""
    body = {"timestamp": "2023-11-20T10:00:00Z", "status_code": status, "error": error, "msg": msg}
    return web.json_response(body, status=status)


def is_uri(value: object) -> bool:
    """Say whether `URI.create(String.valueOf(value))` would pass."""
    if isinstance(value, bool | int | float):
        return True
    if not isinstance(value, str) or "|" in value or " " in value:
        return False
    head = value.partition("/")[0]
    scheme, mark, _ = head.partition(":")
    if mark and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return False
    return _URI.fullmatch(value) is not None


@dataclass
class FakeStarterKit(WesServer):
    """`has_history` holds the ids of runs of which Nextflow wrote its history."""

    has_history: set[str] = field(default_factory=set)
    dropped: list[str] = field(default_factory=list)
    info: dict[str, Any] = field(
        default_factory=lambda: {
            "id": "org.ga4gh.starterkit.wes",
            "name": "GA4GH Starter Kit WES Service",
            "type": {"group": "org.ga4gh", "artifact": "wes", "version": "1.0.1"},
            "version": "0.3.2",
            "workflow_type_versions": {
                "NEXTFLOW": {"workflow_type_version": ["21.04.0"]},
                "WDL": {"workflow_type_version": ["1.0"]},
            },
            "workflow_engine_versions": {"NATIVE": "1.0.0"},
            "supported_wes_versions": ["1.0.1"],
            "supported_filesystem_protocols": ["file", "http", "https", "drs"],
            "default_workflow_engine_parameters": [],
            "system_state_counts": {},
        }
    )

    async def list_runs(self, request: web.Request) -> web.StreamResponse:
        rows = [
            {"run_id": run.run_id, "state": run.state}
            for run in self.runs.values()
            if run.state == "COMPLETE" and run.fetched
        ]
        return web.json_response({"runs": rows, "next_page_token": ""})

    async def post_run(self, request: web.Request) -> web.StreamResponse:
        parts = await self.read_form(request)
        self.dropped += [part.filename for part in parts if part.filename is not None]
        run = Run("", [part for part in parts if part.filename is None])
        url = run.fields.get("workflow_url", "")
        is_repository = re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+(/tree/[\w./-]+)?", url)
        if not is_repository or not all(is_uri(value) for value in run.params.values()):
            return spring(409, "Conflict", "Could not register new WorkflowRun")
        return await self.answer_posted(request, self.keep(run.parts))

    async def get_run(self, request: web.Request) -> web.StreamResponse:
        run = self.runs.get(request.match_info["id"])
        if run is None:
            return spring(404, "Not Found", "No WorkflowRun by that id")
        if run.run_id not in self.has_history:
            return spring(400, "Bad Request", "Could not load WES run log")
        run.fetched = True
        return web.json_response(
            {
                "run_id": run.run_id,
                "state": run.state,
                "request": {"workflow_params": run.params, "tags": None},
                "run_log": {"name": "nf", "exit_code": 0, **run.run_log},
                "task_logs": run.task_logs or [],
                "outputs": run.outputs or {},
            }
        )

    async def get_status(self, request: web.Request) -> web.StreamResponse:
        run = self.runs.get(request.match_info["id"])
        if run is None:
            return spring(404, "Not Found", "No WorkflowRun by that id")
        if run.run_id not in self.has_history:
            return spring(400, "Bad Request", "Could not load WES run status")
        return web.json_response({"run_id": run.run_id, "state": run.state})

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=200)
