"""One look at all jobs that an account has at its service. PostgreSQL is written only when something changed."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.adapters.base import AdapterError, CredentialRejected, Rejected, RemoteNotFound
from app.core.changes import Change, observe, seen_again
from app.core.errors import NoCredentials
from app.core.jobs import Event, Stage, unchanged
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState, RemoteStatus
from app.db.engine import ENGINE, Account, get_account, list_polled
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.refusals import RECHECK_S, goes_on, note_refused, refused
from app.usecases.engine.remote import Remote, open_remote, poll_interval, retry_at

log = structlog.get_logger(__name__)

MAX_SINGLE_LOOKS = 20
CHANGES_AT_A_TIME = 8
JOBS_AT_A_TIME = 200
TELL_OUTAGE_AFTER = 3
MAX_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at an account came to. `interval_s` is the service's; `failed` says that it taught nothing."""

    jobs: int
    changed: int
    failed: bool
    interval_s: float


async def look(deps: Deps, account_id: int, failures: int) -> Look:
    """Look at an account's remote jobs. `failures` is how many looks failed before this one, in a row."""
    jobs = await list_polled(deps.pool, account_id)
    if not jobs:
        return Look(0, 0, failed=False, interval_s=0.0)
    account = await get_account(deps.pool, account_id)
    try:
        remote = await open_remote(deps, jobs[0], account)
    except NoCredentials as error:
        return await _hold_credential(deps, account, jobs, error.message)
    except AdapterError as error:
        log.warning("engine.service_unusable", account_id=account_id, reason=error.reason)
        return await _failed(deps, "The service", jobs, error, failures, deps.settings.retry_base_s)
    interval_s = poll_interval(deps, remote.service)
    try:
        return await _look(deps, remote, jobs, interval_s)
    except CredentialRejected as error:
        await note_refused(deps, remote)
        return await _hold_credential(deps, account, jobs, refused(remote, error.reason))
    except AdapterError as error:
        return await _failed(deps, remote.name, jobs, error, failures, interval_s)


async def _failed(
    deps: Deps, service: str, jobs: list[Job], error: AdapterError, failures: int, interval_s: float
) -> Look:
    await _forget_missing(deps, jobs)
    if failures + 1 >= TELL_OUTAGE_AFTER:
        await _tell_outage(deps, service, jobs, error.reason)
    return Look(len(jobs), 0, failed=True, interval_s=interval_s)


async def _look(deps: Deps, remote: Remote, jobs: list[Job], interval_s: float) -> Look:
    ids = [job.external_job_id for job in jobs if job.external_job_id]
    listed = await remote.adapter.status_many(ids)
    changed, seen, singles = 0, 0, 0
    moved: list[tuple[Job, RemoteStatus]] = []
    trouble: AdapterError | None = None
    for number, job in enumerate(jobs):
        if not number % JOBS_AT_A_TIME:
            await asyncio.sleep(0)  # requests are answered between
        status = _listed(listed, job)
        if status is not None:
            seen += 1
            if _is_news(deps, remote, job, status):
                moved.append((job, status))
            continue
        if singles >= MAX_SINGLE_LOOKS:
            continue
        singles += 1
        try:
            status = await remote.adapter.status(job.external_job_id or "")
        except CredentialRejected as error:
            # The list was given: it is this job alone that the account may not see.
            changed += await _hold(
                deps, job, goes_on(remote.account, refused(remote, error.reason))
            )
            continue
        except AdapterError as error:
            # One job that the service cannot tell about must not hide the others.
            trouble = error
            await _forget_missing(deps, [job])
            continue
        seen += 1
        changed += await _observe(deps, remote, job, status)
    changed += await _observe_all(deps, remote, moved)
    if trouble is not None and not seen:
        raise trouble
    return Look(len(jobs), changed, failed=False, interval_s=interval_s)


def _listed(seen: Mapping[str, RemoteStatus], job: Job) -> RemoteStatus | None:
    """Give what the list says about a job, where that is enough: of a failed one, the reason is wanted too."""
    status = seen.get(job.external_job_id or "")
    if status is not None and status.state is RemoteState.FAILED and not status.detailed:
        return None
    return status


def _is_news(deps: Deps, remote: Remote, job: Job, status: RemoteStatus) -> bool:
    return status.state is RemoteState.DEAD or _change(deps, remote, job, status) is not None


