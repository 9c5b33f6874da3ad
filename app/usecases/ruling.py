"""Judging a request against what the platform knows: service, credential, panel, options, quotas; the cheap refusals."""

from dataclasses import dataclass

from app.core.errors import InvalidInput, QuotaExceeded
from app.core.expiry import LONGEST_DURATION, LOOKS_BACK, is_outlived, shown_end
from app.core.models import Panel, Service, StoredCredential
from app.core.submission import (
    Asked,
    judge_build,
    judge_options,
    judge_panel,
    judge_phasing,
    judge_population,
    judge_service,
    refuse,
)
from app.db import credentials as credentials_db
from app.db.credential_watch import WATCH
from app.db.jobs import JOBS
from app.db.queries import Executor
from app.db.services import find_service, list_panels
from app.usecases.credentials import OpenedCredential, open_found
from app.usecases.deps import Actor, Deps


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was judged and found good."""

    service: Service
    panel: Panel
    account_user_id: int | None
    build: str
    phasing: bool
    phasing_engine: str | None
    population: str | None
    options: dict[str, str]
    warnings: tuple[str, ...] = ()
    """What the owner should know, though the job is accepted."""


async def judge(
    deps: Deps, actor: Actor, asked: Asked, given: frozenset[str] | None = None
) -> Ruling | None:
    """Judge a request for one job; `given` names the fields that are known yet (None: all), and only those are judged.

    Gives None while something needed is not known yet.
    Raises NotFound, NoCredentials, InvalidInput, QuotaExceeded.
    """
    ruling = await rule(deps, actor, asked, given)
    if ruling is not None:
        await judge_open_jobs(deps, actor, deps.pool)
    return ruling


async def rule(
    deps: Deps, actor: Actor, asked: Asked, given: frozenset[str] | None = None
) -> Ruling | None:
    """Judge what a job asks for, but not how many jobs there may be: see `judge`. Raises NotFound, NoCredentials, InvalidInput."""

    def is_known(field: str) -> bool:
        return given is None or field in given

    if asked.service_id is None:
        if given is None:
            raise missing("service_id", "GET /services lists the services.")
        return None
    service = judge_service(await find_service(deps.pool, asked.service_id))
    account_user_id, warnings = await judge_credential(deps, actor, service)
    panel = await _judge_panel(deps, asked, service, is_whole=given is None)
    build = judge_build(asked, service) if is_known("build") else asked.build
    phasing = judge_phasing(asked, service) if is_known("phasing") else (True, None)
    options = judge_options(asked, service) if is_known("options") else {}
    if panel is None:
        return None
    population = judge_population(asked, panel) if is_known("population") else None
    return Ruling(service, panel, account_user_id, build, *phasing, population, options, warnings)


def missing(field: str, action: str) -> InvalidInput:
    """Give the refusal of a request that lacks a field."""
    return refuse(field, "missing_field", f"{field} is missing", action)


async def judge_credential(
    deps: Deps, actor: Actor, service: Service
) -> tuple[int | None, tuple[str, ...]]:
    """Give whose account the job will use (the user's id, or None for the shared one), and what is to be said of its end.

    Raises NoCredentials, InvalidInput for one that was refused or has expired.
    """
    stored = await credentials_db.find_for_service(deps.pool, actor.id, service.id)
    opened = judge_found(deps, actor, service, stored)
    return (actor.id if opened.source == "user" else None), await foresee(deps, service, opened)


def judge_found(
    deps: Deps, actor: Actor, service: Service, stored: StoredCredential | None
) -> OpenedCredential:
    """Give what the job will be sent with, `stored` being the actor's own. Raises as `judge_credential`."""
    opened = open_found(deps, service, stored, actor.user)
    way_out = "Go to Settings → Service Credentials, store a new one and test it."
    extra = {"service_id": service.id, "service_name": service.name}
    if opened.rejected_at is not None:
        raise InvalidInput(
            f"{service.name} did not accept your credential when it was last used",
            code="credential_rejected",
            action=way_out,
            extra=extra,
        )
    if opened.expires_at is not None and opened.expires_at <= deps.now():
        raise InvalidInput(
            f"Your credential for {service.name} has expired",
            code="credential_expired",
            action=way_out,
            extra=extra,
        )
    return opened


async def foresee(deps: Deps, service: Service, opened: OpenedCredential) -> tuple[str, ...]:
    """Say when a credential will probably end before the job does."""
    now, ends = deps.now(), opened.expires_at
    if ends is None or ends > now + LONGEST_DURATION:
        return ()
    typical_s = await WATCH.get_typical_duration.value(
        deps.pool, service_id=service.id, since=now - LOOKS_BACK
    )
    if not is_outlived(ends, now, typical_s):
        return ()
    if opened.source == "user":
        which, way_out = "Your credential", "renew it before: make a new one there and store it"
    else:
        which, way_out = "The shared credential", "an administrator has to renew it before"
    return (
        f"{which} for {service.name} ends on {shown_end(ends)}, probably before this job does; {way_out}",
    )


async def _judge_panel(
    deps: Deps, asked: Asked, service: Service, *, is_whole: bool
) -> Panel | None:
    if asked.reference_panel_id is None:
        if is_whole:
            action = f"GET /services/{service.id}/reference-panels lists the panels."
            raise missing("reference_panel_id", action)
        return None
    panels, _ = await list_panels(deps.pool, service.id, inactive_too=False)
    return judge_panel(asked.reference_panel_id, service, panels)


async def judge_open_jobs(deps: Deps, actor: Actor, db: Executor, new_jobs: int = 1) -> None:
    """Raise QuotaExceeded when the user may not have so many more open jobs."""
    limit = deps.settings.max_open_jobs_per_user
    have = await JOBS.count_open_jobs.value(db, user_id=actor.id)
    if have + new_jobs <= limit:
        return
    full = f"You have {limit} open jobs, as many as you may"
    raise QuotaExceeded(
        full
        if have >= limit
        else f"You have {have} open jobs and may have {limit}: not {new_jobs} more",
        code="job_quota",
        action="Wait until some have ended, or cancel some.",
    )
