"""Keeping something in hand while a step works on it: the lease is extended until the block ends.

A process that dies stops extending. A process that lost its lease (it was suspended, the database was away) has its step
cancelled before somebody else's can do harm; a step that nobody wants any longer is cancelled likewise.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import asyncpg
import structlog

from app.core.jobs import Action
from app.core.models import Job
from app.db.engine import ENGINE
from app.usecases.deps import Deps
from app.usecases.engine.remote import retry_at

log = structlog.get_logger(__name__)

DATABASE_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What asyncpg raises when nothing can be said about what it was asked."""
GIVE_BACK_TIMEOUT_S = 2.0
_OURS = "Something went wrong on this platform, not at the service; it is tried again"
_SAFE = 0.8
"""Of the lease: beyond it the step ends, so that it is over when another process may begin."""


class LeaseLost(Exception):
    """Raised when the thing is no longer ours; whatever was not committed must not be."""


class StopRequested(Exception):
    """Raised when the owner meanwhile wants the job stopped."""


Extend = Callable[[], Awaitable[type[Exception] | None]]
"""Extends a lease; gives why the step has to end, if it has."""


class Lease:
    """A lease in hand. Times are those of the event loop, which goes on while the process is suspended."""

    def __init__(self, lease_s: float, extend: Extend) -> None:
        self._lease_s = lease_s
        self._extend = extend
        self._good_until = asyncio.get_running_loop().time() + lease_s * _SAFE
        self.ended_by: type[Exception] | None = None

    def check(self) -> None:
        """Return while the lease is surely good. Raises LeaseLost: for what must not happen after a process was suspended."""
        if self.ended_by is LeaseLost or asyncio.get_running_loop().time() > self._good_until:
            raise LeaseLost

    async def keep(self, step: "asyncio.Task[object]") -> None:
        """Extend it again and again; when it has ended, cancel the step."""
        while self.ended_by is None:
            await asyncio.sleep(self._lease_s / 3)
            self.ended_by = await self._extended()
        step.cancel("the lease has ended")

    async def _extended(self) -> type[Exception] | None:
        began = asyncio.get_running_loop().time()
        if began > self._good_until:
            return LeaseLost
        try:
            async with asyncio.timeout_at(self._good_until):
                reason = await self._extend()
        except DATABASE_AWAY:
            return LeaseLost if asyncio.get_running_loop().time() > self._good_until else None
        self._good_until = began + self._lease_s * _SAFE
        return reason


@asynccontextmanager
async def _kept(deps: Deps, extend: Extend) -> AsyncIterator[Lease]:
    step = asyncio.current_task()
    if step is None:
        raise RuntimeError("a lease is kept for a task")
    lease = Lease(deps.settings.lease_s, extend)
    keeper = asyncio.create_task(lease.keep(step), name="lease")
    try:
        yield lease
    except asyncio.CancelledError:
        # Cancelled by the keeper alone, or from outside too? Then the latter wins.
        if lease.ended_by is None or step.uncancel() > 0:
            raise
        raise lease.ended_by from None
    finally:
        keeper.cancel()
        try:
            await asyncio.gather(keeper, return_exceptions=True)
        except asyncio.CancelledError:
            # The block had just ended when the keeper cancelled it.
            if lease.ended_by is None or step.uncancel() > 0:
                raise


@asynccontextmanager
async def step_lease(deps: Deps, job: Job) -> AsyncIterator[Lease]:
    """Keep a job's step in hand. Raises LeaseLost or StopRequested out of the block."""

    async def extend() -> type[Exception] | None:
        until = deps.now() + timedelta(seconds=deps.settings.lease_s)
        row = await ENGINE.extend_lease.row(deps.pool, **_fence(deps, job), lease_until=until)
        if row is None:
            return LeaseLost
        return StopRequested if row["is_unwanted"] and job.next_action != Action.CANCEL else None

    async with _kept(deps, extend) as lease:
        yield lease


@asynccontextmanager
async def account_lease(deps: Deps, account_id: int, epoch: int) -> AsyncIterator[Lease]:
    """Keep an account's submissions in hand. Raises LeaseLost out of the block."""

    async def extend() -> type[Exception] | None:
        until = deps.now() + timedelta(seconds=deps.settings.lease_s)
        held = await ENGINE.extend_account.run(
            deps.pool, account_id=account_id, epoch=epoch, owner=deps.owner, lease_until=until
        )
        return None if held else LeaseLost

    async with _kept(deps, extend) as lease:
        yield lease


@asynccontextmanager
async def guarded_step(deps: Deps, job: Job) -> AsyncIterator[Lease]:
    """Keep a job's step in hand, and give it back whatever happens in the block; nothing but a cancellation comes out of it.

    A step that breaks is tried again later and later: the trouble is ours, so the job does not fail for it.
    """
    try:
        async with step_lease(deps, job) as lease:
            yield lease
    except LeaseLost:
        log.warning("engine.lease_lost", job_id=str(job.id))
    except StopRequested:
        log.info("engine.step_stopped", job_id=str(job.id))
        await _give_back(deps, job, None)
        await deps.enqueue("cancel", str(job.id), key=f"cancel:{job.id}:{job.step_number}")
    except DATABASE_AWAY as error:
        log.warning("engine.step_failed", job_id=str(job.id), reason=type(error).__name__)
        await _give_back(deps, job, retry_at(deps, job.failures + 1))
    except Exception:
        log.exception("engine.step_failed", job_id=str(job.id), action=job.next_action)
        await _give_back(deps, job, retry_at(deps, job.failures + 1))


async def _give_back(deps: Deps, job: Job, until: datetime | None) -> None:
    """Give a step back, until later where a time is given; where even that fails, its lease runs out."""
    try:
        if until is None:
            await ENGINE.release_step.run(deps.pool, **_fence(deps, job))
        else:
            await ENGINE.postpone_step.run(deps.pool, **_fence(deps, job), at=until, reason=_OURS)
    except DATABASE_AWAY as error:
        log.warning("engine.not_given_back", job_id=str(job.id), reason=type(error).__name__)


def _fence(deps: Deps, job: Job) -> dict[str, object]:
    return {"job_id": job.id, "step_number": job.step_number, "owner": deps.owner}


async def give_leases_back(deps: Deps) -> None:
    """At the orderly end of a process: give back what is left in its hands, as far as the database is there."""
    try:
        async with asyncio.timeout(GIVE_BACK_TIMEOUT_S):
            await ENGINE.give_leases_back.run(deps.pool, owner=deps.owner)
    except DATABASE_AWAY as error:
        log.warning("engine.leases_not_given_back", reason=type(error).__name__)
