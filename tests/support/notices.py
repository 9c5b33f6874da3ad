"""Jobs for the tests of notices, e-mails and events: as records, and as rows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from app.core.jobs import Status
from app.core.models import Job
from app.core.notices import CREDENTIAL_EVENTS, NoticeEvent
from app.db.engine import find_job
from app.db.queries import Executor

JOB_EVENTS = [event for event in NoticeEvent if event not in CREDENTIAL_EVENTS]
NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


def make_job(**changes: Any) -> Job:
    """Give a queued job; `changes` are its fields."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "user_id": 1,
        "name": "chr20 of my cohort",
        "description": "",
        "status": Status.QUEUED,
        "stage": None,
        "hold_reason": None,
        "progress_percentage": 0,
        "service_id": 1,
        "account_id": 1,
        "reference_panel_id": None,
        "panel_key": "p",
        "panel_name": "Panel",
        "input_format": "vcf",
        "build": "hg38",
        "phasing": True,
        "phasing_engine": None,
        "population": None,
        "options": {},
        "input_file_id": None,
        "results_file_id": None,
        "error_code": None,
        "error_message": None,
        "error_action": None,
        "priority": 0,
        "retry_of": None,
        "batch_id": None,
        "warnings": [],
        "remote_name": "fip-1",
        "external_job_id": None,
        "remote_state": None,
        "remote_step": None,
        "queue_position": None,
        "archive_secret": b"",
        "archive_secret_key_id": "k",
        "results_expire_at": None,
        "outcome": None,
        "next_action": None,
        "next_action_at": None,
        "step_number": 0,
        "failures": 0,
        "has_slot": False,
        "intent_at": None,
        "searches": 0,
        "unclear_answers": [],
        "cancel_requested_at": None,
        "notified_waiting_at": None,
        "created_at": NOW,
        "updated_at": NOW,
        "started_at": None,
        "submitted_at": None,
        "completed_at": None,
    }
    return Job(**{**values, **changes})


async def add_service(db: Executor, name: str = "Example Server") -> tuple[int, int]:
    """Insert a service with an account that all share; give both ids."""
    service_id: int = await db.fetchval(
        "insert into services (slug, name, api_type, base_url) values ($1, $2, 'michigan', 'https://impute.example')"
        " returning id",
        f"s-{uuid4().hex[:8]}",
        name,
    )
    account_id: int = await db.fetchval(
        "insert into service_accounts (service_id) values ($1) returning id", service_id
    )
    return service_id, account_id


async def add_job(
    db: Executor, user_id: int, service: tuple[int, int], *, name: str = "chr20 of my cohort"
) -> UUID:
    """Insert a queued job; give its id."""
    job_id: UUID = await db.fetchval(
        "insert into imputation_jobs (user_id, name, status, service_id, account_id, panel_key, panel_name, build, phasing,"
        " remote_name, archive_secret, archive_secret_key_id)"
        " values ($1, $2, 'queued', $3, $4, 'p', 'Panel', 'hg38', true, $5, '', 'k') returning id",
        user_id,
        name,
        *service,
        uuid4().hex,
    )
    return job_id


async def add_update(
    db: Executor,
    user_id: int,
    job_id: UUID,
    status: str = "running",
    progress: int = 20,
    message: str = "Job in progress",
) -> int:
    """Move a job and write its status update; give the update's id. Listeners are told."""
    final = status in ("completed", "failed", "cancelled")
    await db.execute(
        "update imputation_jobs set status = $2, progress_percentage = $3,"
        " completed_at = case when $4 then now() end where id = $1",
        job_id,
        status,
        progress,
        final,
    )
    update_id: int = await db.fetchval(
        "insert into job_status_updates (job_id, user_id, status, progress_percentage, message)"
        " values ($1, $2, $3, $4, $5) returning id",
        job_id,
        user_id,
        status,
        progress,
        message,
    )
    return update_id


async def add_results(db: asyncpg.Pool, user_id: int, job_id: UUID, size_bytes: int = 1234) -> int:
    """Insert a results archive for a job; give the file's id."""
    file_id: int = await db.fetchval(
        "insert into files (user_id, kind, name, size_bytes) values ($1, 'archive', 'results of é.zip', $2) returning id",
        user_id,
        size_bytes,
    )
    await db.execute(
        "update imputation_jobs set results_file_id = $2 where id = $1", job_id, file_id
    )
    return file_id


async def get_job(db: Executor, job_id: UUID) -> Job:
    """Give a job as it stands."""
    job = await find_job(db, job_id)
    assert job is not None
    return job
