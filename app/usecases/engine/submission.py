"""Submitting: one account's due jobs, one after the other.

The order of the lines is the guarantee «one submission, one remote job»: the intent is committed before the first byte is sent, and
a job that has an intent is never sent before the remote's list was searched for its name (`recovery`).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    DoubtfulSubmission,
    InputFile,
    QuotaFull,
    Rejected,
    ServiceUnavailable,
    Submission,
    UntrustedAddress,
)
from app.core.changes import SUBMITTED_PROGRESS, Change, fail, hold
from app.core.errors import NoCredentials
from app.core.jobs import Action, Event, Stage
from app.core.models import Job, Service, build
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE, claim_submission, list_input_files
from app.security.vault import VaultError
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.leases import LeaseLost, account_lease, step_lease
from app.usecases.engine.recovery import accepted, search
from app.usecases.engine.remote import Remote, get_service, open_remote, unavailable

log = structlog.get_logger(__name__)

MAX_JOBS_PER_RUN = 100
PROGRESS_EVERY_S = 1.0
_WAITED = (Stage.WAITING_FOR_SLOT, Stage.CREDENTIAL_NEEDED, Stage.CONFIRMING_SUBMISSION)


async def submit_next(deps: Deps, account_id: int) -> int:
    """Submit an account's due jobs as far as its slots allow; give how many were taken in hand."""
    now = deps.now()
    until = now + timedelta(seconds=deps.settings.lease_s)
    row = await ENGINE.claim_account.row(
        deps.pool, account_id=account_id, owner=deps.owner, now=now, lease_until=until
    )
    if row is None:
        return 0
    epoch, taken = row["submit_epoch"], 0
    service = await get_service(deps, row["service_id"])
    try:
        async with account_lease(deps, account_id, epoch):
            while taken < MAX_JOBS_PER_RUN:
                job = await _claim(deps, account_id, service)
                if job is None:
                    break
                taken += 1
                await _submit_leased(deps, job)
            await _tell_waiting(deps, account_id, service)
    except LeaseLost:
        log.warning("engine.lease_lost", account_id=account_id)
    finally:
        await asyncio.shield(
            ENGINE.release_account.run(
                deps.pool, account_id=account_id, epoch=epoch, owner=deps.owner
            )
        )
    return taken


async def _claim(deps: Deps, account_id: int, service: Service) -> Job | None:
    now = deps.now()
    until = now + timedelta(seconds=deps.settings.lease_s)
    return await claim_submission(
        deps.pool, account_id, service.max_remote_jobs, deps.owner, now, until
    )


async def _submit_leased(deps: Deps, job: Job) -> None:
    try:
        async with step_lease(deps, job):
            result = await _attempt(deps, job)
            if result is not None:
                await apply(deps, *result)
    except LeaseLost:
        log.warning("engine.lease_lost", job_id=str(job.id))


async def _attempt(deps: Deps, job: Job) -> tuple[Job, Change] | None:
    """Give the job as it now stands and what follows; None when somebody else moved it."""
    try:
        remote = await open_remote(deps, job)
    except NoCredentials as error:
        return job, _credential_needed(deps, job, error.message)
    except AdapterError as error:
        slot = {"has_slot": job.intent_at is not None}
        return job, unavailable(deps, job, Action.SUBMIT, "The service", error.reason, **slot)
    try:
        if job.intent_at is not None:
            return job, await search(deps, job, remote)
        await _check(remote)
    except AdapterError as error:
        return job, await _judge(deps, job, remote, error)
    sending = await _intend(deps, job)
    if sending is None:
        return None
    try:
        submission = await _prepare(deps, sending)
        return sending, accepted(deps, await _upload(deps, sending, remote, submission))
    except VaultError:
        return sending, fail(
            "secret_unreadable", "A key that this job needs is gone", "Press retry."
        )
    except DoubtfulSubmission as error:
        return sending, _doubtful(deps, remote, error.reason)
    except AdapterError as error:
        change = await _judge(deps, job, remote, error)
        return sending, replace(change, fields={**change.fields, "intent_at": None})


async def _check(remote: Remote) -> None:
    """Everything that can refuse the job cheaply, before a byte of it is sent. Raises AdapterError."""
    adapter, service = remote.adapter, remote.service
    if not service.is_active:
        raise ServiceUnavailable("an administrator has disabled it")
    if service.credential_kind != "none":
        report = await adapter.verify_credential()
        if not report.valid:
            raise CredentialRejected(report.message or "the service does not accept the credential")
    if service.max_remote_jobs is not None:
        active = await adapter.count_active()
        if active is not None and active >= service.max_remote_jobs:
            raise QuotaFull(f"{active} jobs of this account are at the service already")


async def _intend(deps: Deps, job: Job) -> Job | None:
    """Commit the intent. None when the job was moved, or its owner wants it stopped: then nothing was sent."""
    said = "Job processing started" if job.started_at is None else None
    now = deps.now()
    fields = {
        "started_at": job.started_at or now,
        "hold_reason": None,
        "queue_position": None,
        "intent_at": now,
        "searches": 0,
    }
    return await apply(
        deps, job, Change(Event.TAKE, said, Stage.SUBMITTING, fields=fields, release=False)
    )


