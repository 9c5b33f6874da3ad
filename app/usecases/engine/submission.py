"""Submitting: one account's due jobs, one after the other.

The order of the lines is the guarantee «one submission, one remote job»: the intent is committed before the first byte is sent, and
a job that has an intent is never sent before the remote's list was searched for its name (`recovery`).
"""

from dataclasses import dataclass, replace
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
from app.core.changes import Change, cancelled, fail, hold
from app.core.errors import NoCredentials
from app.core.jobs import Action, Event, Stage
from app.core.models import Job, Service
from app.db.engine import ENGINE, Account, claim_submission, get_account, list_input_files
from app.db.jobs import JOBS
from app.security.vault import VaultError
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.leases import Lease, LeaseLost, account_lease, guarded_step
from app.usecases.engine.line import hold_line, queue_up
from app.usecases.engine.recovery import accepted, search
from app.usecases.engine.refusals import credential_needed, credential_refused
from app.usecases.engine.remote import (
    Remote,
    get_service,
    open_remote,
    poll_interval,
    unavailable,
)
from app.usecases.engine.upload import upload

log = structlog.get_logger(__name__)

MAX_JOBS_PER_RUN = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows for a job. `for_all` says that the account's other submissions would come to the same."""

    job: Job
    change: Change
    for_all: bool = False


async def submit_next(deps: Deps, account_id: int) -> int:
    """Submit an account's due jobs as far as its slots allow; give how many were taken in hand."""
    now = deps.now()
    row = await ENGINE.claim_account.row(
        deps.pool,
        account_id=account_id,
        owner=deps.owner,
        now=now,
        lease_until=now + timedelta(seconds=deps.settings.lease_s),
        per_service=deps.settings.service_max_steps,
    )
    if row is None:
        return 0
    epoch = row["submit_epoch"]
    try:
        service = await get_service(deps, row["service_id"])
        async with account_lease(deps, account_id, epoch) as lease:
            return await _submit_due(deps, account_id, service, lease)
    except LeaseLost:
        log.warning("engine.lease_lost", account_id=account_id)
        return 0
    finally:
        await ENGINE.release_account.run(
            deps.pool, account_id=account_id, epoch=epoch, owner=deps.owner
        )


async def _submit_due(deps: Deps, account_id: int, service: Service, lease: Lease) -> int:
    for taken in range(MAX_JOBS_PER_RUN):
        lease.check()
        now = deps.now()
        until = now + timedelta(seconds=deps.settings.lease_s)
        job = await claim_submission(
            deps.pool, account_id, service.max_remote_jobs, deps.owner, now, until
        )
        if job is None:
            if service.max_remote_jobs is not None:
                await queue_up(deps, account_id, service, slots=service.max_remote_jobs)
            return taken
        outcome = await _submit(deps, job)
        if outcome is not None and outcome.for_all:
            await _hold_others(deps, account_id, service, outcome.change)
            return taken + 1
    return MAX_JOBS_PER_RUN


async def _hold_others(deps: Deps, account_id: int, service: Service, change: Change) -> None:
    """What keeps one job of an account from being sent keeps all: they wait together, and only one of them tries again."""
    if change.stage is Stage.WAITING_FOR_SLOT:
        await queue_up(deps, account_id, service, slots=None)
    else:
        await hold_line(deps, account_id, change)


async def _submit(deps: Deps, job: Job) -> Outcome | None:
    outcome: Outcome | None = None
    async with guarded_step(deps, job) as lease:
        outcome = await _attempt(deps, job, lease)
        if outcome is not None:
            written = await apply(deps, outcome.job, outcome.change)
            if written is not None and written.next_action is Action.POLL:
                await ENGINE.wake_deferred.run(deps.pool, account_id=job.account_id, now=deps.now())
    return outcome


async def _attempt(deps: Deps, job: Job, lease: Lease) -> Outcome | None:
    """Give the job as it now stands and what follows; None when somebody else moved it."""
    account = await get_account(deps.pool, job.account_id)
    try:
        remote = await open_remote(deps, job, account)
    except NoCredentials as error:
        # Whether the shared credential may be used is asked for each user.
        change = credential_needed(deps, job, account, error.message)
        return Outcome(job, change, for_all=not account.is_shared)
    except AdapterError as error:
        return _down(deps, job, account, error)
    try:
        if job.intent_at is not None:
            return Outcome(job, await search(deps, job, remote))
        submission = await _prepare(deps, job)
        await _check(remote)
    except VaultError:
        return Outcome(job, _secret_gone())
    except AdapterError as error:
        return await _judge(deps, job, remote, error)
    if submission is None:
        said = "The input file is no longer stored"
        return Outcome(job, fail("input_gone", said, "Upload it again in a new job."))
    return await _send(deps, job, remote, submission, lease)


