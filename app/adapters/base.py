"""What every adapter offers, and what it is given.

An adapter speaks one dialect of one remote imputation service with one credential. It knows no database, no user and no
settings. It is opened for a (service, credential) pair by `app.adapters.registry` and is cheap to make: all
connections belong to the shared `app.adapters.transport.Transport`.

Errors are classified once, here; the engine decides by class alone:

AdapterError
├── ServiceUnavailable   no answer, 5xx, maintenance, garbage: hold, back off, look again
│   └── DoubtfulSubmission   the request may have been taken: search by name before sending again
├── Rejected             the service understood and refused: do not retry
├── CredentialRejected   the credential is missing, expired, revoked, or not allowed
├── RemoteNotFound       the service does not know this job or file (any longer)
├── QuotaFull            the account has as many remote jobs as it may: hold
├── DownloadsExhausted   the service will not hand this file out again
├── SearchInconclusive   nothing was found, and that proves nothing: a person has to decide
└── UntrustedAddress     the address guard refused to connect there
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

from app.core.remote import RemoteMessage, RemoteState, RemoteStatus

# Given on to whoever writes an adapter: the words of core that belong to this interface.
__all__ = ["RemoteMessage", "RemoteState", "RemoteStatus"]


class AdapterError(Exception):
    """Base of all adapter failures. `reason` is cleaned, redacted, plain text that a user may read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ServiceUnavailable(AdapterError):
    """Raised when nothing can be concluded: no answer, 5xx, maintenance, or an answer that makes no sense.

    `maintenance` is true where the service says so itself. `retry_after_s` is its own wish in seconds.
    """

    def __init__(
        self, reason: str, *, maintenance: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(reason)
        self.maintenance = maintenance
        self.retry_after_s = retry_after_s


class DoubtfulSubmission(ServiceUnavailable):
    """Raised by `submit` when the body may have reached the service whole but no clear answer came back."""


class Rejected(AdapterError):
    """Raised when the service understood the request and refused it for good."""


class CredentialRejected(AdapterError):
    """Raised when the service does not accept the credential (any longer)."""


class RemoteNotFound(AdapterError):
    """Raised when the service does not know the job or file (any longer)."""


class QuotaFull(AdapterError):
    """Raised when the account has as many jobs at the service as it may have."""


class DownloadsExhausted(AdapterError):
    """Raised when the service's download counter for a file is used up."""


class SearchInconclusive(AdapterError):
    """Raised by `find_by_name` when nothing was found and the service cannot show all jobs of the account.

    Then nothing may be sent again by itself (contracts of WES servers that neither list open runs nor keep tags).
    """


class UntrustedAddress(AdapterError):
    """Raised when an address is private, loopback, link-local or metadata and not allowed by settings."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A decrypted secret, alive only inside the step that calls the service."""

    token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CredentialReport:
    """The service's own word about a credential."""

    valid: bool
    account_name: str | None = None
    expires_at: datetime | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a form field takes: `key` is submitted, `label` is shown (plain text)."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A reference panel as the service lists it. `builds` is empty where the service does not tell."""

    key: str
    name: str
    populations: tuple[Choice, ...] = ()
    builds: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One field of the service's own form beyond the common ones."""

    id: str
    kind: str
    """`choice`, `checkbox`, `text` or `number`."""
    label: str
    default: str | None = None
    choices: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceDescription:
    """What a service offers, read live. `warnings` are for its administrator: what does not fit its configuration."""

    app_id: str | None
    app_version: str | None
    server_name: str | None
    panels: tuple[Panel, ...]
    builds: tuple[str, ...]
    phasings: tuple[str, ...]
    """Phasing keys as the form lists them, the one meaning «none» included."""
    default_phasing: str | None
    modes: tuple[str, ...]
    options: tuple[Option, ...]
    """Everything else that the form lists, e.g. `r2Filter`, `meta`."""
    dialect: str | None = None
    """Which of the known servers answers, where one api_type has several."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a dialect sees at an address where a service of its kind answers: a proposal for an administrator to confirm.

    `api_config` and `panels` are as far as they can be told (without a credential, some servers show little); `notes` says, for a
    person, what could not be read and what to fill in.
    """

    api_type: str
    base_url: str
    name: str | None
    credential_kind: str
    """`none`, `token` or `password`."""
    dialect: str | None = None
    version: str | None = None
    apps: tuple[Choice, ...] = ()
    panels: tuple[Panel, ...] = ()
    builds: tuple[str, ...] = ()
    api_config: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """One cheap look at a service. `queue_length` where it tells."""

    maintenance: bool
    latency_s: float
    queue_length: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class InputFile:
    """A stored input file; `name` is the plain, unique, ASCII name under which it travels.

    `url` is a signed link to it that ends in `name`, with its index beside it (`url` + `.tbi`), for services that fetch their
    input (`Capabilities.input_links`); it is a secret and ends with the job.
    """

    path: Path
    name: str
    size_bytes: int
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Submission:
    """A job in the platform's words. The adapter maps them to what the service's form lists.

    `name` is the unique remote name by which a lost answer is found again. `archive_password` protects the results.
    `phasing` is a bool (the service's default engine, or none) or the name of an engine.
    """

    name: str
    files: tuple[InputFile, ...]
    panel_key: str
    build: str
    phasing: bool | str
    population: str | None
    mode: str | None
    archive_password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    samplesheet_url: str | None = field(default=None, repr=False)
    """A signed link to a CSV `sample,vcf` of the input links, where `Capabilities.input_links`."""
    upload_url: str | None = field(default=None, repr=False)
    """A signed address, ending in `/`, under which the remote work may PUT results, where `Capabilities.upload_links`."""


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """A row of the service's own list, enough to recognise a job of ours."""

    remote_id: str
    name: str | None
    submitted_at: datetime | None
    state: RemoteState


@dataclass(frozen=True, slots=True)
class RemoteOutput:
    """One downloadable thing at the remote. `key` is stable within the job; `address` is secret (a bearer link).

    `role` is `result`, `qc` or `log`. `downloads_left` is the remote's counter, None where unlimited or untold.
    `archive` is true where the download is an (encrypted) archive whose members are the files to keep.
    `md5` is the checksum that the remote publishes for the download, where it does; `md5_address` is where it stands
    when it has to be downloaded itself (`download` sees to that); `sha1` and `size_bytes` likewise, where published.
    `held_at` says, for people, where a file lies that cannot be fetched (a path at the service): then `address` is empty
    and the job completes with that file held at the service.
    """

    key: str
    name: str
    role: str
    address: str = field(repr=False)
    archive: bool = False
    downloads_left: int | None = None
    md5: str | None = None
    md5_address: str | None = field(default=None, repr=False)
    sha1: str | None = None
    size_bytes: int | None = None
    held_at: str | None = None


class OutputFile(Protocol):
    """A file being received. All methods block and are called from one worker thread."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises `app.core.errors.StorageFull`."""

    def finish(self) -> None:
        """The file is whole: keep it."""


class Sink(Protocol):
    """Where a download puts its files, called from one worker thread at a time.

    Nothing that was opened counts until `download` returned; the owner of the sink throws all away otherwise.
    """

    def open(self, name: str) -> OutputFile:
        """Begin a file. `name` was checked by the adapter: relative, no `..`, no control characters."""


Progress = Callable[[int], None]
"""Told the number of bytes moved so far; cheap, called from the event loop."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the engine may count on for a dialect."""

    list_jobs: bool
    """`status_many` and `find_by_name` see all jobs of the account with one bounded series of calls."""
    restart: bool
    archive_password: bool
    """The service takes a password for result archives."""
    input_links: bool = False
    """The service fetches its input: `InputFile.url` (and `Submission.samplesheet_url`) must be given."""
    upload_links: bool = False
    """The remote work pushes results: `Submission.upload_url` must be given."""
    needs_results: bool = True
    """A job that succeeded lists results sooner or later; false where an empty list is an answer."""
    searches: int = 2
    """How many empty searches, `FIP_RECOVERY_WAIT_S` apart, allow to send a job again."""
    lost_after_s: float = 900.0
    """A job that the service itself has not known for so long (state MISSING) is lost."""
    cancel_wait_s: float = 7 * 86_400.0
    """A job that goes on for so long after a cancel was taken is cancelled here only."""


class Adapter(Protocol):
    """One dialect, bound to one service and one credential. Every method may raise any `AdapterError`."""

    kind: ClassVar[str]

    @property
    def capabilities(self) -> Capabilities:
        """What this service, as it is configured, allows."""

    async def verify_credential(self) -> CredentialReport:
        """Ask the service about the credential. An invalid one is a report, not an exception."""

    async def describe(self) -> ServiceDescription:
        """Read apps, panels, populations, and options live."""

    async def health(self) -> Health:
        """Make the cheapest call that shows whether the service works. Needs no credential where possible."""

    async def count_active(self) -> int | None:
        """Give the number of the account's jobs that use its quota now; None where it cannot be told."""

    async def submit(self, submission: Submission, progress: Progress) -> str:
        """Send the job; give the remote id.

        Raises `DoubtfulSubmission` whenever the service may have accepted it, `ServiceUnavailable` only when it surely
        has not, `QuotaFull`, `Rejected`, `CredentialRejected`.
        """

    async def find_by_name(self, name: str, since: datetime) -> Sequence[RemoteJob]:
        """Give the account's jobs of that name, newest first, submitted after `since` minus an hour of clock skew.

        Raises `SearchInconclusive` when nothing was found where not all jobs can be seen.
        """

    async def status(self, remote_id: str) -> RemoteStatus:
        """Look at one job in detail.

        A job that is not there is a status `GONE`, or `MISSING` where the service cannot be taken at its word, not an exception.
        """

    async def status_many(self, remote_ids: Sequence[str]) -> Mapping[str, RemoteStatus]:
        """Look at many jobs of the account with as few calls as possible; ids that were not seen are left out."""

    async def cancel(self, remote_id: str) -> None:
        """Ask for cancellation. Returning says that the request was taken, not that the job has stopped."""

    async def restart(self, remote_id: str) -> None:
        """Ask the service to start a DEAD job again. Raises `Rejected` where it cannot."""

    async def outputs(self, remote_id: str) -> Sequence[RemoteOutput]:
        """List what can be downloaded now. Makes no download and costs no counter."""

    async def download(
        self, output: RemoteOutput, sink: Sink, archive_password: str | None, progress: Progress
    ) -> None:
        """Fetch one output exactly once into the sink, decrypted and unpacked where it is an archive.

        Raises `RemoteNotFound`, `DownloadsExhausted`, `ServiceUnavailable` (also when the body was cut),
        `Rejected` for an archive that cannot be opened or breaks a limit (zip-slip, bomb, wrong password).
        """
