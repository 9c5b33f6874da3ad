"""`SimpleAdapter`: a gateway that speaks the simple dialect, the contract of the original design (`simple_words`).

It lists no jobs and keeps no names, so a job whose answer was lost cannot be found again by what it describes. The job's name travels as
`Idempotency-Key` and in the `User-Agent`; a list of jobs is asked for all the same and believed only where it shows the name; otherwise
a person decides (`SearchInconclusive`).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import ClassVar

from app.adapters.answers import Answer, error_of, raise_for_status
from app.adapters.archives import unpack
from app.adapters.base import (
    Capabilities,
    Credential,
    CredentialRejected,
    CredentialReport,
    Health,
    Progress,
    Rejected,
    RemoteJob,
    RemoteNotFound,
    RemoteOutput,
    RemoteState,
    RemoteStatus,
    SearchInconclusive,
    ServiceDescription,
    ServiceUnavailable,
    Sink,
    Submission,
)
from app.adapters.endpoint import Endpoint
from app.adapters.michigan import simple_words as words
from app.adapters.michigan import submitting
from app.adapters.michigan.client import Client, is_worded
from app.adapters.michigan.config import MichiganConfig
from app.adapters.michigan.dialects import SIMPLE
from app.adapters.michigan.downloading import counted
from app.adapters.michigan.listing import named_in
from app.adapters.michigan.statuses import is_job_id
from app.adapters.michigan.tokens import expiry_of
from app.adapters.transport import Transport

NO_JOB = "none"
"""An id that no job has: asking about it shows whether a token is accepted."""
_AT_ONCE = 4
_NAME = "results.zip"


class SimpleAdapter:
    """An `app.adapters.base.Adapter` for one gateway and one token."""

    kind: ClassVar[str] = "michigan"
    capabilities: ClassVar[Capabilities] = SIMPLE.capabilities

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        config: MichiganConfig,
        credential: Credential | None,
    ) -> None:
        self._client = Client(transport, endpoint, credential)
        self._config = config
        self._panels = words.panels_of(config.panels)

    async def verify_credential(self) -> CredentialReport:
        """Ask about a job that is not there: a refusal is about the token, any other clear answer accepts it."""
        try:
            await self._knock()
        except CredentialRejected as error:
            return CredentialReport(valid=False, message=error.reason)
        return CredentialReport(valid=True, expires_at=expiry_of(self._client.token or ""))

    async def _knock(self) -> None:
        """Return if the gateway works and accepts the token. Raises `CredentialRejected`, `ServiceUnavailable`."""
        answer = await self._client.get("jobs", NO_JOB, "status")
        try:
            raise_for_status(answer, self._client.secrets)
        except (Rejected, RemoteNotFound) as error:
            if not is_worded(answer):
                raise ServiceUnavailable(error.reason) from error

    async def describe(self) -> ServiceDescription:
        """Give what the configuration offers, once the gateway answers."""
        await self.health()
        return ServiceDescription(
            app_id=None,
            app_version=None,
            server_name=None,
            panels=self._panels,
            builds=words.BUILDS,
            phasings=words.PHASINGS,
            default_phasing=words.PHASINGS[0],
            modes=words.MODES,
            options=(),
            dialect=SIMPLE.name,
        )

    async def health(self) -> Health:
        """Get the base URL: any answer but a server's trouble shows that it is up."""
        client = self._client
        began = time.perf_counter()
        answer = await client.get_root()
        if answer.status >= 500 or answer.status == 429:
            error = error_of(answer)
            if isinstance(error, ServiceUnavailable) and error.maintenance:
                return Health(True, time.perf_counter() - began, message=error.reason)
            raise error
        return Health(maintenance=False, latency_s=time.perf_counter() - began)

    async def count_active(self) -> int | None:
        """Not told."""
        return None

    async def submit(self, submission: Submission, progress: Progress) -> str:
        """Knock first, as a doubtful end costs a person's time here; then send."""
        fields = words.fill(submission, self._panels)
        taken = {name for name, _ in fields}
        fields += [item for item in self._config.extra_fields.items() if item[0] not in taken]
        await self._knock()
        answer = await submitting.post(
            self._client,
            (),
            fields,
            words.FILE_FIELD,
            submission,
            progress,
            headers={"Idempotency-Key": submission.name},
        )
        return submitting.id_in(answer, self._client.host, self._client.secrets)

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        """Look for a list that the dialect does not describe; what it shows is believed, what it lacks proves nothing."""
        answer = await self._client.get("jobs")
        if answer.status in {401, 403} or answer.status >= 500 or answer.status == 429:
            self._client.check(answer)
        found = named_in(answer, name, since, words.STATES)
        if not found:
            raise SearchInconclusive(f"{self._client.host} cannot show the jobs of an account.")
        return found

    async def status(self, remote_id: str) -> RemoteStatus:
        """Look at one job."""
        answer = await self._job(remote_id)
        if answer is None:
            return words.missing(remote_id)
        return words.read_status(answer.object(), remote_id, self._client.secrets)

    async def _job(self, remote_id: str) -> Answer | None:
        """Ask about a job; None where the gateway does not know it. A page in a 404 is a proxy's."""
        if not is_job_id(remote_id):
            return None
        answer = await self._client.get("jobs", remote_id, "status")
        if answer.status in {404, 410} and is_worded(answer):
            return None
        self._client.check(answer)
        return answer

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        """Look at each job, a few at once."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look(remote_id: str) -> RemoteStatus:
            async with gate:
                return await self.status(remote_id)

        looks = await asyncio.gather(*map(look, remote_ids), return_exceptions=True)
        if trouble := next((item for item in looks if isinstance(item, BaseException)), None):
            raise trouble
        return {item.remote_id: item for item in looks if isinstance(item, RemoteStatus)}

    async def cancel(self, remote_id: str) -> None:
        """Ask as the rest of the family is asked: the original design names no call for it."""
        if not is_job_id(remote_id):
            raise RemoteNotFound("This cannot be a job of the service.")
        answer = await self._client.get("jobs", remote_id, "cancel", once=True)
        if answer.status in {404, 405, 501} and (await self.status(remote_id)).state not in {
            RemoteState.MISSING,
            RemoteState.GONE,
        }:
            raise Rejected(f"{self._client.host} has no way to cancel a job.")
        raise_for_status(answer, self._client.secrets)

    async def restart(self, remote_id: str) -> None:  # noqa: ARG002 - the interface's
        """Not in this dialect."""
        raise Rejected("This service cannot restart a job.")

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        """Give the one archive, once the job has succeeded."""
        found = await self.status(remote_id)
        if found.state is RemoteState.MISSING:
            raise RemoteNotFound(f"{self._client.host} does not know the job any longer.")
        if found.state is not RemoteState.SUCCEEDED:
            return ()
        address = f"jobs/{remote_id}/results"
        return (RemoteOutput(_NAME, _NAME, "result", address, archive=True),)

    async def download(
        self, output: RemoteOutput, sink: Sink, archive_password: str | None, progress: Progress
    ) -> None:
        """Fetch the archive with the token, which stays behind where the gateway redirects to another host."""
        client = self._client
        url = client.endpoint.at("api", "v2", *output.address.split("/"))
        async with client.transport.stream_get(
            url, headers=client.auth(), allow_insecure=client.endpoint.allow_insecure
        ) as download:
            if download.answer.status != 200:
                raise _refusal(download.answer, client, redirected=download.redirected)
            async with aclosing(counted(download.chunks, progress)) as chunks:
                await unpack(chunks, sink, password=archive_password)


def _refusal(answer: Answer, client: Client, *, redirected: bool) -> Exception:
    error = error_of(answer, client.secrets)
    if redirected and isinstance(error, CredentialRejected):
        return ServiceUnavailable(f"{answer.host} did not hand out the file ({answer.status}).")
    if isinstance(error, RemoteNotFound | Rejected) and not is_worded(answer):
        return ServiceUnavailable(error.reason)
    return error


async def speaks_simple(client: Client) -> bool:
    """Say whether a gateway of the simple dialect answers: no `/api/v2/server`, and a `jobs/submit` that is only for sending.

    Cloudgene's own 404s and those of its framework do not count, nor does a web page, which any proxy has. Raises `AdapterError` where
    nothing can be concluded.
    """
    page = await client.get("server", auth=False)
    if page.status != 404 or not is_stranger(page):
        return False
    submit = await client.get("jobs", "submit", auth=False)
    return submit.status in {401, 403, 405}


def is_stranger(answer: Answer) -> bool:
    """Say whether a 404 comes from a program that is neither Cloudgene nor a web server with pages."""
    if not is_worded(answer):
        return not answer.body.lstrip().startswith(b"<")
    return not answer.object().keys() & {"success", "_links", "_embedded"}
