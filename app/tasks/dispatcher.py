"""Hands what is due in PostgreSQL over to the workers, every second. It is the only thing that must not be lost, and it holds nothing."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.db.analyses import ANALYSES
from app.db.engine import ENGINE
from app.usecases.credential_checks import check_credentials
from app.usecases.credential_watch import watch_ends
from app.usecases.deps import Deps
from app.usecases.engine.leases import DATABASE_AWAY
from app.usecases.engine.upkeep import ask_overdue, check_services, fold_tallies, tidy
from app.usecases.outbox import is_mail_due
from app.usecases.syncing import sync_due

log = structlog.get_logger(__name__)

MAX_PER_ROUND = 500
FOLD_EVERY_S = 60.0
TIDY_EVERY_S = 3600.0
WATCH_EVERY_S = 60.0
ANALYSES_PER_ROUND = 4


async def dispatch_once(deps: Deps) -> int:
    """Hand over everything that is due now; give how much it was."""
    now, per_service = deps.now(), deps.settings.service_max_steps
    limits = {"now": now, "per_service": per_service, "max_rows": MAX_PER_ROUND}
    steps = await ENGINE.list_due_steps.rows(deps.pool, **limits)
    for row in steps:
        key = f"{row['next_action']}:{row['id']}:{row['step_number']}"
        await deps.enqueue(row["next_action"], str(row["id"]), key=key)
    accounts = await ENGINE.list_due_accounts.rows(deps.pool, **limits)
    for row in accounts:
        await deps.enqueue(
            "submit_next", row["id"], key=f"submit:{row['id']}:{row['submit_epoch']}"
        )
    if await is_mail_due(deps.pool, now):
        await deps.enqueue("deliver_mail", key="mail")
    for row in await ANALYSES.list_due.rows(deps.pool, now=now, max_rows=ANALYSES_PER_ROUND):
        await deps.enqueue(
            "analyse", str(row["job_id"]), key=f"analyse:{row['job_id']}:{row['attempts']}"
        )
    return len(steps) + len(accounts)


async def every(seconds: float, name: str, act: Callable[[], Awaitable[object]]) -> None:
    """Do something again and again until cancelled; a failure is logged and does not end it.

    Drivers sometimes make a failure, or nothing at all, of a cancellation: it is looked for after each round.
    """
    task = asyncio.current_task()
    while True:
        try:
            await act()
        except DATABASE_AWAY as error:
            log.warning("tasks.round_failed", loop=name, reason=type(error).__name__)
        except Exception:
            log.exception("tasks.round_failed", loop=name)
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        await asyncio.sleep(seconds)


async def run_dispatcher(deps: Deps) -> None:
    """Hand over what is due until cancelled."""
    await every(deps.settings.dispatch_interval_s, "dispatch", lambda: dispatch_once(deps))


UPKEEP_AFTER_S = 0.5
"""Not while the process starts: each look takes a connection of its own, and what a start needs comes first."""


async def run_upkeep(deps: Deps) -> None:
    """Do the engine's side work until cancelled."""
    await asyncio.sleep(UPKEEP_AFTER_S)
    rounds = min(15.0, deps.settings.health_interval_s)
    async with asyncio.TaskGroup() as group:
        group.create_task(every(rounds, "overdue", lambda: ask_overdue(deps)))
        group.create_task(every(rounds / 5, "health", lambda: check_services(deps)))
        group.create_task(every(rounds, "descriptions", lambda: sync_due(deps)))
        group.create_task(every(FOLD_EVERY_S, "tallies", lambda: fold_tallies(deps)))
        group.create_task(every(TIDY_EVERY_S, "tidy", lambda: tidy(deps)))
        group.create_task(every(WATCH_EVERY_S, "ends", lambda: watch_ends(deps)))
        group.create_task(every(WATCH_EVERY_S, "credentials", lambda: check_credentials(deps)))