async def _judge(deps: Deps, job: Job, remote: Remote, error: AdapterError) -> Change:
    """Give what follows from a failure after which the remote surely does not have the job (or has its intent)."""
    match error:
        case CredentialRejected():
            return await _credential_rejected(deps, job, remote, error.reason)
        case QuotaFull():
            return _full(deps, job, remote, error.reason)
        case Rejected() | UntrustedAddress() if job.intent_at is None:
            said = f"{remote.name} refused the job: {error.reason}"
            return fail("rejected_by_service", said, "Change what it names and submit again.")
        case _:
            slot = {"has_slot": job.intent_at is not None}
            return unavailable(deps, job, Action.SUBMIT, remote.name, error.reason, **slot)


async def _prepare(deps: Deps, job: Job) -> Submission:
    files = tuple(
        InputFile(deps.store.path(item.storage_key or ""), item.name, item.size_bytes)
        for item in await list_input_files(deps.pool, job.id)
    )
    password = deps.vault.open(job.archive_secret, job.archive_secret_key_id, "archive", job.id)
    options = dict(job.options)
    return Submission(
        name=job.remote_name,
        files=files,
        panel_key=job.panel_key,
        build=job.build,
        phasing=job.phasing_engine or job.phasing if job.phasing else False,
        population=job.population,
        mode=options.pop("mode", None),
        archive_password=password,
        options=options,
    )


async def _upload(deps: Deps, job: Job, remote: Remote, submission: Submission) -> str:
    total = max(1, sum(item.size_bytes for item in submission.files))
    sent = 0

    def note(count: int) -> None:
        nonlocal sent
        sent = count

    async def show() -> None:
        shown = job.progress_percentage
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            percent = min(SUBMITTED_PROGRESS - 1, sent * SUBMITTED_PROGRESS // total)
            if percent > shown:
                shown = percent
                said = f"Sending to {remote.name}: {sent * 100 // total} %"
                await apply(
                    deps, job, Change(Event.TAKE, said, Stage.SUBMITTING, percent, release=False)
                )

    watcher = asyncio.create_task(show(), name="upload progress")
    try:
        return await remote.adapter.submit(submission, note)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


def _doubtful(deps: Deps, remote: Remote, reason: str) -> Change:
    """No clear answer came: search before anything is sent again."""
    said = f"No clear answer from {remote.name} ({reason}); checking whether it has the job"
    return hold(Stage.CONFIRMING_SUBMISSION, said, in_seconds(deps, deps.settings.recovery_wait_s))


def _full(deps: Deps, job: Job, remote: Remote, reason: str) -> Change:
    """The account has as many jobs at the service as it may; some of them may not be ours."""
    said = f"Waiting for a free slot at {remote.name} ({reason})"
    change = hold(
        Stage.WAITING_FOR_SLOT,
        said,
        in_seconds(deps, max(poll_interval(deps, remote.service), deps.settings.retry_base_s)),
        has_slot=False,
        intent_at=None,
    )
    known = job.stage is Stage.WAITING_FOR_SLOT
    return replace(change, message=None if known else said)


def poll_interval(deps: Deps, service: Service) -> float:
    """Give the seconds between two looks at a service."""
    return deps.settings.poll_interval_s or service.poll_interval_s


async def _credential_rejected(deps: Deps, job: Job, remote: Remote, reason: str) -> Change:
    """A token refused at the first submission fails the job; one refused later holds it until it is replaced."""
    await ENGINE.reject_credential.run(
        deps.pool, service_id=job.service_id, user_id=job.user_id, now=deps.now()
    )
    if job.stage not in _WAITED and job.intent_at is None:
        return fail(
            "credential_rejected",
            f"{remote.name} authentication failed: {reason}",
            f"Update your {remote.name} credential under Settings → Service Credentials, then press retry.",
        )
    return _credential_needed(
        deps, job, f"{remote.name} no longer accepts your credential: {reason}"
    )


def _credential_needed(deps: Deps, job: Job, reason: str) -> Change:
    said = f"{reason}. The job goes on by itself when you have stored a working one"
    change = hold(
        Stage.CREDENTIAL_NEEDED, said, in_seconds(deps, 3600), has_slot=job.intent_at is not None
    )
    if job.stage is Stage.CREDENTIAL_NEEDED:
        return replace(change, message=None)
    return replace(change, notices=(NoticeEvent.CREDENTIAL_NEEDED,))


async def _tell_waiting(deps: Deps, account_id: int, service: Service) -> None:
    """Say to the account's jobs that found no slot that they wait, and at which place."""
    if service.max_remote_jobs is None:
        return
    now = deps.now()
    rows = await ENGINE.list_slotless.rows(deps.pool, account_id=account_id, max_rows=500)
    at = in_seconds(deps, max(poll_interval(deps, service), deps.settings.retry_base_s))
    for place, row in enumerate(rows):
        job = build(Job, row)
        due = job.next_action_at is not None and job.next_action_at <= now
        waits = job.stage is Stage.WAITING_FOR_SLOT
        if not due and not (waits and job.queue_position != place):
            continue
        said = f"Waiting for a free slot at {service.name}: {place} of your jobs are before it"
        change = hold(Stage.WAITING_FOR_SLOT, said, at, queue_position=place)
        await apply(deps, job, replace(change, message=None if waits else said))
