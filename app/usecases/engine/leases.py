"""Keeping something in hand while a step works on it: the lease is extended until the block ends.

A process that dies stops extending; a process that lost its lease (it was suspended, the database was away) has its
step cancelled before somebody else's can do harm.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import asyncpg
import structlog

from app.core.models import Job
from app.db.engine import ENGINE
from app.usecases.deps import Deps

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Raised when the thing is no longer ours; whatever was not committed must not be."""


@asynccontextmanager
async def _kept(deps: Deps, extend: Callable[[], Awaitable[int]]) -> AsyncIterator[None]:
    lease_s = deps.settings.lease_s
    step = asyncio.current_task()
    lost = False

    async def keep() -> None:
        nonlocal lost
        last = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(lease_s / 3)
            try:
                held = await extend() > 0
                last = asyncio.get_running_loop().time() if held else last
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                held = asyncio.get_running_loop().time() - last < lease_s * 0.8
            if not held and step is not None:
                lost = True
                step.cancel("lease lost")
                return

    keeper = asyncio.create_task(keep(), name="lease")
    try:
        yield
    except asyncio.CancelledError:
        if lost and step is not None:
            step.uncancel()
            raise LeaseLost from None
        raise
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


def step_lease(deps: Deps, job: Job) -> AbstractAsyncContextManager[None]:
    """Keep a job's step in hand. Raises LeaseLost out of the block."""

    async def extend() -> int:
        until = deps.now() + timedelta(seconds=deps.settings.lease_s)
        return await ENGINE.extend_lease.run(
            deps.pool,
            job_id=job.id,
            step_number=job.step_number,
            owner=deps.owner,
            lease_until=until,
        )

    return _kept(deps, extend)


def account_lease(deps: Deps, account_id: int, epoch: int) -> AbstractAsyncContextManager[None]:
    """Keep an account's submissions in hand. Raises LeaseLost out of the block."""

    async def extend() -> int:
        until = deps.now() + timedelta(seconds=deps.settings.lease_s)
        return await ENGINE.extend_account.run(
            deps.pool, account_id=account_id, epoch=epoch, owner=deps.owner, lease_until=until
        )

    return _kept(deps, extend)
