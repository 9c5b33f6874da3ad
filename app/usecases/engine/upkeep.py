"""What the engine does on the side: asks owners of jobs that wait too long, looks at services' health, tidies up."""

from datetime import timedelta
from functools import partial

import structlog

from app.adapters.base import AdapterError, ServiceUnavailable
from app.core import health as rules
from app.core.changes import WAITS_LONG, Change
from app.core.jobs import Event, Stage, unchanged
from app.core.models import Job, Service, build
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE
from app.db.jobs import JOBS
from app.db.queries import Connection
from app.db.services import lock_service
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply
from app.usecases.engine.remote import open_adapter
from app.usecases.engine.wakeup import service_recovered
from app.usecases.files import remove_expired, remove_orphans
from app.usecases.lanes import work_off

log = structlog.get_logger(__name__)

CHECKS_AT_A_TIME = 8
MAX_CHECKS_PER_RUN = 400
MAX_OVERDUE_PER_RUN = 200
MAX_EXPIRED_ROUNDS = 500
HEALTH_KEPT = timedelta(days=35)
IDEMPOTENCY_KEPT = timedelta(days=1)
NOTICES_KEPT = timedelta(days=365)
READ_NOTICES_KEPT = timedelta(days=90)
MAILS_KEPT = timedelta(days=30)
TALLIES_KEPT = 32
MAX_FOLDED_USERS = 1000
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
    """Look at the health of the services that were not looked at for a while; give how many."""

    async def claim() -> Service | None:
        now = deps.now()
        before = now - timedelta(seconds=deps.settings.health_interval_s)
        row = await ENGINE.claim_health_check.row(deps.pool, now=now, before=before)
        return None if row is None else build(Service, row)

    return await work_off(
        claim, partial(check_service, deps), lanes=CHECKS_AT_A_TIME, most=MAX_CHECKS_PER_RUN
    )


async def check_service(deps: Deps, service: Service) -> str:
    """Look at one service with its cheapest call, note what was seen, wake its held jobs when it is back; give the state.

    A service in an administrator's maintenance is left alone: that is noted instead.
    """
    seen, message, latency_ms = rules.MAINTENANCE, service.maintenance_message, None
    if not service.maintenance:
        seen, message, latency_ms = await _ask(deps, service)
    async with deps.pool.acquire() as conn, conn.transaction():
        current = await lock_service(conn, service.id)
        if current is None or current.base_url != service.base_url:
            return rules.UNKNOWN  # removed, or moved while it was looked at
        return await note_look(deps, conn, current, seen, message, latency_ms)


async def _ask(deps: Deps, service: Service) -> tuple[str, str | None, float | None]:
    try:
        health = await open_adapter(deps, service, None).health()
    except ServiceUnavailable as error:
        return (rules.MAINTENANCE if error.maintenance else rules.DOWN), error.reason, None
    except AdapterError as error:
        return rules.DOWN, error.reason, None
    seen = rules.MAINTENANCE if health.maintenance else rules.UP
    return seen, health.message, health.latency_s * 1000


async def note_look(
    deps: Deps,
    conn: Connection,
    service: Service,
    seen: str,
    message: str | None,
    latency_ms: float | None = None,
) -> str:
    """Note what a look at a (locked) service saw; give the state that the service has now."""
    verdict = rules.judge_look(service, seen)
    if service.maintenance:
        message, latency_ms = service.maintenance_message, None
    await ENGINE.write_health.run(
        conn,
        service_id=service.id,
        now=deps.now(),
        state=verdict.state,
        seen=verdict.seen,
        failures=verdict.failures,
        latency_ms=latency_ms,
        message=message,
    )
    if verdict.recovered:
        await service_recovered(conn, service.id)
    return verdict.state


async def fold_tallies(deps: Deps) -> None:
    """Make few rows of the many that say how many jobs users have."""
    await JOBS.fold_tallies.run(deps.pool, most=TALLIES_KEPT, users=MAX_FOLDED_USERS)


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
