"""What the engine does on the side: asks owners of jobs that wait too long, looks at services' health, tidies up."""

from dataclasses import replace
from datetime import timedelta

import structlog

from app.adapters.base import AdapterError
from app.core.changes import Change
from app.core.jobs import Event, Stage, Status, unchanged
from app.core.models import Job, Service, build
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply
from app.usecases.engine.remote import open_adapter
from app.usecases.engine.wakeup import service_recovered

log = structlog.get_logger(__name__)

MAX_CHECKS_PER_RUN = 50
MAX_OVERDUE_PER_RUN = 200
HEALTH_KEPT = timedelta(days=35)
IDEMPOTENCY_KEPT = timedelta(days=1)


async def ask_overdue(deps: Deps) -> int:
    """Tell the owners of jobs that wait beyond their service's limit; the jobs go on waiting, they never fail for it."""
    rows = await ENGINE.list_overdue.rows(deps.pool, now=deps.now(), max_rows=MAX_OVERDUE_PER_RUN)
    told = 0
    for job in (build(Job, row) for row in rows):
        said = "The job has waited longer than expected; it goes on waiting. You can cancel it and choose another service"
        event = Event.HOLD if job.external_job_id is None else unchanged(job.status)
        fields = {"hold_reason": said, "notified_waiting_at": deps.now()}
        stage = Stage.WAITING_TOO_LONG if job.external_job_id else job.stage
        change = Change(
            event, said, stage, fields=fields, notices=(NoticeEvent.JOB_WAITING_TOO_LONG,)
        )
        if job.status is Status.PENDING:
            continue
        told += int(await apply(deps, job, replace(change, release=False)) is not None)
    return told


async def check_services(deps: Deps) -> int:
    """Look at the health of the services that were not looked at for a while; give how many."""
    for done in range(MAX_CHECKS_PER_RUN):
        before = deps.now() - timedelta(seconds=deps.settings.health_interval_s)
        row = await ENGINE.claim_health_check.row(deps.pool, now=deps.now(), before=before)
        if row is None:
            return done
        await check_service(deps, build(Service, row))
    return MAX_CHECKS_PER_RUN


async def check_service(deps: Deps, service: Service) -> str:
    """Look at one service with its cheapest call, note what was seen, wake its held jobs when it is back; give the state."""
    latency_ms: float | None = None
    try:
        health = await open_adapter(deps, service, None).health()
        state = "maintenance" if health.maintenance else "up"
        message, latency_ms = health.message, health.latency_s * 1000
    except AdapterError as error:
        state, message = "down", error.reason
    await ENGINE.write_health.run(
        deps.pool, service_id=service.id, state=state, latency_ms=latency_ms, message=message
    )
    if state == "up" and service.health in ("down", "maintenance"):
        await service_recovered(deps.pool, service.id)
    return state


async def tidy(deps: Deps) -> None:
    """Forget what is old enough."""
    now = deps.now()
    await ENGINE.purge_health.run(deps.pool, before=now - HEALTH_KEPT)
    await ENGINE.purge_idempotency.run(deps.pool, before=now - IDEMPOTENCY_KEPT)
    await deps.store.sweep_temporary(older_than_s=86_400.0)
