"""A remote service in memory behind the adapter's interface, for tests that stop the engine between any two of its lines."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from app.adapters.base import (
    AdapterError,
    Capabilities,
    Credential,
    CredentialRejected,
    CredentialReport,
    Health,
    Progress,
    QuotaFull,
    RemoteJob,
    RemoteNotFound,
    RemoteOutput,
    RemoteState,
    RemoteStatus,
    SearchInconclusive,
    ServiceDescription,
    Sink,
    Submission,
)

LISTS = Capabilities(list_jobs=True, restart=True, archive_password=True)
ACTIVE = (RemoteState.WAITING, RemoteState.RUNNING)
RESULTS = {
    "qc_report.txt": b"all is well",
    "chr20.dose.vcf.gz": b"dosages " * 100,
    "chr20.info.gz": b"info",
}


@dataclass(slots=True)
class FakeJob:
    """A job as the service has it."""

    id: str
    name: str
    owner: str
    submitted_at: datetime
    state: RemoteState = RemoteState.WAITING
    files: dict[str, bytes] = field(default_factory=lambda: dict(RESULTS))
    progress: float | None = None
    step: str | None = None
    position: int | None = None
    reason: str | None = None
    expires_at: datetime | None = None


@dataclass(slots=True)
class FakeService:
    """The service. `gate` is called before and after each call, and may raise; `errors` gives the next calls of a name errors.

    `meanwhile` happens once while the service is being asked; `tokens` names the account of each token that is accepted.
    """

    now: Callable[[], datetime]
    tokens: dict[str, str] = field(default_factory=lambda: {"a-token-of-the-user": "researcher"})
    jobs: list[FakeJob] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    downloads: Counter[str] = field(default_factory=Counter)
    left: dict[str, int] = field(default_factory=dict)
    errors: dict[str, list[AdapterError | None]] = field(default_factory=dict)
    down: AdapterError | None = None
    quota: int | None = None
    restarts: bool = True
    capabilities: Capabilities = LISTS
    submissions: list[Submission] = field(default_factory=list)
    hides_jobs: bool = False
    """It cannot be searched: what is not found may be there."""
    held: dict[str, str] = field(default_factory=dict)
    """Files of every job that cannot be fetched, and where they lie."""
    gate: Callable[[str, bool], None] = lambda _name, _after: None
    meanwhile: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)

    def find(self, remote_id: str | None) -> FakeJob | None:
        return next((job for job in self.jobs if job.id == remote_id), None)

    def get(self, remote_id: str | None) -> FakeJob:
        """Give a job that is there."""
        job = self.find(remote_id)
        assert job is not None, remote_id
        return job

    async def enter(self, name: str) -> None:
        """Begin a call."""
        self.gate(name, False)
        self.calls[name] += 1
        if (act := self.meanwhile.pop(name, None)) is not None:
            await act()
        if self.down is not None:
            raise self.down
        if (queue := self.errors.get(name)) and (error := queue.pop(0)) is not None:
            raise error

    def finish(self, states: Sequence[RemoteState] = ACTIVE) -> None:
        """Let every active job succeed."""
        for job in self.jobs:
            if job.state in states:
                job.state = RemoteState.SUCCEEDED


class FakeAdapter:
    """The service for one credential."""

    kind: ClassVar[str] = "michigan"

    def __init__(self, service: FakeService, credential: Credential | None) -> None:
        self._service = service
        self._owner = service.tokens.get(credential.token or "") if credential else "anybody"

    @property
    def capabilities(self) -> Capabilities:
        return self._service.capabilities

    def _mine(self) -> list[FakeJob]:
        if self._owner is None:
            raise CredentialRejected("The token is not known")
        return [job for job in self._service.jobs if job.owner == self._owner]

    async def verify_credential(self) -> CredentialReport:
        await self._service.enter("verify_credential")
        self._service.gate("verify_credential", True)
        return CredentialReport(valid=self._owner is not None, message="The token is not known")

    async def describe(self) -> ServiceDescription:
        raise NotImplementedError

    async def health(self) -> Health:
        await self._service.enter("health")
        return Health(maintenance=False, latency_s=0.01)

    async def count_active(self) -> int | None:
        await self._service.enter("count_active")
        return sum(job.state in ACTIVE for job in self._mine())

    async def submit(self, submission: Submission, progress: Progress) -> str:
        service = self._service
        await service.enter("submit")
        mine = self._mine()
        if service.quota is not None and sum(job.state in ACTIVE for job in mine) >= service.quota:
            raise QuotaFull(f"Only {service.quota} jobs per user can be executed simultaneously.")
        progress(sum(item.size_bytes for item in submission.files))
        service.submissions.append(submission)
        number = len(service.jobs) + 1
        made = FakeJob(f"job-{number:04}", submission.name, self._owner or "", service.now())
        service.jobs.append(made)
        service.gate("submit", True)
        return made.id

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        await self._service.enter("find_by_name")
        if self._service.hides_jobs:
            self._service.gate("find_by_name", True)
            raise SearchInconclusive("not all jobs are shown")
        found = [
            RemoteJob(job.id, job.name, job.submitted_at, job.state)
            for job in reversed(self._mine())
            if job.name == name and job.submitted_at > since - timedelta(hours=1)
        ]
        self._service.gate("find_by_name", True)
        return found

    async def status(self, remote_id: str) -> RemoteStatus:
        await self._service.enter("status")
        job = next((job for job in self._mine() if job.id == remote_id), None)
        self._service.gate("status", True)
        return _status(job) if job else RemoteStatus(remote_id, RemoteState.GONE, "404")

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        await self._service.enter("status_many")
        found = {job.id: _status(job) for job in self._mine() if job.id in remote_ids}
        self._service.gate("status_many", True)
        return found

    async def cancel(self, remote_id: str) -> None:
        await self._service.enter("cancel")
        job = next((job for job in self._mine() if job.id == remote_id), None)
        if job is None:
            raise RemoteNotFound("Job not found.")
        if job.state in ACTIVE:
            job.state = RemoteState.CANCELLED
        self._service.gate("cancel", True)

    async def restart(self, remote_id: str) -> None:
        await self._service.enter("restart")
        job = self._service.find(remote_id)
        if job is not None and job.state is RemoteState.DEAD and self._service.restarts:
            job.state = RemoteState.WAITING

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        service = self._service
        await service.enter("outputs")
        job = service.find(remote_id)
        if job is None:
            raise RemoteNotFound("Job not found.")
        service.gate("outputs", True)
        return [
            RemoteOutput(
                key=f"output/{name}",
                name=name,
                role="qc" if name.endswith(".txt") else "result",
                address=f"{remote_id}/{name}",
                downloads_left=service.left.get(name),
            )
            for name in job.files
        ] + [
            RemoteOutput(key=f"held/{name}", name=name, role="result", address="", held_at=place)
            for name, place in service.held.items()
        ]

    async def download(
        self, output: RemoteOutput, sink: Sink, archive_password: str | None, progress: Progress
    ) -> None:
        service = self._service
        service.downloads[output.address] += 1
        if output.name in service.left:
            service.left[output.name] -= 1
        await service.enter("download")
        job = service.get(output.address.partition("/")[0])
        assert archive_password
        file = sink.open(output.name)
        file.write(job.files[output.name])
        file.finish()
        progress(len(job.files[output.name]))
        service.gate("download", True)


def _status(job: FakeJob) -> RemoteStatus:
    return RemoteStatus(
        remote_id=job.id,
        state=job.state,
        raw=job.state.value,
        name=job.name,
        progress=job.progress,
        step=job.step,
        queue_position=job.position,
        reason=job.reason,
        results_expire_at=job.expires_at,
    )
