"""What follows when an account has no credential, or the service does not take it."""

from dataclasses import replace

from app.core.changes import Change, fail, hold
from app.core.jobs import Action, Stage
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE, Account
from app.usecases.deps import Deps
from app.usecases.engine.changes import in_seconds
from app.usecases.engine.remote import Remote

RECHECK_S = 3600.0
_WAITED = (
    Stage.WAITING_FOR_SLOT,
    Stage.SERVICE_UNAVAILABLE,
    Stage.CREDENTIAL_NEEDED,
    Stage.CONFIRMING_SUBMISSION,
)


async def credential_refused(deps: Deps, job: Job, remote: Remote, reason: str) -> Change:
    """Give what follows for a job that was about to be sent.

    Refused at the first try, its owner is still there: the job fails and says what to do. Refused later, it is held.
    """
    await note_refused(deps, remote)
    if job.stage in _WAITED or job.intent_at is not None:
        return credential_needed(deps, job, remote.account, refused(remote, reason))
    way_out = (
        f"Ask an administrator to replace the shared credential of {remote.name}, then press retry."
        if remote.account.is_shared
        else f"Update your {remote.name} credential under Settings → Service Credentials, then press retry."
    )
    said = f"{remote.name} authentication failed: {reason}"
    return fail("credential_rejected", said, way_out)


async def note_refused(deps: Deps, remote: Remote) -> None:
    """Remember that a user's own credential was refused, unless it was replaced meanwhile."""
    account = remote.account
    await ENGINE.reject_credential.run(
        deps.pool, account_id=account.id, mark=account.mark, now=deps.now()
    )


def refused(remote: Remote, reason: str) -> str:
    """Say that the service does not take the account's credential any longer."""
    return f"{remote.name} no longer accepts {remote.credential_name}: {reason}"


def goes_on(account: Account, reason: str) -> str:
    """Say why a job is held for its credential, and how it goes on."""
    if account.is_shared:
        return f"{reason}. The job goes on by itself when an administrator has set a working one"
    return f"{reason}. The job goes on by itself when you have stored a working one"


def credential_needed(deps: Deps, job: Job, account: Account, reason: str) -> Change:
    """Hold a job that is not at the remote yet until its account has a working credential."""
    change = hold(
        Stage.CREDENTIAL_NEEDED,
        goes_on(account, reason),
        in_seconds(deps, RECHECK_S),
        action=Action.SUBMIT,
        has_slot=job.intent_at is not None,
    )
    change = replace(change, mark=account.mark)
    if job.stage is Stage.CREDENTIAL_NEEDED:
        return replace(change, message=None)
    return replace(change, notices=(NoticeEvent.CREDENTIAL_NEEDED,))
