"""Whether what the platform needs works: database, Redis, storage."""

import asyncio
from collections.abc import Awaitable

import structlog

from app.keys import REDIS_PING
from app.web.endpoint import Call

log = structlog.get_logger(__name__)

_CHECK_TIMEOUT_S = 3.0


async def check_all(call: Call) -> dict[str, bool]:
    """Give whether each thing that is needed works now."""
    checks: dict[str, Awaitable[object]] = {
        "database": call.deps.pool.fetchval("select 1"),
        "redis": _redis(call),
        "storage": call.deps.store.check_writable(),
    }
    results = await asyncio.gather(*(_check(name, check) for name, check in checks.items()))
    return dict(zip(checks, results, strict=True))


async def _redis(call: Call) -> None:
    if not await call.request.app[REDIS_PING]():
        raise ConnectionError("Redis does not answer")


async def _check(name: str, check: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            await check
    except Exception as error:  # noqa: BLE001 - whatever a check meets means that it failed
        log.warning("health.failing", check=name, kind=type(error).__name__)
        return False
    return True
