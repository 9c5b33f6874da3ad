"""Jobs and what belongs to them, as clients see them."""

from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from app.core.jobs import Stage, Status
from app.core.models import Job
from app.db.jobs import JobDetail, PlacedFile
from app.usecases.jobs import JobLog
from app.usecases.results import Results


class InputFileOut(msgspec.Struct, frozen=True, kw_only=True):
    """An input file of a job; `size` in bytes."""

    id: int
    name: str
    size: int
    sha256: str | None


class JobOut(msgspec.Struct, frozen=True, kw_only=True):
    """A job. `execution_time_seconds` counts from when a worker took it, live while it is open.

    `results_held` counts the results that stayed at the service.
    """

    id: UUID
    user_id: int
    name: str
    description: str
    status: Status
    stage: Stage | None
    hold_reason: str | None
    progress_percentage: int
    service_id: int
    reference_panel_id: int | None
    panel_key: str
    panel_name: str
    panel_version: str | None
    """As it was when the job was submitted, like key and name; null where the service does not tell."""
    input_format: str
    build: str
    phasing: bool
    phasing_engine: str | None
    population: str | None
    options: dict[str, str]
    input_file_id: int | None
    input_file_name: str | None
    input_files: list[InputFileOut]
    results_file_id: int | None
    results_held: int
    external_job_id: str | None
    error_code: str | None
    error_message: str | None
    error_action: str | None
    queue_position: int | None
    retry_of: UUID | None
    batch_id: UUID | None
    warnings: list[str]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    execution_time_seconds: float | None

    @classmethod
    def of(cls, detail: JobDetail, now: datetime) -> "JobOut":
        """Show a job as it is `now`."""
        job = detail.job
        own = dict(zip(_SHOWN, _read_shown(job), strict=True))
        running = None
        if job.started_at is not None:
            ran = (job.completed_at or now) - job.started_at
            running = round(max(0.0, ran.total_seconds()), 1)
        files = [
            InputFileOut(
                id=file.file_id, name=file.shown_name, size=file.size_bytes, sha256=file.sha256
            )
            for file in detail.inputs
        ]
        return cls(
            **own,
            input_file_name=files[0].name if files else None,
            input_files=files,
            execution_time_seconds=running,
        )


_SHOWN = tuple({field.name for field in fields(Job)}.intersection(JobOut.__struct_fields__))
_read_shown = attrgetter(*_SHOWN)


class StatusUpdateOut(msgspec.Struct, frozen=True, kw_only=True):
    """One change in a job's life."""

    id: int
    job_id: UUID
    status: Status
    stage: Stage | None
    progress_percentage: int
    message: str
    timestamp: datetime


class JobFileOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file in its place in a job; `size` in bytes. `download_url` needs the owner's sign-in."""

    file_id: int
    role: Literal["input", "result", "qc", "log", "archive"]
    name: str
    size: int
    sha256: str | None
    content_type: str
    download_url: str
    created_at: datetime

    @classmethod
    def of(cls, file: PlacedFile, base_url: str) -> "JobFileOut":
        """Show a file; links begin with `base_url`."""
        return msgspec.convert(
            {
                "file_id": file.file_id,
                "role": file.role,
                "name": file.shown_name if file.role == "input" else file.name,
                "size": file.size_bytes,
                "sha256": file.sha256,
                "content_type": file.content_type,
                "download_url": f"{base_url}/files/{file.file_id}/download",
                "created_at": file.created_at,
            },
            cls,
        )


class HeldFileOut(msgspec.Struct, frozen=True, kw_only=True):
    """A result that stayed at the service; `held_at` says where, in the service's own words. `size_bytes` where it is known."""

    name: str
    held_at: str
    size_bytes: int | None


class ResultsOut(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a job. `download_url` is a signed link to the ZIP of all; `files` are its members.

    `held_files` could not be fetched. Where that is all of them there is no ZIP, and what tells of it is null.
    """

    job_id: UUID
    job_name: str
    file_id: int | None
    filename: str | None
    file_size: int | None
    download_url: str | None
    created_at: datetime | None
    message: str
    files: list[JobFileOut]
    held_files: list[HeldFileOut]

    @classmethod
    def of(cls, found: Results, url: str | None, base_url: str) -> "ResultsOut":
        """Show results whose archive, if there is one, is at `url`."""
        archive = found.archive
        return cls(
            job_id=found.job.id,
            job_name=found.job.name,
            file_id=archive.id if archive else None,
            filename=archive.name if archive else None,
            file_size=archive.size_bytes if archive else None,
            download_url=url,
            created_at=archive.created_at if archive else None,
            message="Results ready for download" if archive else "Results are ready at the service",
            files=[JobFileOut.of(file, base_url) for file in found.files],
            held_files=[
                HeldFileOut(name=file.name, held_at=file.held_at, size_bytes=file.size_bytes)
                for file in found.held
            ],
        )


class LogLineOut(msgspec.Struct, frozen=True, kw_only=True):
    """A line about a step. `level` is ok, warning, error or running."""

    step: str
    level: str
    text: str


class JobLogOut(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job stands where it stands, what to do about it, and what was said on the way."""

    job_id: UUID
    status: Status
    stage: Stage | None
    reason: str | None
    action: str | None
    remote_state: str | None
    messages: list[LogLineOut]

    @classmethod
    def of(cls, log: JobLog) -> "JobLogOut":
        """Show a log."""
        job = log.job
        return cls(
            job_id=job.id,
            status=job.status,
            stage=job.stage,
            reason=job.error_message or job.hold_reason,
            action=job.error_action,
            remote_state=job.remote_state,
            messages=[
                LogLineOut(step=item.step, level=item.level, text=item.text)
                for item in log.messages
            ],
        )


class CancelOut(msgspec.Struct, frozen=True, kw_only=True):
    """The request was taken; the job ends when the service has confirmed."""

    message: str
    job_id: UUID


class AdoptIn(msgspec.Struct, frozen=True, kw_only=True):
    """The id of a run, as the service shows it."""

    external_job_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
