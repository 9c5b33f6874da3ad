"""The daily look: each stored credential is tried at its service, before a job needs it.

A service that is away teaches nothing, and nothing is marked for it. A refusal is written down and told once, and the jobs that the
credential concerns are made due, so that the engine meets the refusal itself and holds them; a good answer lets them go on.
"""

import asyncio
import random
from datetime import timedelta
from functools import partial

import structlog

from app.adapters.base import AdapterError, CredentialRejected, CredentialReport
from app.core.errors import AppError
from app.core.expiry import AWAY, GIVEN_UP, Nearness, next_check
from app.core.models import Service, StoredCredential
from app.core.notices import CredentialNews, NoticeEvent
from app.db import credential_watch as db
from app.db import credentials as credentials_db
from app.db.credential_watch import WATCH, Check, Ending
from app.db.queries import Connection
from app.logs import redact
from app.usecases import audit
from app.usecases.credential_watch import audience, tell_end
from app.usecases.credentials import OpenedCredential, open_adapter, open_own, open_shared
from app.usecases.deps import Deps
from app.usecases.engine.leases import DATABASE_AWAY
from app.usecases.engine.remote import get_service
from app.usecases.engine.wakeup import credential_doubted, credential_replaced
from app.usecases.lanes import work_off
from app.usecases.notices import announce_credential

log = structlog.get_logger(__name__)

LANES = 4
PER_SERVICE = 2
MAX_PER_RUN = 200
TIMEOUT_S = 120.0
LEASE = timedelta(seconds=300)


async def check_credentials(deps: Deps) -> int:
    """Try the credentials that are due, a few at a time and of each service fewer; give how many."""
    if deps.settings.credential_check_interval_s <= 0:
        return 0

    async def claim() -> Check | None:
        now = deps.now()
        return await db.claim_check(deps.pool, now, now + LEASE, now - GIVEN_UP, PER_SERVICE)

    return await work_off(claim, partial(_check_one, deps), lanes=LANES, most=MAX_PER_RUN)


async def _check_one(deps: Deps, check: Check) -> None:
    after = AWAY
    try:
        if await _check(deps, check):
            after = timedelta(seconds=deps.settings.credential_check_interval_s)
    except DATABASE_AWAY:
        raise
    except Exception:
        # The outermost wrapper of one look: another credential must not suffer for it.
        log.exception("credentials.check_failed", service_id=check.service_id)
    finally:
        at = next_check(deps.now(), after, random.random)
        await WATCH.end_check.run(deps.pool, id=check.id, until=check.check_until, at=at)


async def _check(deps: Deps, check: Check) -> bool:
    """Try one credential; false when the service was away, and nothing was learnt."""
    service = await get_service(deps, check.service_id)
    stored = None if check.credential_id is None else await db.get_checked(deps.pool, check)
    try:
        if check.credential_id is None:
            opened = open_shared(deps, service)
        elif stored is not None:
            opened = open_own(deps, service, stored)
        else:
            return True
        report = await _ask(deps, service, opened)
    except AppError as error:
        # It cannot be sent: the service has moved, a key is gone. Its user meets that where it is used.
        log.info("credentials.not_checked", service_id=service.id, reason=error.message)
        return True
    except (AdapterError, TimeoutError) as error:
        reason = error.reason if isinstance(error, AdapterError) else "no answer in time"
        log.info("credentials.not_checked", service_id=service.id, reason=redact(reason))
        return False
    async with deps.pool.acquire() as conn, conn.transaction():
        if stored is not None:
            await _note_own(deps, conn, service, stored, report)
        else:
            await _note_shared(deps, conn, service, check, opened, report)
    await deps.enqueue("deliver_mail", key="mail")
    return True


async def _ask(deps: Deps, service: Service, opened: OpenedCredential) -> CredentialReport:
    adapter = open_adapter(deps, service, opened.credential)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await adapter.verify_credential()
    except CredentialRejected as error:
        return CredentialReport(valid=False, message=error.reason)


async def _note_own(
    deps: Deps,
    conn: Connection,
    service: Service,
    asked: StoredCredential,
    report: CredentialReport,
) -> None:
    changed = await credentials_db.note_report(
        conn,
        asked,
        is_valid=report.valid,
        account_name=report.account_name,
        expires_at=report.expires_at,
        now=deps.now(),
    )
    if changed is None:  # replaced meanwhile: the new one has its own look
        return
    if report.valid:
        await credential_replaced(conn, service.id, asked.user_id)
    elif asked.rejected_at is None:
        ending = Ending(
            0, service.id, asked.id, asked.user_id, changed.expires_at or deps.now(), 0, None
        )
        is_over = changed.expires_at is not None and changed.expires_at <= deps.now()
        await _refused(deps, conn, service, ending, report, is_over=is_over)


async def _note_shared(
    deps: Deps,
    conn: Connection,
    service: Service,
    check: Check,
    opened: OpenedCredential,
    report: CredentialReport,
) -> None:
    now = deps.now()
    row = await WATCH.note_shared.row(
        conn,
        id=check.id,
        secret_md5=check.secret_md5,
        is_valid=report.valid,
        expires_at=report.expires_at or opened.expires_at,
        now=now,
    )
    if row is None:
        return
    if report.valid:
        await credential_replaced(conn, service.id, None)
    elif check.rejected_at is None:
        ends = row["expires_at"]
        ending = Ending(check.id, service.id, None, None, ends or now, 0, None)
        is_over = ends is not None and ends <= now
        await _refused(deps, conn, service, ending, report, is_over=is_over)


async def _refused(
    deps: Deps,
    conn: Connection,
    service: Service,
    of: Ending,
    report: CredentialReport,
    *,
    is_over: bool,
) -> None:
    """Tell a refusal (the end, where that is why), and let the engine look at the jobs that it concerns."""
    await audit.record(
        conn,
        "credential.refused",
        user_id=of.user_id,
        resource_type="credential" if of.credential_id is not None else "service",
        resource_id=of.credential_id if of.credential_id is not None else service.id,
        details={"service_id": service.id},
    )
    await credential_doubted(conn, service.id, of.user_id)
    if is_over:
        await tell_end(deps, conn, of, Nearness.OVER)
        return
    now = deps.now()
    event = NoticeEvent.CREDENTIAL_REJECTED
    news = CredentialNews(is_shared=of.credential_id is None, reason=report.message or "")
    for user_id in await audience(conn, of.user_id):
        await announce_credential(
            conn,
            user_id,
            service.id,
            event,
            news,
            key=f"credential:{of.subject}:{event}:{now.isoformat()}:{user_id}",
            settings=deps.settings,
            now=now,
        )
