"""What a user wants to know at a glance: what runs, what needs them, what finished, how the services are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.attention import (
    FAILURES_LOOK_BACK,
    HELD,
    RESULTS_HORIZON,
    Ailment,
    Urgency,
    ailment_of,
)
from app.core.jobs import OPEN, Stage, Status
from app.core.listing import JobOrder
from app.core.models import Service
from app.db import job_lists as db
from app.db import services as services_db
from app.db.job_lists import JobRow, PartingResults
from app.db.jobs import JobFilter, count_own_jobs
from app.usecases.catalogue import EVERY_SERVICE
from app.usecases.deps import Actor, Deps
from app.usecases.own_credentials import Held, list_credentials

SHOWN_JOBS = 6
SHOWN_SERVICES = 8
SHOWN_ALIKE = 3
"""As many failures, and as many results that part, are named; the others are counted."""
_MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that waits for the user: a credential, held or failed jobs, or results that are deleted soon.

    `count` says how many jobs it is about; beyond one it stands for others like it. For a credential it counts the jobs that wait.
    """

    urgency: Urgency
    credential: Held | None = None
    ailment: Ailment | None = None
    held: JobRow | None = None
    failed: JobRow | None = None
    parting: PartingResults | None = None
    count: int = 1

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(
            name
            for name in ("credential", "held", "failed", "parting")
            if getattr(self, name) is not None
        )


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """How far a new user has come; `latest` is the newest job, if there is one."""

    has_credential: bool
    has_job: bool
    has_results: bool
    latest: UUID | None

    @property
    def are_done(self) -> bool:
        return self.has_results


@dataclass(frozen=True, slots=True)
class Dashboard:
    """All of it. `month` counts the jobs that were submitted since the month began, in UTC."""

    open: list[JobRow]
    counts: dict[Status, int]
    month: dict[Status, int]
    finished: list[JobRow]
    needs: list[Need]
    services: list[Service]
    """The first of the active ones, those first that can be used least."""
    service_states: dict[str, int]
    steps: FirstSteps

    @property
    def open_total(self) -> int:
        return sum(self.counts.get(status, 0) for status in OPEN)

    @property
    def service_total(self) -> int:
        return sum(count for state, count in self.service_states.items() if state != "off")


async def get_dashboard(deps: Deps, actor: Actor) -> Dashboard:
    """Give how the actor's things stand."""
    now, pool = deps.now(), deps.pool
    wanted = JobFilter(statuses=tuple(OPEN))
    open_jobs = await db.list_rows(
        pool, actor.id, wanted, order=JobOrder.NEWEST, now=now, limit=SHOWN_JOBS, offset=0
    )
    counts = await count_own_jobs(pool, actor.id, JobFilter())
    began = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month = await count_own_jobs(pool, actor.id, JobFilter(since=began))
    finished = await db.list_finished(pool, actor.id, SHOWN_JOBS)
    credentials, _ = await list_credentials(deps, actor, limit=EVERY_SERVICE, offset=0)
    latest = next(iter([*open_jobs, *finished]), None)
    return Dashboard(
        open=open_jobs,
        counts=counts,
        month=month,
        finished=finished,
        needs=await _needs(deps, actor, credentials),
        services=await services_db.list_worst_services(pool, is_active=True, limit=SHOWN_SERVICES),
        service_states=await services_db.count_services_by_state(pool),
        steps=FirstSteps(
            has_credential=bool(credentials),
            has_job=any(counts.values()),
            has_results=bool(counts.get(Status.COMPLETED)),
            latest=latest.id if latest is not None else None,
        ),
    )


async def _needs(deps: Deps, actor: Actor, credentials: list[Held]) -> list[Need]:
    now, pool = deps.now(), deps.pool
    waiting = await db.list_held(pool, actor.id, HELD, _MAX_LISTED)
    failures = await db.list_unseen_failures(pool, actor.id, now - FAILURES_LOOK_BACK, _MAX_LISTED)
    parting = await db.list_parting(pool, actor.id, now, now + RESULTS_HORIZON, _MAX_LISTED)
    needs = [
        *_of_credentials(credentials, waiting, now),
        *_of_failures(failures),
        *_of_parting(parting, now),
    ]
    return sorted(needs, key=lambda need: need.urgency)


def _of_credentials(
    credentials: list[Held], waiting: list[JobRow], now: datetime
) -> Iterator[Need]:
    """Give what credentials and held jobs need. Jobs that wait for the same are one; so are an ailing credential and its jobs."""
    groups: dict[tuple[object, int], list[JobRow]] = {}
    for row in waiting:
        own = row.id if row.stage is Stage.DECISION_NEEDED else row.stage
        groups.setdefault((own, row.service_id), []).append(row)
    for held in credentials:
        ailment = ailment_of(held.stored, now)
        if ailment is None and not (held.stored.is_active and held.needs_confirmation):
            continue
        urgency = Urgency.SOON if ailment is Ailment.EXPIRING else Urgency.NOW
        jobs = []
        if ailment is not Ailment.EXPIRING:
            jobs = groups.pop((Stage.CREDENTIAL_NEEDED, held.service.id), [])
        yield Need(urgency, credential=held, ailment=ailment, count=len(jobs))
    for rows in groups.values():
        stage = rows[0].stage
        yield Need(HELD[stage] if stage else Urgency.NOW, held=rows[0], count=len(rows))


def _of_failures(failures: list[JobRow]) -> Iterator[Need]:
    for row in failures[:SHOWN_ALIKE]:
        yield Need(Urgency.WHEN_YOU_CAN, failed=row)
    if more := failures[SHOWN_ALIKE:]:
        yield Need(Urgency.WHEN_YOU_CAN, failed=more[0], count=len(more) + 1)


def _of_parting(parting: list[PartingResults], now: datetime) -> Iterator[Need]:
    for item in parting[:SHOWN_ALIKE]:
        is_near = item.expires_at <= now + timedelta(days=3)
        yield Need(Urgency.SOON if is_near else Urgency.WHEN_YOU_CAN, parting=item)
    if more := parting[SHOWN_ALIKE:]:
        yield Need(Urgency.WHEN_YOU_CAN, parting=more[0], count=len(more) + 1)
