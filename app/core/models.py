"""The platform's nouns as frozen records, shaped like their rows. `build` makes one from any mapping with its columns."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, TypeVar, cast, get_args
from uuid import UUID

from app.core.jobs import TERMINAL, Action, Stage, Status


class Row(Protocol):
    """Anything that gives a column by name, such as an asyncpg record."""

    def __getitem__(self, name: str, /) -> Any: ...


T = TypeVar("T")


def _enum_of(hint: object) -> type[StrEnum] | None:
    for candidate in (hint, *get_args(hint)):
        if isinstance(candidate, type) and issubclass(candidate, StrEnum):
            return candidate
    return None


@cache
def _plan(cls: Any) -> tuple[tuple[str, type[StrEnum] | None], ...]:
    return tuple((item.name, _enum_of(item.type)) for item in fields(cls))


def build(cls: type[T], row: Row) -> T:
    """Make a record from a row; columns named like fields are taken, words become enum members."""
    plan = _plan(cast("Any", cls))
    return cls(*[row[name] if enum is None else _word(enum, row[name]) for name, enum in plan])


def _word(enum: type[StrEnum], value: str | None) -> StrEnum | None:
    return None if value is None else enum(value)


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account."""

    id: int
    username: str
    email: str | None
    pending_email: str | None
    full_name: str | None
    institution: str | None
    country: str | None
    role: str
    password_hash: str = field(repr=False)
    token_version: int
    is_active: bool
    notification_preferences: dict[str, Any]
    created_at: datetime
    last_login_at: datetime | None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class Service:
    """A remote imputation service. `api_config` holds no secret; `live_form` is what was last read from the service.

    `maintenance` is an administrator's word: its jobs are held. `health_failures` counts looks that failed in a row.
    """

    id: int
    slug: str
    name: str
    description: str
    api_type: str
    base_url: str
    location: str | None
    country: str | None
    supported_builds: list[str]
    credential_kind: str
    credential_policy: str
    shared_with: dict[str, Any]
    shared_secret: bytes | None = field(repr=False)
    shared_secret_key_id: str | None
    allow_insecure: bool
    api_config: dict[str, Any]
    is_active: bool
    poll_interval_s: float
    wait_limit_s: float
    max_remote_jobs: int | None
    health: str
    health_message: str | None
    health_checked_at: datetime | None
    latency_ms: float | None
    live_form: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    institution: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    maintenance: bool = False
    maintenance_message: str | None = None
    health_failures: int = 0
    description_read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A reference panel of a service. `populations` are `{key, label}` objects; empty `builds` means untold.

    `retired_at`: the service listed it until then; a later version of its key, or none, took its place.
    """

    id: int
    service_id: int
    key: str
    name: str
    populations: list[dict[str, str]]
    builds: list[str]
    version: str | None
    is_active: bool
    source: str
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A user's encrypted credential for a service."""

    id: int
    user_id: int
    service_id: int
    label: str
    credential_type: str
    secret: bytes = field(repr=False)
    secret_key_id: str
    origin: str
    is_active: bool
    is_verified: bool
    verified_at: datetime | None
    account_name: str | None
    expires_at: datetime | None
    rejected_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class File:
    """A stored file, or (`kind` archive, without storage key) a ZIP made on the fly from a job's result files."""

    id: int
    user_id: int
    kind: str
    name: str
    storage_key: str | None
    size_bytes: int
    sha256: str | None
    crc32: int | None
    content_type: str
    facts: dict[str, Any] | None
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file in its place in a job."""

    job_id: UUID
    file_id: int
    role: str
    name: str
    position: int
    size_bytes: int
    sha256: str | None
    crc32: int | None
    storage_key: str | None
    content_type: str


@dataclass(frozen=True, slots=True)
class Job:
    """An imputation job, whole: what its owner sees and what the engine needs."""

    id: UUID
    user_id: int
    name: str
    description: str
    status: Status
    stage: Stage | None
    hold_reason: str | None
    progress_percentage: int
    service_id: int
    account_id: int
    reference_panel_id: int | None
    panel_key: str
    panel_name: str
    input_format: str
    build: str
    phasing: bool
    phasing_engine: str | None
    population: str | None
    options: dict[str, str]
    input_file_id: int | None
    results_file_id: int | None
    results_held: int
    error_code: str | None
    error_message: str | None
    error_action: str | None
    priority: int
    retry_of: UUID | None
    batch_id: UUID | None
    warnings: list[str]
    """What the owner should know of a job that was accepted all the same."""
    remote_name: str
    external_job_id: str | None
    remote_state: str | None
    remote_step: str | None
    queue_position: int | None
    archive_secret: bytes = field(repr=False)
    archive_secret_key_id: str
    results_expire_at: datetime | None
    outcome: str | None
    next_action: Action | None
    next_action_at: datetime | None
    step_number: int
    failures: int
    has_slot: bool
    intent_at: datetime | None
    searches: int
    doubts: int
    unclear_answers: list[str]
    """What was said each time it was unclear whether the remote had the job, and it had not."""
    missing_since: datetime | None
    cancel_requested_at: datetime | None
    cancel_taken_at: datetime | None
    notified_waiting_at: datetime | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    submitted_at: datetime | None
    completed_at: datetime | None
    panel_version: str | None = None

    @property
    def is_final(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Batch:
    """The jobs that were made of one upload; how it stands follows from them (`app.core.batches`)."""

    id: UUID
    user_id: int
    name: str
    description: str
    retry_of: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """One change in a job's life."""

    id: int
    job_id: UUID
    user_id: int
    status: Status
    stage: Stage | None
    progress_percentage: int
    message: str
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class Notification:
    """A notice on the web page."""

    id: int
    user_id: int
    job_id: UUID | None
    type: str
    title: str
    message: str
    data: dict[str, Any]
    channels: list[str]
    is_read: bool
    created_at: datetime