async def _send(
    deps: Deps, job: Job, remote: Remote, submission: Submission, lease: Lease
) -> Outcome | None:
    """Commit the intent, then send. From here on, only a clear word of the remote allows to send again."""
    sending = await _intend(deps, job)
    if sending is None:
        return None
    if sending.cancel_requested_at is not None:
        return Outcome(sending, cancelled("Job cancelled before it was submitted"))
    try:
        external_id = await upload(deps, sending, remote, submission, lease)
    except DoubtfulSubmission as error:
        return Outcome(sending, _doubtful(deps, sending, remote, error.reason))
    except AdapterError as error:
        judged = await _judge(deps, job, remote, error)
        # The trouble may be this job's own: the others are not held for it, unless the account is what was refused.
        account_wide = isinstance(error, CredentialRejected | QuotaFull) and judged.for_all
        change = replace(judged.change, fields={**judged.change.fields, "intent_at": None})
        return Outcome(sending, change, for_all=account_wide)
    return Outcome(sending, accepted(deps, external_id))


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
    """Commit the intent. None when the job was moved: then nothing was sent."""
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


async def _judge(deps: Deps, job: Job, remote: Remote, error: AdapterError) -> Outcome:
    """Give what follows from a failure after which the remote surely does not have the job (or has its intent)."""
    match error:
        case CredentialRejected():
            change = await credential_refused(deps, job, remote, error.reason)
            return Outcome(job, change, for_all=change.event is Event.HOLD)
        case QuotaFull():
            return Outcome(job, _full(deps, job, remote, error.reason), for_all=True)
        case Rejected() | UntrustedAddress() if job.intent_at is None:
            said = f"{remote.name} refused the job: {error.reason}"
            change = fail("rejected_by_service", said, "Change what it names and submit again.")
            return Outcome(job, change)
        case _:
            return _down(deps, job, remote.account, error, remote.name)


def _down(
    deps: Deps, job: Job, account: Account, error: AdapterError, service: str = "The service"
) -> Outcome:
    has_slot = job.intent_at is not None
    change = unavailable(
        deps,
        job,
        Action.SUBMIT,
        error.reason,
        service=service,
        mark=account.mark,
        has_slot=has_slot,
    )
    return Outcome(job, change, for_all=True)


async def _prepare(deps: Deps, job: Job) -> Submission | None:
    """Give what is sent; None when an input file has gone. Raises VaultError."""
    stored = await list_input_files(deps.pool, job.id)
    count = await JOBS.get_input_count.value(deps.pool, job_id=job.id)
    keys = [item.storage_key for item in stored if item.storage_key is not None]
    if len(keys) != count:
        return None
    files = tuple(
        InputFile(deps.store.path(key), item.name, item.size_bytes)
        for key, item in zip(keys, stored, strict=True)
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


def _secret_gone() -> Change:
    return fail("secret_unreadable", "A key that this job needs is gone", "Press retry.")


def _doubtful(deps: Deps, job: Job, remote: Remote, reason: str) -> Change:
    """No clear answer came: search before anything is sent again."""
    said = f"No clear answer from {remote.name} ({reason}); checking whether it has the job"
    wait = in_seconds(deps, deps.settings.recovery_wait_s)
    return hold(
        Stage.CONFIRMING_SUBMISSION, said, wait, unclear_answers=[*job.unclear_answers, reason]
    )


def _full(deps: Deps, job: Job, remote: Remote, reason: str) -> Change:
    """The account has as many jobs at the service as it may; some of them may not be ours."""
    said = f"Waiting for a free slot at {remote.name} ({reason})"
    at = in_seconds(deps, max(poll_interval(deps, remote.service), deps.settings.retry_base_s))
    change = hold(Stage.WAITING_FOR_SLOT, said, at, has_slot=False, intent_at=None)
    known = job.stage is Stage.WAITING_FOR_SLOT
    return replace(change, message=None if known else said)
