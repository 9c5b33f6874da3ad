"""Sending a job, and judging what came back.

A submission is not idempotent, and the job's row is written before the answer is (cloudgene3
`PersistentWorkflowEngine.jobSubmitted`). So every end that is not clear is doubtful: the engine searches the account's
list for the job's name before it sends anything again. Clear are: no connection at all; an answer in Cloudgene's own
words; and statuses that say that no application saw the request whole.
"""

import re
from collections.abc import Mapping

from app.adapters.answers import Answer, error_of
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DoubtfulSubmission,
    Progress,
    QuotaFull,
    Rejected,
    ServiceUnavailable,
    Submission,
)
from app.adapters.failures import NotSent
from app.adapters.michigan.client import API, Client, is_own_404, is_worded
from app.adapters.michigan.config import MichiganConfig
from app.adapters.michigan.discovery import Form
from app.adapters.michigan.forms import files_field, fill
from app.adapters.michigan.statuses import is_job_id
from app.adapters.michigan.verifying import verify
from app.adapters.payload import FilePart, InputChangedError, MultipartUpload

_QUOTA = re.compile(r"only \d+ jobs? per user|jobs? per user can be executed", re.IGNORECASE)
"""cloudgene3 `JobService.submitJob`: `Only N jobs per user can be executed simultaneously.`"""
_JAVA_TROUBLE = re.compile(r"^[\w$.]*(Exception|Error)\b")
"""What `JobController.submit` answers with a 400 for any trouble inside: it may have come after the job was stored."""
_HIDING = re.compile(r"requires? user authentication", re.IGNORECASE)
"""Cloudgene 2 `SubmitJob` says so of unknown apps and of bad tokens alike."""
_TOO_LARGE = "The service refused the upload because it is too large. Send fewer chromosomes or samples in one job."


async def send(
    client: Client, form: Form, submission: Submission, config: MichiganConfig, progress: Progress
) -> str:
    """Send a job to the app of the form and give its id. Raises as `base.Adapter.submit`."""
    field = files_field(form, submission.files)
    fields = fill(form, submission, config.extra_fields)
    answer = await post(client, (form.app_id,), fields, field, submission, progress)
    if answer.status == 404 and _HIDING.search(answer.message()):
        report = await verify(client)
        if not report.valid:
            raise CredentialRejected(report.message or f"{client.host} did not accept the token.")
    return id_in(answer, client.host, (*client.secrets, submission.archive_password))


async def post(
    client: Client,
    app: tuple[str, ...],
    fields: list[tuple[str, str]],
    file_field: str,
    submission: Submission,
    progress: Progress,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a filled form with the submission's files below `jobs/submit`; give the answer whatever its status.

    Raises `NotSent` where surely nothing arrived, `DoubtfulSubmission` where something may have.
    """
    body = MultipartUpload(
        fields,
        [FilePart(file_field, item.name, item.path, item.size_bytes) for item in submission.files],
        progress=progress,
        stall_s=client.transport.timeouts.upload_stall_s,
    )
    named = {"User-Agent": f"{client.transport.user_agent} {submission.name}"}
    try:
        await body.check()
    except InputChangedError:
        raise Rejected("A stored input file is missing or has changed.") from None
    try:
        return await client.transport.upload(
            client.endpoint.at(*API, "jobs", "submit", *app),
            body,
            headers=client.auth() | named | dict(headers or {}),
            allow_insecure=client.endpoint.allow_insecure,
        )
    except NotSent:
        raise
    except ServiceUnavailable as error:
        raise DoubtfulSubmission(error.reason) from error


def id_in(answer: Answer, host: str, secrets: tuple[str, ...]) -> str:
    """Give the id out of `{"success":true,"message":…,"id":…}`, or raise what the answer stands for."""
    if not 200 <= answer.status < 300:
        raise _judged(answer, secrets)
    try:
        said = answer.object()
    except ServiceUnavailable as error:
        raise DoubtfulSubmission(error.reason) from error
    if said.get("success") is False:
        raise _refusal(answer, secrets)
    remote_id = said.get("id")
    if isinstance(remote_id, str) and is_job_id(remote_id):
        return remote_id
    raise DoubtfulSubmission(f"{host} answered without a job id.")


def _judged(answer: Answer, secrets: tuple[str, ...]) -> AdapterError:
    """Give the error for a status other than 2xx."""
    status = answer.status
    error = error_of(answer, secrets)
    if status == 413:
        return Rejected(_TOO_LARGE)
    if status in {401, 403}:
        return CredentialRejected(error.reason)
    if status == 404:
        # No application took it, whoever answered; only Cloudgene's own words are final.
        return Rejected(error.reason) if is_own_404(answer) else ServiceUnavailable(error.reason)
    if status == 400:
        return _bad_request(answer, secrets)
    if status == 429 or (
        isinstance(error, ServiceUnavailable) and error.maintenance and is_worded(answer)
    ):
        return error
    if isinstance(error, ServiceUnavailable):
        return DoubtfulSubmission(error.reason, retry_after_s=error.retry_after_s)
    return error


def _bad_request(answer: Answer, secrets: tuple[str, ...]) -> AdapterError:
    said = answer.message(secrets)
    if _JAVA_TROUBLE.match(said) or not is_worded(answer):
        return DoubtfulSubmission(error_of(answer, secrets).reason)
    return _refusal(answer, secrets)


def _refusal(answer: Answer, secrets: tuple[str, ...]) -> AdapterError:
    """Give the error for a refusal in Cloudgene's own words."""
    said = answer.message(secrets)
    if _QUOTA.search(said):
        return QuotaFull(said)
    if "upload limit" in said.lower():
        return Rejected(_TOO_LARGE)
    return Rejected(said or "The service refused the job without a reason.")
