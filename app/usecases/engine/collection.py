"""Collecting results: each file is fetched once, because the remote counts, and kept only when it is whole and verified.

A failed job is collected too: its QC files say why. They are a courtesy; their absence never keeps the job from ending.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import structlog

from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DownloadsExhausted,
    Rejected,
    RemoteNotFound,
    RemoteOutput,
)
from app.core.changes import COLLECT_PROGRESS, Change, fail, hold
from app.core.errors import NoCredentials, StorageFull
from app.core.jobs import Action, Event, Stage
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState
from app.db.engine import ENGINE, claim_step
from app.security.vault import VaultError
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds, record
from app.usecases.engine.leases import LeaseLost, step_lease
from app.usecases.engine.remote import Remote, open_remote, unavailable
from app.usecases.engine.rescue import keep_messages, keep_output
from app.usecases.results import StoreSink, create_archive

log = structlog.get_logger(__name__)

MAX_EMPTY_LISTS = 10
MAX_UNREADABLE = 3
BLOCKED_RECHECK_S = 3600.0


async def collect(deps: Deps, job_id: UUID) -> None:
    """Fetch what is due for a job that has ended at the remote, and end it here."""
    now = deps.now()
    until = now + timedelta(seconds=deps.settings.lease_s)
    job = await claim_step(deps.pool, job_id, Action.COLLECT, deps.owner, now, until)
    if job is None:
        return
    try:
        async with step_lease(deps, job):
            change = await _attempt(deps, job)
            await _finish(deps, job, change)
    except LeaseLost:
        log.warning("engine.lease_lost", job_id=str(job.id))


async def _attempt(deps: Deps, job: Job) -> Change | None:
    """Give what follows; None when all that can be had is here."""
    try:
        remote = await open_remote(deps, job)
        return await _collect(deps, job, remote)
    except (NoCredentials, CredentialRejected) as error:
        reason = error.message if isinstance(error, NoCredentials) else error.reason
        said = f"The results cannot be fetched: {reason}. They are as soon as a working credential is stored"
        change = hold(Stage.CREDENTIAL_NEEDED, said, in_seconds(deps, 300.0), action=Action.COLLECT)
        notices = (NoticeEvent.CREDENTIAL_NEEDED,)
        return _tell_once(job, replace(change, event=Event.COLLECT, notices=notices))
    except StorageFull as error:
        return _blocked(
            deps, job, f"The platform has no room for the results: {error.message}", 60.0
        )
    except VaultError:
        return fail(
            "secret_unreadable",
            "The key that opens the results is gone",
            "Press retry to run the job again.",
        )
    except DownloadsExhausted as error:
        said = f"The service does not hand the results out again: {error.reason}. Ask its operators to reset the download counter"
        return _blocked(deps, job, said, BLOCKED_RECHECK_S)
    except Rejected as error:
        return await _unreadable(deps, job, error.reason)
    except AdapterError as error:
        if job.outcome == "failed" and job.failures >= MAX_UNREADABLE:
            return None
        change = unavailable(deps, job, Action.COLLECT, "The service", error.reason)
        return replace(change, event=Event.COLLECT)


async def _collect(deps: Deps, job: Job, remote: Remote) -> Change | None:
    status = await remote.adapter.status(job.external_job_id or "")
    if status.state is RemoteState.GONE and job.outcome == "completed":
        return fail(
            "results_gone",
            f"{remote.name} no longer has the results: they expired or were deleted",
            "Press retry to run the job again.",
        )
    await keep_messages(deps, job, status)
    outputs = await remote.adapter.outputs(job.external_job_id or "")
    if not outputs and job.outcome == "completed":
        return _not_there_yet(deps, job, remote)
    done = await _note(deps, job, outputs)
    password = deps.vault.open(job.archive_secret, job.archive_secret_key_id, "archive", job.id)
    todo = sorted(
        (item for item in outputs if item.key not in done), key=lambda item: item.role == "result"
    )
    for place, output in enumerate(todo):
        await _fetch(deps, job, remote, output, password)
        share = (len(outputs) - len(todo) + place + 1) / len(outputs)
        progress = COLLECT_PROGRESS + int(share * (99 - COLLECT_PROGRESS))
        said = f"Fetched {output.name}"
        told = Change(
            Event.COLLECT,
            said,
            Stage.DOWNLOADING,
            progress,
            {"hold_reason": None, "failures": 0},
            release=False,
        )
        current = await apply(deps, job, told)
        if current is None or current.cancel_requested_at is not None:
            return Change(
                Event.COLLECT,
                None,
                Stage.CANCELLING,
                fields={"next_action": Action.CANCEL, "next_action_at": deps.now()},
            )
        job = current
    return None


async def _note(deps: Deps, job: Job, outputs: Sequence[RemoteOutput]) -> set[str]:
    """Remember what the remote offers; give the keys of what needs no (further) download."""
    for item in outputs:
        await ENGINE.note_output.run(
            deps.pool,
            job_id=job.id,
            key=item.key,
            name=item.name,
            role=item.role,
            downloads_left=item.downloads_left,
        )
    rows = await ENGINE.list_outputs.rows(deps.pool, job_id=job.id)
    return {row["key"] for row in rows if row["fetched_at"] is not None or row["skipped"]}


async def _fetch(deps: Deps, job: Job, remote: Remote, output: RemoteOutput, password: str) -> None:
    """Fetch one output and keep it. A courtesy file that cannot be had is skipped. Raises AdapterError, StorageFull, LeaseLost."""
    await ENGINE.note_attempt.run(deps.pool, job_id=job.id, key=output.key)
    sink = StoreSink(deps.store, deps.settings.max_result_bytes)
    try:
        await remote.adapter.download(output, sink, password, lambda _count: None)
        await keep_output(deps, job, output, sink)
    except (RemoteNotFound, Rejected, DownloadsExhausted) as error:
        courtesy = output.role != "result" and (
            job.outcome == "failed" or not isinstance(error, RemoteNotFound)
        )
        await ENGINE.note_download_error.run(
            deps.pool, job_id=job.id, key=output.key, error=error.reason, skipped=courtesy
        )
        if not courtesy:
            raise
        log.info(
            "engine.output_skipped", job_id=str(job.id), output=output.name, reason=error.reason
        )
    except AdapterError as error:
        await ENGINE.note_download_error.run(
            deps.pool, job_id=job.id, key=output.key, error=error.reason, skipped=False
        )
        raise
    finally:
        await asyncio.to_thread(sink.abort_all)


def _not_there_yet(deps: Deps, job: Job, remote: Remote) -> Change | None:
    """A server says «done» a little before its files are listed (cloudgene3 Queue.run): look again, then less often."""
    failures = job.failures + 1
    said = f"{remote.name} lists no results yet; looking again"
    if failures <= MAX_EMPTY_LISTS:
        wait = in_seconds(deps, max(deps.settings.settle_wait_s, 0.1))
        fields = {"next_action": Action.COLLECT, "next_action_at": wait, "failures": failures}
        return Change(
            Event.COLLECT, None if job.failures else said, Stage.DOWNLOADING, fields=fields
        )
    return _blocked(
        deps,
        job,
        f"{remote.name} says that the job is done but lists no results",
        BLOCKED_RECHECK_S,
    )


def _blocked(deps: Deps, job: Job, reason: str, wait_s: float) -> Change:
    """The results exist but cannot be had now: hold, tell the owner, look again."""
    fields = {
        "hold_reason": reason,
        "next_action": Action.COLLECT,
        "next_action_at": in_seconds(deps, wait_s),
        "failures": job.failures + 1,
    }
    change = Change(
        Event.COLLECT,
        reason,
        Stage.RESULTS_BLOCKED,
        fields=fields,
        notices=(NoticeEvent.RESULTS_BLOCKED,),
    )
    return _tell_once(job, change)


def _tell_once(job: Job, change: Change) -> Change:
    return replace(change, message=None, notices=()) if job.stage is change.stage else change


async def _unreadable(deps: Deps, job: Job, reason: str) -> Change | None:
    """An archive that cannot be opened is fetched again a little later, a few times; then the job fails and says why."""
    if job.outcome == "failed":
        return None
    failures = job.failures + 1
    if failures < MAX_UNREADABLE:
        said = f"A result could not be opened ({reason}); it is fetched once more"
        fields = {
            "next_action": Action.COLLECT,
            "next_action_at": in_seconds(deps, deps.settings.retry_base_s),
            "failures": failures,
        }
        return Change(Event.COLLECT, said, Stage.DOWNLOADING, fields=fields)
    return fail(
        "results_unreadable",
        f"A result of the service could not be opened: {reason}",
        "Press retry to run the job again; tell the service's operators if it happens twice.",
    )


async def _finish(deps: Deps, job: Job, change: Change | None) -> None:
    """Write what follows; without a change, all is here and the job ends."""
    if change is not None:
        await apply(deps, job, change)
        return
    if job.outcome == "failed":
        await apply(
            deps,
            job,
            fail(job.error_code or "remote_failure", job.error_message or "", job.error_action),
        )
        return
    async with deps.pool.acquire() as conn, conn.transaction():
        archive = await create_archive(conn, job.id, job.user_id, job.name)
        end = Change(
            Event.COMPLETE,
            "Results ready for download",
            fields={"results_file_id": archive},
            notices=(NoticeEvent.JOB_COMPLETED,),
        )
        if await record(deps, conn, job, end) is None:
            raise LeaseLost
    await deps.enqueue("deliver_mail", key="mail")
