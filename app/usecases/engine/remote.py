"""Opening the adapter for a job's account, and the words for the service's troubles."""

import random
from dataclasses import dataclass
from datetime import datetime

from app.adapters.base import Adapter, Credential, ServiceUnavailable
from app.core.changes import Change, hold
from app.core.errors import NoCredentials
from app.core.jobs import Action, Stage
from app.core.models import Job, Service, build
from app.core.polling import backoff
from app.db.engine import ENGINE
from app.db.services import SERVICES
from app.usecases.credentials import open_credential
from app.usecases.deps import Deps
from app.usecases.engine.changes import in_seconds


@dataclass(frozen=True, slots=True)
class Remote:
    """A service and the adapter that is bound to it and to one account's credential."""

    service: Service
    adapter: Adapter

    @property
    def name(self) -> str:
        return self.service.name


async def get_service(deps: Deps, service_id: int) -> Service:
    """Give a service that a job refers to; it exists as long as the job does."""
    row = await SERVICES.get_service.row(deps.pool, service_id=service_id)
    if row is None:
        raise LookupError(f"service {service_id} has vanished under its jobs")
    return build(Service, row)


async def open_remote(deps: Deps, job: Job) -> Remote:
    """Open the adapter with the credential of the account that the job belongs to: the user's own, or the shared one.

    Raises NoCredentials when none is stored, it cannot be opened, or it is no longer of that account (another account would
    not see the job at the remote), ServiceUnavailable when the service is set up wrongly.
    """
    service = await get_service(deps, job.service_id)
    opened = await open_credential(deps, service, job.user_id)
    account = await ENGINE.get_account.row(deps.pool, account_id=job.account_id)
    if account is None or (account["user_id"] is None) != (opened.source == "shared"):
        raise NoCredentials(
            f"The credential with which this job was submitted to {service.name} is no longer stored"
        )
    return Remote(service, open_adapter(deps, service, opened.credential))


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


def retry_at(deps: Deps, failures: int) -> datetime:
    """Give the time of the next try after the n-th failure in a row."""
    limits = deps.settings
    return in_seconds(
        deps, backoff(failures, limits.retry_base_s, limits.retry_max_s, random.random)
    )


def unavailable(
    deps: Deps, job: Job, action: Action, service: str, reason: str, **fields: object
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
    return Change(change.event, None if known else said, change.stage, fields=change.fields)
