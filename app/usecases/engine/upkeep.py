"""What the engine does on the side: asks owners of jobs that wait too long, looks at services' health, tidies up."""

import asyncio
from datetime import timedelta

import structlog

from app.adapters.base import AdapterError
from app.core.changes import WAITS_LONG, Change
from app.core.jobs import Event, Stage, unchanged
from app.core.models import Job, Service, build
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply
from app.usecases.engine.remote import open_adapter
from app.usecases.engine.wakeup import service_recovered
from app.usecases.files import remove_expired, remove_orphans

log = structlog.get_logger(__name__)

CHECKS_AT_A_TIME = 8
MAX_CHECKS_PER_RUN = 50
MAX_OVERDUE_PER_RUN = 200
MAX_EXPIRED_ROUNDS = 500
HEALTH_KEPT = timedelta(days=35)
IDEMPOTENCY_KEPT = timedelta(days=1)
NOTICES_KEPT = timedelta(days=365)
READ_NOTICES_KEPT = timedelta(days=90)
MAILS_KEPT = timedelta(days=30)
TEMPORARY_KEPT_S = 86_400.0


async def ask_overdue(deps: Deps) -> int:
    """Tell the owners of jobs that wait beyond their service's limit; the jobs go on waiting, they never fail for it."""
    rows = await ENGINE.list_overdue.rows(deps.pool, now=deps.now(), max_rows=MAX_OVERDUE_PER_RUN)
    told = 0
    for job in (build(Job, row) for row in rows):
        written = await apply(deps, job, _overdue(deps, job), seen=job.updated_at)
        told += int(written is not None)
    return told


def _overdue(deps: Deps, job: Job) -> Change:
    """What the job waits for, where that is known better, stays its stage and reason."""
    waits_there = job.stage is Stage.REMOTE_QUEUE
    return Change(
        Event.HOLD if job.external_job_id is None else unchanged(job.status),
        WAITS_LONG,
        Stage.WAITING_TOO_LONG if waits_there else job.stage,
        fields={"hold_reason": job.hold_reason or WAITS_LONG, "notified_waiting_at": deps.now()},
        notices=(NoticeEvent.JOB_WAITING_TOO_LONG,),
        release=False,
    )


async def check_services(deps: Deps) -> int:
    """Look at the health of the services that were not looked at for a while; give how many.

    Several at a time: one that hangs does not keep the others from being looked at.
    """
    async with asyncio.TaskGroup() as group:
        lanes = [group.create_task(_check_some(deps)) for _ in range(CHECKS_AT_A_TIME)]
    return sum(lane.result() for lane in lanes)


async def _check_some(deps: Deps) -> int:
    for done in range(MAX_CHECKS_PER_RUN):
        now = deps.now()
        before = now - timedelta(seconds=deps.settings.health_interval_s)
        row = await ENGINE.claim_health_check.row(deps.pool, now=now, before=before)
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
    async with deps.pool.acquire() as conn, conn.transaction():
        await ENGINE.write_health.run(
            conn, service_id=service.id, state=state, latency_ms=latency_ms, message=message
        )
        if state == "up" and service.health in ("down", "maintenance"):
            await service_recovered(conn, service.id)
    return state


async def tidy(deps: Deps) -> None:
    """Forget what is old enough: rows, files whose time is over, and stored bytes that no row names."""
    now = deps.now()
    await ENGINE.purge_health.run(deps.pool, before=now - HEALTH_KEPT)
    await ENGINE.purge_idempotency.run(deps.pool, before=now - IDEMPOTENCY_KEPT)
    await ENGINE.purge_notifications.run(
        deps.pool, before=now - NOTICES_KEPT, read_before=now - READ_NOTICES_KEPT
    )
    await ENGINE.purge_outbox.run(deps.pool, before=now - MAILS_KEPT)
    await deps.store.sweep_temporary(older_than_s=TEMPORARY_KEPT_S)
    removed = 0
    for _ in range(MAX_EXPIRED_ROUNDS):
        if not (some := await remove_expired(deps)):
            break
        removed += some
    orphans = await remove_orphans(deps)
    if removed or orphans:
        log.info("upkeep.files_removed", expired=removed, orphans=orphans)
