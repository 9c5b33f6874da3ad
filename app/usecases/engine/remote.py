"""Opening the adapter for a job's account, and the words for the service's troubles."""

import random
from dataclasses import dataclass
from datetime import datetime

import msgspec

from app.adapters.base import Adapter, Credential, ServiceUnavailable
from app.core.changes import Change, hold
from app.core.errors import NoCredentials
from app.core.jobs import Action, Stage
from app.core.models import Job, Service, build
from app.core.policy import may_use_shared
from app.core.polling import backoff
from app.db.accounts import find_user
from app.db.engine import Account
from app.db.services import SERVICES
from app.security.vault import VaultError
from app.usecases.credentials import Secret, open_credential, shared_context
from app.usecases.deps import Deps
from app.usecases.engine.changes import in_seconds


@dataclass(frozen=True, slots=True)
class Remote:
    """A service and the adapter that is bound to it and to one account's credential."""

    service: Service
    account: Account
    adapter: Adapter

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def credential_name(self) -> str:
        """What the account's credential is called to its owner."""
        return "the shared credential" if self.account.is_shared else "your credential"


async def get_service(deps: Deps, service_id: int) -> Service:
    """Give a service that a job refers to; it exists as long as the job does."""
    row = await SERVICES.get_service.row(deps.pool, service_id=service_id)
    if row is None:
        raise LookupError(f"service {service_id} has vanished under its jobs")
    return build(Service, row)


async def open_remote(deps: Deps, job: Job, account: Account) -> Remote:
    """Open the adapter with the credential of the account that the job belongs to: the user's own, or the shared one.

    Another account would not see the job at the remote, so it is the account that decides and not what the user would use today.
    Raises NoCredentials when none is stored, it cannot be opened, or (before the job was sent) the user may no longer use it,
    ServiceUnavailable when the service is set up wrongly, or an administrator says that it is under maintenance.
    """
    service = await get_service(deps, job.service_id)
    if service.maintenance:
        said = f": {service.maintenance_message}" if service.maintenance_message else ""
        raise ServiceUnavailable(f"under maintenance{said}", maintenance=True)
    if service.credential_kind == "none":
        credential = None
    elif account.is_shared:
        is_sent = job.intent_at is not None or job.external_job_id is not None
        user = None if is_sent else await find_user(deps.pool, job.user_id)
        if not is_sent and (user is None or not may_use_shared(service, user)):
            raise NoCredentials(f"You may no longer use the shared credential for {service.name}")
        credential = _open_shared(deps, service)
    else:
        opened = await open_credential(deps, service, job.user_id)
        if opened.source != "user":
            raise NoCredentials(
                f"The credential with which this job was submitted to {service.name} is no longer stored"
            )
        credential = opened.credential
    return Remote(service, account, open_adapter(deps, service, credential))


def _open_shared(deps: Deps, service: Service) -> Credential:
    if service.credential_policy != "shared" or service.shared_secret is None:
        raise NoCredentials(f"The shared credential for {service.name} is no longer set")
    context = shared_context(service.id, service.base_url)
    try:
        text = deps.vault.open(service.shared_secret, service.shared_secret_key_id or "", *context)
    except VaultError:
        raise NoCredentials(f"The shared credential for {service.name} cannot be opened") from None
    return msgspec.json.decode(text, type=Secret).as_credential()


def open_adapter(deps: Deps, service: Service, credential: Credential | None) -> Adapter:
    """Bind the service's adapter to a credential. Raises ServiceUnavailable when its configuration cannot be used."""
    try:
        return deps.adapters.open(
            service.api_type,
            base_url=service.base_url,
            config={**service.api_config, "allow_insecure": service.allow_insecure},
            credential=credential,
        )
    except ValueError as error:
        raise ServiceUnavailable(f"an administrator has to mend its settings: {error}") from None


def poll_interval(deps: Deps, service: Service) -> float:
    """Give the seconds between two looks at a service."""
    return deps.settings.poll_interval_s or service.look_interval_s


def retry_at(deps: Deps, failures: int) -> datetime:
    """Give the time of the next try after the n-th failure in a row."""
    limits = deps.settings
    return in_seconds(
        deps, backoff(failures, limits.retry_base_s, limits.retry_max_s, random.random)
    )


def unavailable(
    deps: Deps,
    job: Job,
    action: Action,
    reason: str,
    *,
    service: str = "The service",
    mark: datetime | None = None,
    **fields: object,
) -> Change:
    """Hold a job because its service does not answer as it should: an outage is not a failure."""
    failures = job.failures + 1
    said = f"{service} is not available ({reason}); the job goes on by itself when it is back"
    change = hold(
        Stage.SERVICE_UNAVAILABLE,
        said,
        retry_at(deps, failures),
        action=action,
        failures=failures,
        **fields,
    )
    known = job.stage is Stage.SERVICE_UNAVAILABLE
    message = None if known else said
    return Change(change.event, message, change.stage, fields=change.fields, mark=mark)
