"""WESkit as eLwazi runs it, as a client meets it: strings only, 500 where another server would say 404, results on a disk.

A value that is no string is a 500 and no run. A workflow path that is not there is a 500 *and a run* (SYSTEM_ERROR). An unknown id is
a 500, and so is `/runs/{id}` of a run that has not ended, and every cancel. `/weskit/v1/runs` shows each run with its whole request.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.wes import Run, WesServer, error

_KNOWN = frozenset(
    {"workflow_params", "workflow_type", "workflow_type_version", "workflow_url", "workflow_attachment"}
    | {"workflow_engine_parameters", "tags"}
)  # fmt: skip
CRASH = (
    "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
    "<p>The server encountered an internal error and was unable to complete your request.</p>\n"
)


def crash() -> web.Response:
    """Answer as Flask does for an exception that nobody caught."""
    return web.Response(status=500, text=CRASH, content_type="text/html")


@dataclass
class FakeWeskit(WesServer):
    """`workflows` are the paths that the server's workflow folder has. `bucket` serves presigned links."""

    workflows: set[str] = field(default_factory=lambda: {"imputation/main.nf"})
    has_s3: bool = False
    is_expired: bool = False
    bucket: list[dict[str, str]] = field(default_factory=list)
    """The headers of requests for presigned links."""
    info: dict[str, Any] = field(
        default_factory=lambda: {
            "workflow_type_versions": {
                "NFL": {"workflow_type_version": ["22.10.0"]},
                "SMK": {"workflow_type_version": ["6.10.0"]},
            },
            "workflow_engine_versions": {"NFL": "22.10.0", "SMK": "6.10.0"},
            "supported_wes_versions": ["1.0.0"],
            "supported_filesystem_protocols": ["file", "S3"],
            "default_workflow_engine_parameters": [
                {"name": "NFL|22.10.0|trace", "type": "bool", "default_value": "true"},
                {"name": "SMK|6.10.0|cores", "type": "int", "default_value": "1"},
            ],
            "system_state_counts": {"INITIALIZING": 1},
            "auth_instructions_url": "https://example.org",
            "tags": {"tag1": "x", "tag2": "y"},
        }
    )

    def build(self, app: web.Application) -> None:
        super().build(app)
        app.add_routes(
            [
                web.get("/weskit/v1/runs", self.list_whole),
                web.get("/bucket/{id}/{name:.+}", self.from_bucket),
            ]
        )

    async def list_runs(self, request: web.Request) -> web.StreamResponse:
        rows = [{"run_id": run.run_id, "state": run.state} for run in self.runs.values()]
        return web.json_response({"runs": rows})

    async def list_whole(self, request: web.Request) -> web.StreamResponse:
        rows = [
            {
                "run_id": run.run_id,
                "run_status": run.state,
                "start_time": "2024-10-01T12:00:00",
                "user_id": "not-logged-in-user",
                "request": run.request(),
            }
            for run in self.runs.values()
        ]
        return web.json_response(rows)

    async def post_run(self, request: web.Request) -> web.StreamResponse:
        run = Run("", await self.read_form(request))
        unknown = [part.name for part in run.parts if part.name not in _KNOWN]
        if unknown:
            return error(400, f"Malformed request: [{{'{unknown[0]}': ['unknown field']}}]")
        if not run.params or not all(isinstance(value, str) for value in run.params.values()):
            return crash()
        kind = run.fields["workflow_type"]
        offered = self.info["workflow_type_versions"].get(kind, {}).get("workflow_type_version", [])
        if run.fields["workflow_type_version"] not in offered:
            return error(400, "Unknown workflow_type_version")
        url = run.fields["workflow_url"]
        if url.startswith(("http://", "https://")):
            return error(400, "Not a valid workflow_url")
        folded = {key: re.sub(r"\s+", " ", value) for key, value in run.params.items()}
        for part in run.parts:
            if part.name == "workflow_params":
                part.content = json.dumps(folded).encode()
        kept = self.keep(run.parts)
        kept.state = "INITIALIZING"
        if not url.startswith("trs://") and url not in self.workflows | kept.attachments.keys():
            kept.state = "SYSTEM_ERROR"
            return crash()
        return await self.answer_posted(request, kept)

    async def get_run(self, request: web.Request) -> web.StreamResponse:
        run = self.runs.get(request.match_info["id"])
        if run is None or run.state not in {"COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR"}:
            return crash()
        names = [*run.attachments, f"{run.run_id}.yaml", *run.files, "work/ab/tmp.vcf.gz"]
        outputs: dict[str, Any] = {"filesystem": names}
        if self.has_s3:
            outputs["S3"] = [
                f"http://127.0.0.1:{self.port}/bucket/{run.run_id}/{name}?X-Amz-Signature=abc&Expires=3600"
                for name in names
            ]
        return web.json_response(
            {
                "run_id": run.run_id,
                "state": run.state,
                "request": run.request(),
                # `end_time` is UTC and `start_time` local: the end before the start is normal.
                "run_log": {
                    "start_time": "2024-10-01T12:00:00",
                    "end_time": "2024-10-01T10:05:00",
                    "exit_code": "1" if run.state != "COMPLETE" else 0,
                    "stderr": "",
                }
                | run.run_log,
                "task_logs": run.task_logs,
                "outputs": run.outputs if run.outputs is not None else outputs,
            }
        )

    async def get_status(self, request: web.Request) -> web.StreamResponse:
        run = self.runs.get(request.match_info["id"])
        if run is None:
            return crash()
        return web.json_response({"run_id": run.run_id, "state": run.state})

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        return crash()

    async def from_bucket(self, request: web.Request) -> web.StreamResponse:
        """An object store: it refuses a second credential, and links that have ended."""
        self.bucket.append(dict(request.headers))
        if "Authorization" in request.headers:
            return web.Response(status=400, text="<Error><Code>InvalidArgument</Code></Error>")
        if self.is_expired:
            return web.Response(
                status=403, text="<Error><Message>Request has expired</Message></Error>"
            )
        run = self.runs[request.match_info["id"]]
        return web.Response(body=run.files[request.match_info["name"]])
