"""Fetching one thing that the remote offers, and counting how often that was tried: the remote counts too, and ends it at ten."""

import asyncio
from collections.abc import Sequence

import structlog

from app.adapters.base import (
    AdapterError,
    DownloadsExhausted,
    Rejected,
    RemoteNotFound,
    RemoteOutput,
)
from app.core.models import Job
from app.db.engine import ENGINE
from app.usecases.deps import Deps
from app.usecases.engine.remote import Remote
from app.usecases.engine.rescue import keep_output
from app.usecases.results import StoreSink

log = structlog.get_logger(__name__)

TRIES_IN_A_ROW = 4
MAX_TRIES = 7
"""Of one file. A server allows ten downloads (cloudgene3 CloudgeneJob.MAX_DOWNLOAD): some are left for its user."""


class Unreadable(Exception):
    """Raised when a result came whole and is not what it should be: an archive that does not open, or breaks a limit."""

    def __init__(self, reason: str, *, tries: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.tries = tries


class TriedTooOften(Exception):
    """Raised when a file was tried to be fetched as often as is wise for now; `is_final` when it was the last time."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


async def note_offer(deps: Deps, job: Job, outputs: Sequence[RemoteOutput]) -> dict[str, int]:
    """Remember what the remote offers; give the keys of what is still to be fetched, with how often it was tried.

    What is held at the service is remembered and never fetched.
    """
    async with deps.pool.acquire() as conn, conn.transaction():
        for item in outputs:
            await ENGINE.note_output.run(
                conn,
                job_id=job.id,
                key=item.key,
                name=item.name,
                role=item.role,
                downloads_left=item.downloads_left,
                held_at=item.held_at,
                size_bytes=item.size_bytes,
            )
        rows = await ENGINE.list_outputs.rows(conn, job_id=job.id)
    offered = {item.key for item in outputs}
    return {
        row["key"]: row["attempts"]
        for row in rows
        if row["key"] in offered
        and row["fetched_at"] is None
        and row["held_at"] is None
        and not row["skipped"]
    }


async def fetch(
    deps: Deps, job: Job, remote: Remote, output: RemoteOutput, password: str, tries: int
) -> bool:
    """Fetch one output and keep it; false when it is a courtesy that could not be had and is left out.

    Raises Unreadable, TriedTooOften, AdapterError, StorageFull, LeaseLost.
    """
    if tries >= MAX_TRIES:
        if output.role != "result":
            await _note(deps, job, output, "it was tried too often", skipped=True)
            return False
        raise TriedTooOften(f"{output.name} was tried {tries} times", is_final=True)
    try:
        await ENGINE.note_attempt.run(deps.pool, job_id=job.id, key=output.key)
        await _download(deps, job, remote, output, password)
    except (RemoteNotFound, Rejected, DownloadsExhausted) as error:
        if _is_courtesy(job, output, error):
            await _note(deps, job, output, error.reason, skipped=True)
            return False
        await _note(deps, job, output, error.reason, skipped=False)
        if isinstance(error, DownloadsExhausted):
            await ENGINE.forget_attempt.run(deps.pool, job_id=job.id, key=output.key)
            raise
        if isinstance(error, Rejected):
            raise Unreadable(f"{output.name}: {error.reason}", tries=tries + 1) from error
        raise _enough(error, output, tries + 1) from error
    except AdapterError as error:
        await _note(deps, job, output, error.reason, skipped=False)
        raise _enough(error, output, tries + 1) from error
    return True


def _enough(error: AdapterError, output: RemoteOutput, tries: int) -> Exception:
    """Give the error itself while the file may be tried again soon."""
    if tries < TRIES_IN_A_ROW:
        return error
    return TriedTooOften(f"{output.name}: {error.reason}", is_final=tries >= MAX_TRIES)


async def _download(
    deps: Deps, job: Job, remote: Remote, output: RemoteOutput, password: str
) -> None:
    if output.downloads_left == 0:
        raise DownloadsExhausted(f"{output.name} may not be downloaded any more")
    sink = StoreSink(deps.store, deps.settings.max_result_bytes)
    try:
        await remote.adapter.download(output, sink, password, lambda _count: None)
        await keep_output(deps, job, output, sink)
    finally:
        await asyncio.to_thread(sink.abort_all)


def _is_courtesy(job: Job, output: RemoteOutput, error: AdapterError) -> bool:
    """Tell whether the job can do without: reports are for people. One that is not there yet is waited for, where results are."""
    if output.role == "result":
        return False
    return job.outcome == "failed" or not isinstance(error, RemoteNotFound)


async def _note(deps: Deps, job: Job, output: RemoteOutput, reason: str, *, skipped: bool) -> None:
    await ENGINE.note_download_error.run(
        deps.pool, job_id=job.id, key=output.key, error=reason, skipped=skipped
    )
    if skipped:
        log.info("engine.output_skipped", job_id=str(job.id), output=output.name, reason=reason)
