"""`MichiganAdapter`: Cloudgene of both generations behind the common interface. Facts: docs/adapters.md."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

import structlog

from app.adapters import loose
from app.adapters.answers import Answer, off_loop
from app.adapters.base import (
    AdapterError,
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
    ServiceDescription,
    ServiceUnavailable,
    Sink,
    Submission,
)
from app.adapters.endpoint import Endpoint
from app.adapters.michigan import downloading, listing, submitting, verifying
from app.adapters.michigan.client import Client, is_own_404
from app.adapters.michigan.config import MichiganConfig
from app.adapters.michigan.describing import description_of
from app.adapters.michigan.dialects import (
    CLOUDGENE3,
    DIALECTS,
    OPEN,
    Dialect,
    NotSpoken,
    of_job,
    of_server,
)
from app.adapters.michigan.discovery import Form, app_ids, choose_app, read_form
from app.adapters.michigan.downloading import Checksums
from app.adapters.michigan.logs import reason_in
from app.adapters.michigan.outputs import read_outputs
from app.adapters.michigan.statuses import ACTIVE, gone, id_of, is_job_id, read_job
from app.adapters.text import clean, clean_line
from app.adapters.transport import Transport

log = structlog.get_logger(__name__)
_LOG_TAIL_BYTES = 64 * 1024


class MichiganAdapter:
    """An `app.adapters.base.Adapter` for one Cloudgene server and one API token; made for one step of a job."""

    kind: ClassVar[str] = "michigan"

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        config: MichiganConfig,
        credential: Credential | None,
    ) -> None:
        self._client = Client(transport, endpoint, credential)
        self._config = config
        self._dialect = DIALECTS.get(config.dialect, CLOUDGENE3)
        self._discovered: tuple[Form, Mapping[str, object]] | None = None
        self._checksums = Checksums()

    @property
    def capabilities(self) -> Capabilities:
        """What the generation allows: as configured, or as far as it was seen; until then that of Cloudgene 3."""
        return self._dialect.capabilities

    def _saw(self, dialect: Dialect) -> None:
        if self._config.dialect in OPEN:
            self._dialect = dialect

    async def verify_credential(self) -> CredentialReport:
        """Ask `tokens/verify`, which knows revoked tokens too; where a site has no such call, the account's profile."""
        return await verifying.verify(self._client)

    async def describe(self) -> ServiceDescription:
        """Read the server, the app that imputes, and its form."""
        form, server = await self._form()
        return description_of(form, server, self._config.dialect)

    async def _form(self) -> tuple[Form, Mapping[str, object]]:
        """Find the app and read its form, once per adapter."""
        if self._discovered is None:
            self._discovered = await self._discover()
        return self._discovered

    async def _discover(self) -> tuple[Form, Mapping[str, object]]:
        client = self._client
        answer = await client.get("server", auth=bool(client.token))
        server = self._server_page(answer)
        self._saw(of_server(server))
        if _in_maintenance(server):
            raise ServiceUnavailable(f"{client.host} is under maintenance.", maintenance=True)
        if server.get("loggedIn") is False:
            said = (
                "did not accept the API token"
                if client.token
                else "shows its apps to accounts only"
            )
            raise CredentialRejected(f"{client.host} {said}.")
        ids = app_ids(server)
        for app in choose_app(ids, self._config.app):
            answer = await client.get("server", "apps", app)
            if is_own_404(answer):
                continue
            client.check(answer)
            page = answer.object()
            if not isinstance(page.get("params"), list):
                raise ServiceUnavailable(
                    f"{client.host} answered with something that is not a form."
                )
            return read_form(page, app), server
        wanted = f"the app {self._config.app}" if self._config.app else "an imputation app"
        offered = ", ".join(clean_line(app, limit=60) for app in ids[:10]) or "no apps"
        raise Rejected(
            f"{client.host} does not offer {wanted} to this account. It offers: {offered}."
        )

    def _server_page(self, answer: Answer) -> dict[str, object]:
        """Give the answer of `/api/v2/server`. Raises `ServiceUnavailable` where something else lives there."""
        self._client.check(answer)
        server = answer.object()
        if not isinstance(server.get("apps"), list):
            raise NotSpoken(f"{self._client.host} does not answer as a Cloudgene server does.")
        return server

    async def health(self) -> Health:
        """Look at the server's front page of data, without a token; then at the queue's length, if it tells."""
        client = self._client
        began = time.perf_counter()
        answer = await client.get("server", auth=False)
        latency_s = time.perf_counter() - began
        try:
            maintenance = _in_maintenance(self._server_page(answer))
        except ServiceUnavailable as error:
            if not error.maintenance:
                raise
            return Health(maintenance=True, latency_s=latency_s, message=error.reason)
        return Health(
            maintenance=maintenance, latency_s=latency_s, queue_length=await self._queue_length()
        )

    async def _queue_length(self) -> int | None:
        try:
            answer = await self._client.get("server", "counters", auth=False)
            self._client.check(answer)
            queue = loose.as_dict(answer.object().get("queue"))
        except AdapterError:
            return None
        size = loose.as_int(queue.get("size"))
        return size if size is not None and size >= 0 else None

    async def count_active(self) -> int | None:
        """Count waiting, running and exporting jobs. Reads the whole list: an undercount would cost a whole upload."""
        page = await listing.read_page(self._client, None)
        return sum(loose.as_int(row.get("state")) in ACTIVE for row in page.rows)

    async def submit(self, submission: Submission, progress: Progress) -> str:
        """Read the live form, fill it, and send the job."""
        form, _ = await self._form()
        return await submitting.send(self._client, form, submission, self._config, progress)

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        """Search the account's list, newest first."""
        return await listing.find_named(self._client, name, since)

    async def status(self, remote_id: str) -> RemoteStatus:
        """Look at one job; where it failed without a word, also into its log."""
        answer = await self._job(remote_id)
        if answer is None:
            return gone(remote_id)
        secrets = self._client.secrets
        job = await off_loop(len(answer.body), lambda: _own(answer.object(), remote_id))
        self._saw(of_job(job))
        found = await off_loop(len(answer.body), lambda: read_job(job, secrets=secrets))
        if found.state is RemoteState.FAILED and found.reason is None:
            return replace(found, reason=await self._logged_reason(remote_id))
        return found

    async def _job(self, remote_id: str) -> Answer | None:
        """Get a job's JSON; None where the server does not know it."""
        if not is_job_id(remote_id):
            return None
        answer = await self._client.get("jobs", remote_id)
        if is_own_404(answer):
            return None
        self._client.check(answer)
        return answer

    async def _logged_reason(self, remote_id: str) -> str | None:
        """Look for the reason in the job's log, which may well be missing."""
        try:
            answer = await self._client.get_log(remote_id)
            self._client.check(answer)
        except AdapterError:
            return None
        text = answer.body[-_LOG_TAIL_BYTES:].decode("utf-8", "replace")
        return await off_loop(len(text), lambda: reason_in(text, secrets=self._client.secrets))

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        """Read the account's list as far as needed to see all jobs."""
        wanted = set(filter(is_job_id, remote_ids))
        if not wanted:
            return {}
        rows = await listing.read_until(
            self._client, lambda seen: wanted <= {str(row["id"]) for row in seen}
        )
        mine = [row for row in rows if row["id"] in wanted]
        if mine:
            self._saw(of_job(mine[0]))
        size = sum(len(loose.as_list(row.get("steps"))) for row in mine) * 4096
        return await off_loop(size, lambda: _read_rows(mine, self._client.secrets))

    async def cancel(self, remote_id: str) -> None:
        """Ask for cancellation: a GET (cloudgene3 `JobController.cancel`). A job that has ended stays as it is.

        Cloudgene 2 cancels what is in its queue alone, and answers 404 for a job that has ended (`CancelJob`).
        """
        try:
            await self._act(remote_id, "cancel")
        except RemoteNotFound:
            if await self._job(remote_id) is None:
                raise

    async def restart(self, remote_id: str) -> None:
        """Ask to start a dead job again: a GET; a 400 for any other state. Cloudgene 2 takes no API token for it."""
        if not self.capabilities.restart:
            raise Rejected("This service restarts jobs for people who are signed in there only.")
        await self._act(remote_id, "restart")

    async def _act(self, remote_id: str, action: str) -> None:
        if not is_job_id(remote_id):
            raise RemoteNotFound("This cannot be a job of the service.")
        said = (await self._client.call("jobs", remote_id, action, once=True)).object()
        if said.get("success") is False:
            raise Rejected(
                clean(said.get("message"), limit=300) or f"The service refused to {action} the job."
            )
        if not said.keys() & {"id", "success"}:
            raise ServiceUnavailable(f"{self._client.host} gave no clear answer.")

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        """Read the job's download rows. Names that could not become file names are left out and logged."""
        answer = await self._job(remote_id)
        if answer is None:
            raise RemoteNotFound(f"{self._client.host} does not know the job any longer.")
        listed = await off_loop(
            len(answer.body), lambda: read_outputs(_own(answer.object(), remote_id))
        )
        if listed.refused:
            log.warning("adapter.outputs_refused", host=self._client.host, count=listed.refused)
        return listed.outputs

    async def download(
        self, output: RemoteOutput, sink: Sink, archive_password: str | None, progress: Progress
    ) -> None:
        """Fetch one output, without the token."""
        await downloading.fetch(
            self._client, output, sink, archive_password, progress, self._checksums
        )


def _in_maintenance(server: Mapping[str, object]) -> bool:
    """`maintenace` is misspelt on the wire (cloudgene3 `ServerService.getRoot`)."""
    return server.get("maintenace") is True or server.get("maintenance") is True


def _own(job: dict[str, object], remote_id: str) -> dict[str, object]:
    """Give job JSON back if it is about the job that was asked for. Raises `NotSpoken`."""
    if id_of(job) != remote_id:
        raise NotSpoken("The service answered with something else than the job.")
    return job


def _read_rows(
    rows: Sequence[Mapping[str, object]], secrets: Sequence[str]
) -> dict[str, RemoteStatus]:
    """Read rows of the list; one that makes no sense is left out."""
    found: dict[str, RemoteStatus] = {}
    for row in rows:
        with suppress(ServiceUnavailable):
            status = read_job(row, secrets=secrets, from_list=True)
            found[status.remote_id] = status
    return found
