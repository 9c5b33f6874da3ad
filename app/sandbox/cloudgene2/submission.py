"""``POST /api/v2/jobs/submit/{app}`` (cloudgene ``SubmitJob``): unknown fields are dropped, an unknown file field is a 400."""

from pathlib import Path

from aiohttp import web

from app.sandbox.cloudgene.errors import ApiError, wrapped
from app.sandbox.cloudgene.submission import (
    ADDED,
    answer_or_lose,
    check_quota,
    take,
)
from app.sandbox.cloudgene2 import auth, form
from app.sandbox.keys import JOBS
from app.sandbox.multipart import Form


async def submit(request: web.Request) -> web.StreamResponse:
    """Take a submission in."""
    return await take(request, _accept)


async def _accept(request: web.Request, received: Form, folder: Path) -> web.StreamResponse:
    identity = await auth.require_for_app(request)
    app = request.match_info["app"]
    if not form.is_app(app):
        raise ApiError(
            404, f"Application '{app}' not found or the request requires user authentication."
        )
    check_quota(request, identity)
    job = await request.app[JOBS].submit(
        user=identity.account.username,
        application=f"{form.APP_NAME} {form.APP_VERSION}",
        application_id=app,
        user_agent=request.headers.get("User-Agent", ""),
        inputs=parse_inputs(received),
        upload=folder,
    )
    return answer_or_lose(request, wrapped(200, ADDED, id=job.id))


def parse_inputs(received: Form) -> dict[str, str]:
    """The inputs of the job. Of a repeated field the first counts; a checkbox is on whatever its value.

    Raises:
        ApiError: 400 for files of a field that the application does not have.
    """
    if any(_bare(field) != "files" for field, _ in received.files):
        raise ApiError(400, "Error during input parameter parsing.")
    inputs: dict[str, str] = {}
    for field, value in received.texts:
        name = _bare(field)
        if name == "job-name" or name in form.INPUTS:
            inputs.setdefault(name, "true" if name in form.CHECKBOXES else value)
    return inputs


def _bare(field: str) -> str:
    return field.replace("-upload", "").replace("input-", "")
