"""Every URL of the dialect."""

from aiohttp import web

from app.sandbox.wes import outputs, runs, service_info, submission
from app.sandbox.wes.errors import BASE


def routes() -> list[web.RouteDef]:
    """The routes of WES 1.1, and the one that results are fetched from."""
    return [
        web.get(f"{BASE}/service-info", service_info.service_info),
        web.get(f"{BASE}/runs", runs.list_runs),
        web.post(f"{BASE}/runs", submission.submit),
        web.get(f"{BASE}/runs/{{id}}", runs.get_run),
        web.get(f"{BASE}/runs/{{id}}/status", runs.get_status),
        web.post(f"{BASE}/runs/{{id}}/cancel", runs.cancel),
        web.get(f"{BASE}/runs/{{id}}/tasks", runs.list_tasks),
        web.get(f"{BASE}/runs/{{id}}/tasks/{{task}}", runs.get_task),
        web.get(f"{BASE}/runs/{{id}}/outputs/{{name:.+}}", outputs.get_output),
    ]
