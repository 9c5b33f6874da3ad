"""The adapter of the toy dialect: JSON under `/toy`, a key in a header, files by secret links."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from app.adapters import loose
from app.adapters.answers import Answer, raise_for_status
from app.adapters.archives import store
from app.adapters.base import (
    AdapterError,
    Capabilities,
    Choice,
    Credential,
    CredentialRejected,
    CredentialReport,
    DoubtfulSubmission,
    Health,
    Panel,
    Progress,
    Recognised,
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
from app.adapters.failures import NotSent
from app.adapters.payload import FilePart, MultipartUpload
from app.adapters.text import clean_line
from app.adapters.transport import Transport

STATES = {
    "waiting": RemoteState.WAITING,
    "busy": RemoteState.RUNNING,
    "done": RemoteState.SUCCEEDED,
    "broken": RemoteState.FAILED,
    "stopped": RemoteState.CANCELLED,
    "lost": RemoteState.DEAD,
}
ACTIVE = (RemoteState.WAITING, RemoteState.RUNNING)
PHASINGS = ("toyphase", "none")


class ToyAdapter:
    """An `app.adapters.base.Adapter` for one toy server and one key."""

    kind: ClassVar[str] = "toy"
    capabilities: ClassVar[Capabilities] = Capabilities(
        list_jobs=True, restart=False, archive_password=False
    )

    def __init__(
        self, transport: Transport, endpoint: Endpoint, credential: Credential | None
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._key = credential.token if credential else None

    # Calls ------------------------------------------------------------------------------------------------------------

    async def _call(
        self, method: str, *path: str, auth: bool = True, once: bool = False
    ) -> dict[str, object]:
        """Make a call and give its JSON. Raises what the status stands for."""
        answer = await self._transport.request_json(
            method,
            self._endpoint.at("toy", *path),
            headers=self._auth() if auth else {},
            allow_insecure=self._endpoint.allow_insecure,
            once=once,
        )
        raise_for_status(answer, self._secrets)
        return answer.object()

    def _auth(self) -> dict[str, str]:
        if not self._key:
            raise CredentialRejected(f"{self._endpoint.host} asks for a key.")
        return {"X-Toy-Key": self._key}

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self._key,) if self._key else ()

    # Before a job -----------------------------------------------------------------------------------------------------

    async def verify_credential(self) -> CredentialReport:
        """An invalid key is a report; without any, the server is asked all the same, for it may be down."""
        try:
            await self._call("GET", "jobs", auth=bool(self._key))
        except CredentialRejected as error:
            return CredentialReport(valid=False, message=error.reason)
        return CredentialReport(valid=True)

    async def describe(self) -> ServiceDescription:
        """Read the panels."""
        page = await self._call("GET", "panels")
        return ServiceDescription(
            app_id=None,
            app_version=None,
            server_name=None,
            panels=tuple(_panel(item) for item in loose.dicts(page.get("panels"), 100)),
            builds=("hg19", "hg38"),
            phasings=PHASINGS,
            default_phasing=PHASINGS[0],
            modes=("imputation",),
            options=(),
            dialect="toy1",
        )

    async def health(self) -> Health:
        """Look at the page that is open to all."""
        began = time.perf_counter()
        page = await self._call("GET", auth=False)
        return Health(maintenance=page.get("closed") is True, latency_s=time.perf_counter() - began)

    async def count_active(self) -> int | None:
        """Count the open jobs of the list."""
        return sum(job.state in ACTIVE for job in await self._jobs())

    # A job ------------------------------------------------------------------------------------------------------------

    async def submit(self, submission: Submission, progress: Progress) -> str:
        """Look that everything asked for is offered, then send; every end that is not clear is doubtful."""
        fields = self._form(await self.describe(), submission)
        body = MultipartUpload(
            fields,
            [FilePart("file", item.name, item.path, item.size_bytes) for item in submission.files],
            progress=progress,
            stall_s=self._transport.timeouts.upload_stall_s,
        )
        try:
            answer = await self._transport.upload(
                self._endpoint.at("toy", "jobs"),
                body,
                headers=self._auth(),
                allow_insecure=self._endpoint.allow_insecure,
            )
        except NotSent:
            raise
        except ServiceUnavailable as error:
            raise DoubtfulSubmission(error.reason) from error
        return self._id_in(answer)

    def _form(self, described: ServiceDescription, submission: Submission) -> list[tuple[str, str]]:
        panel = next((item for item in described.panels if item.key == submission.panel_key), None)
        if panel is None:
            raise Rejected(f"Panels: {', '.join(item.key for item in described.panels)}.")
        population = submission.population or "off"
        phasing = {True: PHASINGS[0], False: "none"}.get(submission.phasing is True, "none")
        if isinstance(submission.phasing, str):
            phasing = submission.phasing
        asked = {
            "population": (population, [item.key for item in panel.populations]),
            "build": (submission.build, list(described.builds)),
            "phasing": (phasing, list(described.phasings)),
        }
        for name, (value, offered) in asked.items():
            if value not in offered:
                raise Rejected(f"{name} is one of {', '.join(offered)}.")
        if submission.options:
            raise Rejected("There are no options.")
        chosen = [(name, value) for name, (value, _) in asked.items()]
        return [("name", submission.name), ("panel", panel.key), *chosen]

    def _id_in(self, answer: Answer) -> str:
        try:
            raise_for_status(answer, self._secrets)
            remote_id = answer.object().get("id")
        except ServiceUnavailable as error:
            raise DoubtfulSubmission(error.reason) from error
        if not isinstance(remote_id, str):
            raise DoubtfulSubmission(f"{self._endpoint.host} answered without an id.")
        return remote_id

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        """Search the whole list."""
        oldest = since - timedelta(hours=1)
        found = [
            job
            for job in await self._jobs()
            if job.name == name and (job.submitted_at is None or job.submitted_at >= oldest)
        ]
        return found[::-1]

    async def _jobs(self) -> list[RemoteJob]:
        page = await self._call("GET", "jobs")
        return [
            RemoteJob(
                remote_id=str(item.get("id")),
                name=loose.as_text(item.get("name")),
                submitted_at=loose.as_time(item.get("at")),
                state=STATES.get(str(item.get("state")), RemoteState.UNKNOWN),
            )
            for item in loose.dicts(page.get("jobs"), 10_000)
        ]

    async def status(self, remote_id: str) -> RemoteStatus:
        """A job that is not there is a status."""
        try:
            job = await self._call("GET", "jobs", remote_id)
        except RemoteNotFound:
            return RemoteStatus(remote_id, RemoteState.GONE, "404")
        raw = str(job.get("state"))
        return RemoteStatus(
            remote_id,
            STATES.get(raw, RemoteState.UNKNOWN),
            raw,
            name=loose.as_text(job.get("name")),
            reason=clean_line(job.get("reason"), secrets=self._secrets) or None,
        )

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        """One call for all; the list says no reasons."""
        return {
            job.remote_id: RemoteStatus(job.remote_id, job.state, job.state, detailed=False)
            for job in await self._jobs()
            if job.remote_id in remote_ids
        }

    async def cancel(self, remote_id: str) -> None:
        """Ask to stop; a job that has ended stays as it is."""
        await self._call("POST", "jobs", remote_id, "stop", once=True)

    async def restart(self, remote_id: str) -> None:
        """There is no such call."""
        raise Rejected(f"{self._endpoint.host} starts no job ({remote_id}) again.")

    # Results ----------------------------------------------------------------------------------------------------------

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        """List the files; links are secrets."""
        page = await self._call("GET", "jobs", remote_id, "files")
        return [
            RemoteOutput(
                key=str(item["name"]),
                name=str(item["name"]),
                role="result",
                address=str(item["link"]),
            )
            for item in loose.dicts(page.get("files"), 1000)
        ]

    async def download(
        self, output: RemoteOutput, sink: Sink, archive_password: str | None, progress: Progress
    ) -> None:
        """Fetch a file by its link, without the key. `archive_password` has no meaning here."""
        url = self._endpoint.at("toy", "files", output.address)
        allow = self._endpoint.allow_insecure
        async with self._transport.stream_get(url, allow_insecure=allow) as download:
            raise_for_status(download.answer, (archive_password or "",))
            size = await store(download.chunks, sink, output.name)
        progress(size)


def _panel(item: Mapping[str, object]) -> Panel:
    key = str(item.get("key"))
    populations = [str(word) for word in loose.as_list(item.get("populations"))]
    return Panel(
        key=key,
        name=clean_line(item.get("name")) or key,
        populations=tuple(Choice(word, word.upper()) for word in populations),
        version=loose.as_text(item.get("version")),
    )


def open_adapter(
    transport: Transport,
    base_url: str,
    config: Mapping[str, object],
    credential: Credential | None,
) -> ToyAdapter:
    """Make the adapter. Raises `ValueError` for a base URL that cannot be used."""
    allow = config.get("allow_insecure") is True
    return ToyAdapter(transport, Endpoint.parse(base_url, allow_insecure=allow), credential)


async def recognise(
    transport: Transport, base_url: str, *, allow_insecure: bool, credential: Credential | None
) -> Recognised | None:
    """Say whether a toy server answers at the address; with a key, its panels too."""
    endpoint = Endpoint.parse(base_url, allow_insecure=allow_insecure)
    answer = await transport.request_json("GET", endpoint.at("toy"), allow_insecure=allow_insecure)
    try:
        page = answer.object() if answer.status == 200 else {}
    except ServiceUnavailable:
        page = {}
    if "toy" not in page:
        return None
    panels: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ("Give a key to see its panels.",)
    if credential is not None:
        try:
            panels = (await ToyAdapter(transport, endpoint, credential).describe()).panels
            notes = ()
        except AdapterError as error:
            notes = (error.reason,)
    return Recognised(
        api_type="toy",
        base_url=endpoint.root,
        name=clean_line(page.get("name")) or None,
        credential_kind="token",
        dialect=f"toy{clean_line(page['toy'])}",
        panels=panels,
        notes=notes,
    )