def _change(deps: Deps, remote: Remote, job: Job, status: RemoteStatus) -> Change | None:
    settle = timedelta(seconds=deps.settings.settle_wait_s)
    lost_after = timedelta(seconds=remote.adapter.capabilities.lost_after_s)
    return observe(job, status, remote.name, deps.now(), settle, lost_after)


async def _observe_all(deps: Deps, remote: Remote, moved: list[tuple[Job, RemoteStatus]]) -> int:
    """Write what became of jobs, some at a time; give how many changed. Each is a transaction, which waits for the disk."""
    changed = 0
    for start in range(0, len(moved), CHANGES_AT_A_TIME):
        some = moved[start : start + CHANGES_AT_A_TIME]
        results = await asyncio.gather(
            *(_observe(deps, remote, job, status) for job, status in some), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
            changed += result
    return changed


async def _observe(deps: Deps, remote: Remote, job: Job, status: RemoteStatus) -> int:
    change = _change(deps, remote, job, status)
    written = None
    if change is not None:
        written = await apply(deps, job, change, seen=job.updated_at)
    if status.state is RemoteState.DEAD and (change is None or written is not None):
        await _restart(deps, remote, written or job)
    return int(written is not None)


async def _restart(deps: Deps, remote: Remote, job: Job) -> None:
    """Ask a restarted server to start the job again, a few times, later and later; after that a person has to look."""
    if job.failures >= MAX_RESTARTS or not remote.adapter.capabilities.restart:
        said = (
            f"{remote.name} does not start the job again. Cancel it and press retry, or ask its operators;"
            " should they start it, it goes on"
        )
        if job.hold_reason != said:
            told = Change(
                Event.REMOTE_QUEUED, said, Stage.REMOTE_DEAD, fields={"hold_reason": said}
            )
            await apply(deps, job, told, seen=job.updated_at)
        return
    now = deps.now()
    if job.failures and job.next_action_at is not None and job.next_action_at > now:
        return
    failures = job.failures + 1
    fields = {"failures": failures, "next_action_at": retry_at(deps, failures)}
    note = Change(unchanged(job.status), None, job.stage, fields=fields)
    if await apply(deps, job, note, seen=job.updated_at) is None:
        return
    try:
        await remote.adapter.restart(job.external_job_id or "")
    except (Rejected, RemoteNotFound) as error:
        log.info("engine.restart_refused", job_id=str(job.id), reason=error.reason)


async def _hold_credential(deps: Deps, account: Account, jobs: list[Job], reason: str) -> Look:
    """Hold this account's jobs until the credential is replaced; when it was replaced meanwhile, look again at once."""
    held = await ENGINE.defer_polls.run(
        deps.pool, account_id=account.id, mark=account.mark, at=in_seconds(deps, RECHECK_S)
    )
    if not held:
        return Look(len(jobs), 0, failed=False, interval_s=0.0)
    said = goes_on(account, reason)
    changed = 0
    for job in jobs:
        changed += await _hold(deps, job, said)
    return Look(len(jobs), changed, failed=False, interval_s=RECHECK_S)


async def _hold(deps: Deps, job: Job, said: str) -> int:
    if job.stage is Stage.CREDENTIAL_NEEDED:
        await _forget_missing(deps, [job])
        return 0
    change = Change(
        unchanged(job.status),
        said,
        Stage.CREDENTIAL_NEEDED,
        fields={"hold_reason": said, "missing_since": None},
        notices=(NoticeEvent.CREDENTIAL_NEEDED,),
    )
    return int(await apply(deps, job, change, seen=job.updated_at) is not None)


async def _forget_missing(deps: Deps, jobs: list[Job]) -> None:
    """No answer says nothing about a job: that it was missing counts anew, so that an outage never makes a job lost."""
    for job in jobs:
        if job.missing_since is not None:
            await apply(deps, job, seen_again(job), seen=job.updated_at)


async def _tell_outage(deps: Deps, service: str, jobs: list[Job], reason: str) -> None:
    """Say once that the service does not answer; the jobs stay what they were."""
    for job in jobs:
        if job.hold_reason is not None:
            continue
        said = f"{service} does not answer ({reason}); it is asked again until it does"
        change = Change(unchanged(job.status), said, job.stage, fields={"hold_reason": said})
        await apply(deps, job, change, seen=job.updated_at)
