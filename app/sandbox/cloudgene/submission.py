"""``POST /api/v2/jobs/submit/{app}``: the whole body is stored first, and only then is anything checked.

cloudgene3 ``JobController.submit``, ``JobParameterParser``, ``FormUtil``, ``JobService.submitJob``.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from html.entities import codepoint2name
from pathlib import Path

from aiohttp import web

from app.sandbox.cloudgene import auth, form
from app.sandbox.cloudgene.errors import ApiError, framework_error, wrapped
from app.sandbox.keys import BOX, CONFIG, JOBS, STATS
from app.sandbox.multipart import Form, Malformed, TooLarge, read_form
from app.sandbox.tokens import Identity, Revoked

ADDED = "Your job was successfully added to the job queue."
_MULTIPART = "multipart/form-data"
# What Java says where the header is missing: JobDao trims it unchecked.
_NO_USER_AGENT = (
    'java.lang.NullPointerException: Cannot invoke "String.length()" because "value" is null'
)


Accept = Callable[[web.Request, Form, Path], Awaitable[web.StreamResponse]]


async def submit(request: web.Request) -> web.StreamResponse:
    """Take a submission in."""
    return await take(request, _accept)


async def take(request: web.Request, accept: Accept) -> web.StreamResponse:
    """Store the body, then let ``accept`` judge it and make the job."""
    if request.content_type != _MULTIPART:
        detail = f"Content Type [{request.content_type}] not allowed. Allowed types: [{_MULTIPART}]"
        return framework_error(request, 415, detail)
    box, stats, jobs = request.app[BOX], request.app[STATS], request.app[JOBS]
    if box.strikes("drop_submit"):
        stats.submissions_dropped += 1
        return drop_connection(request)
    folder = await jobs.new_upload()
    try:
        received = await read_form(request, folder, request.app[CONFIG].upload_limit_bytes)
        stats.uploads += 1
        stats.upload_bytes += received.stored_bytes
        answer = await accept(request, received, folder)
    except TooLarge:
        answer = (
            wrapped(400, "Upload limit reached.")
            if request.app[CONFIG].dialect == "cloudgene2"
            else framework_error(request, 413)
        )
        answer.force_close()
    except Malformed:
        answer = framework_error(request, 400, "Malformed multipart body")
        answer.force_close()
    except ConnectionError:
        return drop_connection(request)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    return answer


async def _accept(request: web.Request, received: Form, folder: Path) -> web.StreamResponse:
    jobs = request.app[JOBS]
    identity = await _caller(request)
    auth.block_in_maintenance(request, identity)
    username = identity.account.username
    check_quota(request, identity)
    app = request.match_info["app"]
    if not form.is_app(app):
        raise ApiError(404, f"Application '{app}' not found.")
    inputs = parse_inputs(received)
    user_agent = request.headers.get("User-Agent")
    if user_agent is None:
        return web.Response(
            status=400, body=_NO_USER_AGENT.encode(), content_type="application/json"
        )
    job = await jobs.submit(
        user=username,
        application=f"{form.APP_NAME} {form.APP_VERSION}",
        application_id=app,
        user_agent=user_agent,
        inputs=inputs,
        upload=folder,
    )
    return answer_or_lose(request, wrapped(200, ADDED, id=job.id))


def check_quota(request: web.Request, identity: Identity) -> None:
    """400 where the account has as many open jobs as it may have.

    Raises:
        ApiError: it has.
    """
    config, faults, jobs = request.app[CONFIG], request.app[BOX].faults, request.app[JOBS]
    limit = faults.quota if faults.quota is not None else config.max_jobs_per_user
    open_jobs = jobs.book.count_open(identity.account.username)
    if limit and not identity.account.is_admin and open_jobs >= limit:
        raise ApiError(400, f"Only {limit} jobs per user can be executed simultaneously.")


def answer_or_lose(request: web.Request, answer: web.Response) -> web.Response:
    """Answer about a job that was made, or close the connection where that fault is in force."""
    if request.app[BOX].strikes("lose_submit_answer"):
        request.app[STATS].answers_lost += 1
        return drop_connection(request)
    return answer


async def _caller(request: web.Request) -> Identity:
    try:
        return await auth.require(request)
    except Revoked:
        # On a real server the exception is raised where nobody answers for it.
        await asyncio.sleep(request.app[BOX].faults.revoked_submit_hangs_s)
        raise


def parse_inputs(received: Form) -> dict[str, str]:
    """The inputs of the job, by the rules of ``JobParameterParser``.

    A leading ``input-`` is dropped; text is HTML-escaped; of a repeated field the first counts; a checkbox
    is on whatever its value; nothing else is looked at.

    Raises:
        ApiError: 400 for a field the application does not have.
    """
    inputs: dict[str, str] = {}
    for field, value in [*received.texts, *received.files]:
        name = field.removeprefix("input-")
        if name != "job-name" and name not in form.INPUTS and not name.endswith("-pattern"):
            raise ApiError(400, f"Parameter '{name}' not found.")
        if name != "files":
            inputs.setdefault(name, "true" if name in form.CHECKBOXES else escape_html(value))
    return inputs


def escape_html(text: str) -> str:
    """``& < > "`` and everything beyond ASCII as entities (commons-lang ``escapeHtml``; not the apostrophe)."""
    return "".join(
        f"&{codepoint2name[code]};"
        if (code := ord(char)) in codepoint2name
        else (char if code < 128 else f"&#{code};")
        for char in text
    )


def drop_connection(request: web.Request) -> web.Response:
    """Close the connection at once; what is returned never leaves."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
