"""``GET /service-info``: open to all, in the shape of WES 1.1."""

from collections import Counter

from aiohttp import web

from app.sandbox.engine.pipeline import PIPELINE_VERSION
from app.sandbox.keys import BOX, CONFIG, JOBS
from app.sandbox.wes.auth import MAINTENANCE
from app.sandbox.wes.errors import WesError
from app.sandbox.wes.views import wes_state

WORKFLOW_TYPE = "NFL"
TYPE_VERSION = "DSL2"
ENGINE = "nextflow"
ENGINE_VERSION = "sandbox"


async def service_info(request: web.Request) -> web.Response:
    """What the server is, what it runs, and how many runs are in each state."""
    if request.app[BOX].faults.maintenance:
        raise WesError(503, MAINTENANCE)
    config = request.app[CONFIG]
    states = Counter(wes_state(job) for job in request.app[JOBS].book.list_runs(None))
    body = {
        "id": "sandbox.imputation.wes",
        "name": config.name,
        "type": {"group": "org.ga4gh", "artifact": "wes", "version": "1.1.0"},
        "description": "A sandbox of an imputation workflow",
        "organization": {"name": "Sandbox", "url": "http://localhost"},
        "version": PIPELINE_VERSION,
        "environment": "sandbox",
        "workflow_type_versions": {WORKFLOW_TYPE: {"workflow_type_version": [TYPE_VERSION]}},
        "supported_wes_versions": ["1.1.0"],
        "supported_filesystem_protocols": ["http"],
        "workflow_engine_versions": {ENGINE: {"workflow_engine_version": [ENGINE_VERSION]}},
        "default_workflow_engine_parameters": [],
        "system_state_counts": dict(states),
        "auth_instructions_url": "http://localhost",
        "tags": {
            "workflow_urls": " ".join(config.workflows),
            "panels": " ".join(panel.id for panel in config.panels),
        },
    }
    return web.json_response(body)
