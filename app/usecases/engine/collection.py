"""Collecting results: each file is fetched once, because the remote counts, and kept only when it is whole and verified.

A failed job is collected too: its QC files say why. They are a courtesy; their absence never keeps the job from ending.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from app.adapters.base import AdapterError, CredentialRejected, DownloadsExhausted, RemoteOutput
from app.core.changes import COLLECT_PROGRESS, Change, fail, revise
from app.core.errors import NoCredentials, StorageFull
from app.core.jobs import Action, Event, Stage
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState, RemoteStatus
from app.db.analyses import ANALYSES
from app.db.engine import ENGINE, Account, claim_step, get_account
from app.genotypes.quality import VERSION as ANALYSIS_VERSION
from app.security.vault import VaultError
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, hand_on, in_seconds, record
from app.usecases.engine.fetching import TriedTooOften, Unreadable, fetch, note_offer
from app.usecases.engine.leases import LeaseLost, guarded_step
from app.usecases.engine.refusals import goes_on
from app.usecases.engine.remote import Remote, get_service, open_remote, unavailable
from app.usecases.engine.rescue import keep_messages
from app.usecases.results import create_archive, has_members

MAX_EMPTY_LISTS = 10
MAX_LISTS = 5
MAX_UNREADABLE = 3
FULL_RECHECK_S = 60.0
CREDENTIAL_RECHECK_S = 300.0
BLOCKED_RECHECK_S = 3600.0
TIRED_RECHECK_S = 6 * 3600.0


async def collect(deps: Deps, job_id: UUID) -> None:
    """Fetch what is due for a job that has ended at the remote, and end it here."""
    now = deps.now()
    job = await claim_step(
        deps.pool,
        job_id,
        Action.COLLECT,
        owner=deps.owner,
        now=now,
        until=now + timedelta(seconds=deps.settings.lease_s),
        per_service=deps.settings.service_max_steps,
    )
    if job is None:
        return
    async with guarded_step(deps, job):
        change = await _attempt(deps, job)
        if change is not None:
            await apply(deps, job, change)
        elif job.outcome == "failed":
            code, reason = job.error_code or "remote_failure", job.error_message or ""
            await apply(deps, job, fail(code, reason, job.error_action))
        else:
            await _complete(deps, job)


async def _attempt(deps: Deps, job: Job) -> Change | None:
    """Give what follows; None when all that can be had is here."""
    account = await get_account(deps.pool, job.account_id)
    try:
        remote = await open_remote(deps, job, account)
        return await _collect(deps, job, remote)
    except (NoCredentials, CredentialRejected) as error:
        reason = error.message if isinstance(error, NoCredentials) else error.reason
        return _credential_needed(deps, job, account, reason)
    except StorageFull as error:
        said = f"The platform has no room for the results: {error.message}"
        return _blocked(deps, job, said, FULL_RECHECK_S)
    except VaultError:
        said = "The key that opens the results is missing on this platform: its administrator has to restore it"
        return _blocked(deps, job, said, BLOCKED_RECHECK_S)
    except DownloadsExhausted as error:
        said = f"The service does not hand the results out again: {error.reason}. Ask its operators to reset the download counter"
        return _blocked(deps, job, said, BLOCKED_RECHECK_S)
    except TriedTooOften as error:
        said = f"A result cannot be fetched ({error.reason})"
        if error.is_final:
            said += ". It is not tried again, for the service counts downloads: ask its operators to reset the counter"
        return _blocked(deps, job, said, TIRED_RECHECK_S)
    except Unreadable as error:
        return _unreadable(deps, job, error)
    except AdapterError as error:
        if job.outcome == "failed" and job.failures >= MAX_UNREADABLE:
            return None
        change = unavailable(deps, job, Action.COLLECT, error.reason, mark=account.mark)
        return replace(change, event=Event.COLLECT)


async def _collect(deps: Deps, job: Job, remote: Remote) -> Change | None:
    status = await remote.adapter.status(job.external_job_id or "")
    settle = timedelta(seconds=deps.settings.settle_wait_s)
    if (change := revise(job, status, remote.name, deps.now(), settle)) is not None:
        return change
    if status.state is RemoteState.GONE:
        return None
    await keep_messages(deps, job, status)
    password = deps.vault.open(job.archive_secret, job.archive_secret_key_id, "archive", job.id)
    current = job
    for _ in range(MAX_LISTS):
        outputs = await remote.adapter.outputs(job.external_job_id or "")
        if await _is_too_early(deps, job, remote, outputs):
            return _not_there_yet(deps, job, remote)
        tries = await note_offer(deps, job, outputs)
        # Reports first: should a result be the trouble, they are there to read.
        todo = [item for item in outputs if item.key in tries]
        if not todo:
            return None
        for output in sorted(todo, key=lambda item: item.role == "result"):
            is_here = await fetch(deps, job, remote, output, password, tries.pop(output.key))
            share = 1 - len(tries) / len(outputs)
            told = await _tell(deps, current, output, status, share if is_here else None)
            if told is None or told.cancel_requested_at is not None:
                return _stopped(deps)
            current = told
    return _wait(Stage.DOWNLOADING, None, deps.now(), 0)


async def _is_too_early(
    deps: Deps, job: Job, remote: Remote, outputs: Sequence[RemoteOutput]
) -> bool:
    """A server says «done» a little before its files are listed, one after the other (cloudgene3 Queue.run).

    Results that the remote's workflow has pushed are results too.
    """
    if job.outcome != "completed" or not remote.adapter.capabilities.needs_results:
        return False
    if any(item.role == "result" for item in outputs):
        return False
    if await ENGINE.has_results.value(deps.pool, job_id=job.id):
        return False
    wants_results = not (job.options.get("mode") or "").startswith("qc")
    return not outputs or (wants_results and job.failures < MAX_EMPTY_LISTS)


async def _tell(
    deps: Deps, job: Job, output: RemoteOutput, status: RemoteStatus, share: float | None
) -> Job | None:
    """Say that something was fetched (without share: left out); give the job as it then stands."""
    progress = 0 if share is None else COLLECT_PROGRESS + int(share * (99 - COLLECT_PROGRESS))
    fields: dict[str, object] = {"hold_reason": None, "failures": 0}
    if status.results_expire_at is not None:
        fields["results_expire_at"] = status.results_expire_at
    said = None if share is None else f"Fetched {output.name}"
    told = Change(Event.COLLECT, said, Stage.DOWNLOADING, progress, fields, release=False)
    return await apply(deps, job, told)


def _stopped(deps: Deps) -> Change:
    fields = {"next_action": Action.CANCEL, "next_action_at": deps.now()}
    return Change(Event.COLLECT, None, Stage.CANCELLING, fields=fields)


def _wait(stage: Stage, said: str | None, at: datetime, failures: int) -> Change:
    fields = {
        "hold_reason": said,
        "next_action": Action.COLLECT,
        "next_action_at": at,
        "failures": failures,
    }
    return Change(Event.COLLECT, said, stage, fields=fields)


def _not_there_yet(deps: Deps, job: Job, remote: Remote) -> Change | None:
    """Look again soon, a few times, then less often."""
    if job.failures >= MAX_EMPTY_LISTS:
        said = f"{remote.name} says that the job is done but lists no results"
        return _blocked(deps, job, said, BLOCKED_RECHECK_S)
    said = f"{remote.name} lists no results yet; looking again"
    at = in_seconds(deps, max(deps.settings.settle_wait_s, 0.1))
    change = _wait(Stage.DOWNLOADING, said, at, job.failures + 1)
    return replace(change, message=None) if job.failures else change


def _credential_needed(deps: Deps, job: Job, account: Account, reason: str) -> Change | None:
    if job.outcome == "failed":
        return None
    said = goes_on(account, f"The results cannot be fetched: {reason}")
    at = in_seconds(deps, CREDENTIAL_RECHECK_S)
    change = _wait(Stage.CREDENTIAL_NEEDED, said, at, job.failures)
    notices = (NoticeEvent.CREDENTIAL_NEEDED,)
    return _tell_once(job, replace(change, notices=notices, mark=account.mark))


def _blocked(deps: Deps, job: Job, reason: str, wait_s: float) -> Change | None:
    """The results exist but cannot be had now: hold, tell the owner, look again. Reports of a failed job are not waited for."""
    if job.outcome == "failed":
        return None
    change = _wait(Stage.RESULTS_BLOCKED, reason, in_seconds(deps, wait_s), job.failures + 1)
    return _tell_once(job, replace(change, notices=(NoticeEvent.RESULTS_BLOCKED,)))


def _tell_once(job: Job, change: Change) -> Change:
    return replace(change, message=None, notices=()) if job.stage is change.stage else change


def _unreadable(deps: Deps, job: Job, error: Unreadable) -> Change | None:
    """An archive that cannot be opened is fetched again a little later, a few times; then the job fails and says why."""
    if job.outcome == "failed":
        return None
    if error.tries < MAX_UNREADABLE:
        said = f"A result could not be opened ({error.reason}); it is fetched once more"
        at = in_seconds(deps, deps.settings.retry_base_s)
        return _wait(Stage.DOWNLOADING, said, at, job.failures + 1)
    return fail(
        "results_unreadable",
        f"A result of the service could not be opened: {error.reason}",
        "Press retry to run the job again; tell the service's operators if it happens twice.",
    )


async def _complete(deps: Deps, job: Job) -> None:
    """All that can be had is here: the archive and the end of the job, in one transaction."""
    service = await get_service(deps, job.service_id)
    async with deps.pool.acquire() as conn, conn.transaction():
        held = await ENGINE.count_held.value(conn, job_id=job.id)
        archive, said = None, f"Results are ready at {service.name}"
        if not held or await has_members(conn, job.id):
            archive = await create_archive(conn, job.id, job.user_id, job.name)
            said = "Results ready for download"
            said += f"; {held} more at {service.name}" if held else ""
        end = Change(
            Event.COMPLETE,
            said,
            fields={"results_file_id": archive, "results_held": held},
            notices=(NoticeEvent.JOB_COMPLETED,),
        )
        written = await record(deps, conn, job, end)
        if written is None:
            raise LeaseLost
        if archive is not None:
            await ANALYSES.ask.run(conn, job_id=job.id, version=ANALYSIS_VERSION)
    await hand_on(deps, job, written, end)
