"""One look at all jobs that an account has at its service. PostgreSQL is written only when something changed."""

from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from app.adapters.base import AdapterError, CredentialRejected
from app.core.changes import Change, observe
from app.core.errors import NoCredentials
from app.core.jobs import Stage, unchanged
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState, RemoteStatus
from app.db.engine import ENGINE, list_polled
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.remote import Remote, open_remote
from app.usecases.engine.submission import poll_interval

log = structlog.get_logger(__name__)

MAX_SINGLE_LOOKS = 20
TELL_OUTAGE_AFTER = 3
CREDENTIAL_RECHECK_S = 3600.0
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
    try:
        remote = await open_remote(deps, jobs[0])
    except NoCredentials as error:
        changed = await _hold_credential(deps, account_id, jobs, error.message)
        return Look(len(jobs), changed, failed=False, interval_s=CREDENTIAL_RECHECK_S)
    except AdapterError as error:
        log.warning("engine.service_unusable", account_id=account_id, reason=error.reason)
        return Look(len(jobs), 0, failed=True, interval_s=deps.settings.retry_base_s)
    interval_s = poll_interval(deps, remote.service)
    try:
        changed = await _look(deps, remote, jobs)
    except CredentialRejected as error:
        await ENGINE.reject_credential.run(
            deps.pool, service_id=remote.service.id, user_id=jobs[0].user_id, now=deps.now()
        )
        said = f"{remote.name} no longer accepts your credential: {error.reason}"
        changed = await _hold_credential(deps, account_id, jobs, said)
        return Look(len(jobs), changed, failed=False, interval_s=CREDENTIAL_RECHECK_S)
    except AdapterError as error:
        if failures + 1 >= TELL_OUTAGE_AFTER:
            await _tell_outage(deps, remote, jobs, error.reason)
        return Look(len(jobs), 0, failed=True, interval_s=interval_s)
    return Look(len(jobs), changed, failed=False, interval_s=interval_s)


async def _look(deps: Deps, remote: Remote, jobs: list[Job]) -> int:
    ids = [job.external_job_id for job in jobs if job.external_job_id]
    seen = await remote.adapter.status_many(ids)
    changed, singles = 0, 0
    for job in jobs:
        status = seen.get(job.external_job_id or "")
        if status is None or (status.state is RemoteState.FAILED and not status.detailed):
            if singles >= MAX_SINGLE_LOOKS:
                continue
            singles += 1
            status = await remote.adapter.status(job.external_job_id or "")
        changed += await _observe(deps, remote, job, status)
    return changed


async def _observe(deps: Deps, remote: Remote, job: Job, status: RemoteStatus) -> int:
    if status.state is RemoteState.DEAD:
        await _restart(deps, remote, job)
    settle = timedelta(seconds=deps.settings.settle_wait_s)
    change = observe(job, status, remote.name, deps.now(), settle)
    if change is None:
        return 0
    written = await apply(deps, job, change)
    return int(written is not None)


async def _restart(deps: Deps, remote: Remote, job: Job) -> None:
    """Ask a restarted server to start the job again, a few times at most; after that a person has to look."""
    if not remote.adapter.capabilities.restart or job.failures >= MAX_RESTARTS:
        return
    try:
        await remote.adapter.restart(job.external_job_id or "")
    except AdapterError as error:
        log.info("engine.restart_refused", job_id=str(job.id), reason=error.reason)
    note = Change(unchanged(job.status), None, job.stage, fields={"failures": job.failures + 1})
    await apply(deps, job, note)


async def _hold_credential(deps: Deps, account_id: int, jobs: list[Job], reason: str) -> int:
    """Hold this account's jobs until the credential is replaced."""
    await ENGINE.defer_polls.run(
        deps.pool, account_id=account_id, at=in_seconds(deps, CREDENTIAL_RECHECK_S)
    )
    changed = 0
    for job in jobs:
        if job.stage is Stage.CREDENTIAL_NEEDED:
            continue
        said = f"{reason}. The job goes on by itself when you have stored a working one"
        change = Change(
            unchanged(job.status),
            said,
            Stage.CREDENTIAL_NEEDED,
            fields={"hold_reason": said},
            notices=(NoticeEvent.CREDENTIAL_NEEDED,),
        )
        changed += int(await apply(deps, job, change) is not None)
    return changed


async def _tell_outage(deps: Deps, remote: Remote, jobs: list[Job], reason: str) -> None:
    """Say once that the service does not answer; the jobs stay what they were."""
    for job in jobs:
        if job.hold_reason is not None:
            continue
        said = f"{remote.name} does not answer ({reason}); it is asked again until it does"
        change = Change(unchanged(job.status), said, job.stage, fields={"hold_reason": said})
        await apply(deps, job, replace(change, progress=job.progress_percentage))
