"""``POST /api/v2/jobs/submit``: one file in ``input-files``, a few words, nothing else."""

from pathlib import Path

from aiohttp import web

from app.sandbox.cloudgene import auth
from app.sandbox.cloudgene.errors import ApiError
from app.sandbox.cloudgene.submission import answer_or_lose, check_quota, take
from app.sandbox.keys import CONFIG, JOBS
from app.sandbox.multipart import Form
from app.sandbox.panels import Panel

PANELS = ("h3africa", "1000g_afr", "agvp")
"""The names of the original design; they stand for the sandbox's panels in their order."""
_CHOICES = {
    "build": {"hg19", "hg38"},
    "phasing": {"eagle", "shapeit", "no_phasing"},
    "mode": {"imputation", "qc_only"},
}


async def submit(request: web.Request) -> web.StreamResponse:
    """Take a submission in."""
    return await take(request, _accept)


async def _accept(request: web.Request, received: Form, folder: Path) -> web.StreamResponse:
    identity = await auth.require(request)
    auth.block_in_maintenance(request, identity)
    check_quota(request, identity)
    inputs = parse_inputs(received, request.app[CONFIG].panels)
    name = request.headers.get("Idempotency-Key", "")
    job = await request.app[JOBS].submit(
        user=identity.account.username,
        application="Simple gateway",
        application_id="simple",
        user_agent=request.headers.get("User-Agent", ""),
        inputs=inputs | ({"job-name": name} if name else {}),
        upload=folder,
    )
    body = {"id": job.id, "status": "waiting", "message": "Job queued successfully"}
    return answer_or_lose(request, web.json_response(body))


def parse_inputs(received: Form, panels: tuple[Panel, ...]) -> dict[str, str]:
    """The inputs of the job, in the engine's words.

    Raises:
        ApiError: 400 for what the form does not have, or has and is not there.
    """
    texts = dict(received.texts)
    if [field for field, _ in received.files] != ["input-files"]:
        raise ApiError(400, "Exactly one file is expected in the field 'input-files'.")
    for field, choices in _CHOICES.items():
        if texts.get(field) not in choices:
            raise ApiError(400, f"Field '{field}' must be one of: {', '.join(sorted(choices))}.")
    unknown = texts.keys() - {*_CHOICES, "refpanel", "population"}
    if unknown:
        raise ApiError(400, f"Unknown field '{min(unknown)}'.")
    if texts.get("refpanel") not in PANELS[: len(panels)]:
        raise ApiError(400, "Field 'refpanel' names no panel.")
    panel = panels[PANELS.index(texts["refpanel"])]
    found = panel.find_population(texts.get("population", ""))
    phasing = texts["phasing"].replace("shapeit", "eagle")
    return {
        "refpanel": panel.key,
        "build": texts["build"],
        "phasing": phasing,
        "mode": texts["mode"],
        **({"population": found} if found else {}),
    }
