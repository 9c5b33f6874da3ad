"""The state of the platform at a glance, for administrators."""

from dataclasses import dataclass
from datetime import timedelta

from app.core.jobs import Stage
from app.core.models import Service
from app.db import overview as db
from app.db import services as services_db
from app.db.audit import AuditEntry
from app.db.overview import OpenJobs, Outbox, People, ServiceCount, Stored, StuckJob, TroubledMail
from app.usecases.deps import Deps

HELD = (
    Stage.SERVICE_UNAVAILABLE,
    Stage.CREDENTIAL_NEEDED,
    Stage.DECISION_NEEDED,
    Stage.RESULTS_BLOCKED,
    Stage.REMOTE_DEAD,
    Stage.WAITING_TOO_LONG,
)
"""Stages in which a job waits for somebody, or for something to be mended."""
LONG = timedelta(days=3)
RECENTLY = timedelta(days=7)
_MOST = 10


@dataclass(frozen=True, slots=True)
class Overview:
    """What an administrator sees first. `free_bytes` is None where the storage cannot tell."""

    services: list[Service]
    """The first of those that can be used least."""
    service_states: dict[str, int]
    counts: dict[int, ServiceCount]
    open_jobs: list[OpenJobs]
    stuck: list[StuckJob]
    outbox: Outbox
    troubled_mail: list[TroubledMail]
    people: People
    stored: Stored
    free_bytes: int | None
    acts: list[AuditEntry]
    names: dict[int, str]
    """Who did these acts, by id."""


async def take_overview(deps: Deps) -> Overview:
    """Give the state of the platform as it is now."""
    now, pool = deps.now(), deps.pool
    acts = await db.list_admin_acts(pool, _MOST)
    return Overview(
        services=await services_db.list_worst_services(pool, is_active=None, limit=_MOST),
        service_states=await services_db.count_services_by_state(pool),
        counts=await count_of_services(deps),
        open_jobs=await db.count_open_jobs(pool),
        stuck=await db.list_stuck_jobs(pool, HELD, now - LONG, _MOST),
        outbox=await db.measure_outbox(pool, now - RECENTLY),
        troubled_mail=await db.list_troubled_mail(pool, _MOST),
        people=await db.measure_people(pool, now - RECENTLY),
        stored=await db.measure_files(pool),
        free_bytes=await deps.store.count_free(),
        acts=acts,
        names=await db.list_usernames(pool, [act.user_id for act in acts if act.user_id]),
    )


async def count_of_services(deps: Deps) -> dict[int, ServiceCount]:
    """Give what there is at each service, by its id."""
    return {count.service_id: count for count in await db.count_jobs_of_services(deps.pool)}
