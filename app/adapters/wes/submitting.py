"""Sending a run, and judging what came back.

`POST /runs` is not idempotent, and servers were seen to create the run and answer 500 (WESkit for a workflow that is not
there, toil for bad JSON). So every end that is not clear is doubtful. Clear are: no connection at all, and a refusal in the
server's own JSON.
"""

from collections.abc import Mapping

from app.adapters.answers import Answer, error_of
from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DoubtfulSubmission,
    Progress,
    Rejected,
    ServiceUnavailable,
    Submission,
)
from app.adapters.failures import NotSent
from app.adapters.payload import FilePart, InlinePart, InputChangedError, MultipartUpload
from app.adapters.wes.client import Client, is_run_id, json_object
from app.adapters.wes.filling import fields_of, secrets_of

_ATTACHMENT = "workflow_attachment"
_HINTS: Mapping[tuple[str, int], str] = {
    ("starter-kit", 409): (
        " (this kind of server says no more where a parameter is a list or holds blanks or special characters, or where "
        "the workflow is not a GitHub repository)"
    ),
}


async def send(client: Client, submission: Submission, progress: Progress) -> str:
    """Send a run and give its id. Raises as `base.Adapter.submit`."""
    config = client.config
    info = await client.service_info()
    dialect = await client.dialect()
    files = submission.files if config.input_mode == "attachment" else ()
    body = MultipartUpload(
        fields_of(config, submission, info, dialect),
        [FilePart(_ATTACHMENT, item.name, item.path, item.size_bytes) for item in files],
        inline=[
            InlinePart(_ATTACHMENT, item.name, item.content.encode())
            for item in config.workflow.attachments
        ],
        progress=progress,
        stall_s=client.transport.timeouts.upload_stall_s,
    )
    try:
        await body.check()
    except InputChangedError:
        raise Rejected("A stored input file is missing or has changed.") from None
    headers = await client.upload_headers()
    secrets = (*client.secrets, *secrets_of(submission))
    try:
        answer = await client.transport.upload(
            client.endpoint.at("runs"), body, headers=headers, allow_insecure=client.allow_insecure
        )
    except NotSent:
        raise
    except ServiceUnavailable as error:
        raise DoubtfulSubmission(error.reason) from error
    return _id_in(answer, secrets, _HINTS.get((dialect, answer.status), ""))


def _id_in(answer: Answer, secrets: tuple[str, ...], hint: str) -> str:
    if not 200 <= answer.status < 300:
        error = _judged(answer, secrets)
        raise Rejected(f"{error.reason}{hint}") if isinstance(error, Rejected) else error
    said = json_object(answer)
    run_id = said.get("run_id") if said is not None else None
    if isinstance(run_id, str) and is_run_id(run_id):
        return run_id
    raise DoubtfulSubmission(f"{answer.host} answered without a run id.")


def _judged(answer: Answer, secrets: tuple[str, ...]) -> AdapterError:
    """Give the error for a status other than 2xx."""
    status, error = answer.status, error_of(answer, secrets)
    if status == 413:
        return Rejected("The service refused the upload because it is too large.")
    if status in {401, 403, 407}:
        return CredentialRejected(error.reason)
    if status in {404, 405, 410}:
        return ServiceUnavailable(
            f"{answer.host} takes no runs at this address: an administrator should check the service's address."
        )
    if status == 429:
        return error
    if isinstance(error, ServiceUnavailable):
        if error.maintenance and json_object(answer) is not None:
            return error
        return DoubtfulSubmission(error.reason, retry_after_s=error.retry_after_s)
    if json_object(answer) is None:
        return DoubtfulSubmission(error.reason)
    return Rejected(error.reason)
