"""The arq worker inside our process. Redis is disposable: whatever is lost there is handed over again from PostgreSQL.

Keys of tasks carry the step and the minute, so neither a kept key nor the in-progress lock of a killed worker (which
arq keeps for its longest time limit plus 10 s) can hold a step back for longer than a minute.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import msgspec
import structlog
from arq import Worker, create_pool, func
from arq.connections import ArqRedis, RedisSettings
from redis.exceptions import RedisError

from app.usecases.deps import Deps
from app.usecases.engine.cancellation import cancel
from app.usecases.engine.collection import collect
from app.usecases.engine.submission import submit_next
from app.usecases.outbox import deliver_due

log = structlog.get_logger(__name__)

QUEUE = "fip:steps"
STEP_TIMEOUT_S = 7 * 86_400  # steps bound themselves; a submission may upload for hours
MAILS_PER_RUN = 50
RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)

Handler = Callable[[Deps, str], Awaitable[object]]


async def _submit_next(deps: Deps, account_id: str) -> None:
    await submit_next(deps, int(account_id))


async def _collect(deps: Deps, job_id: str) -> None:
    await collect(deps, UUID(job_id))


async def _cancel(deps: Deps, job_id: str) -> None:
    await cancel(deps, UUID(job_id))


async def _deliver_mail(deps: Deps, _arg: str) -> None:
    await deliver_due(deps, MAILS_PER_RUN)


TASKS: dict[str, Handler] = {
    "submit_next": _submit_next,
    "collect": _collect,
    "cancel": _cancel,
    "deliver_mail": _deliver_mail,
}


def redis_settings(url: str) -> RedisSettings:
    """Read a Redis URL; `unix:///path` for a socket."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_retries = 1
    return settings


async def connect(url: str) -> ArqRedis:
    """Open a Redis pool that speaks JSON. Raises RedisError or OSError."""
    return await create_pool(
        redis_settings(url),
        job_serializer=msgspec.json.encode,
        job_deserializer=msgspec.json.decode,
        default_queue_name=QUEUE,
    )


class Enqueuer:
    """Hands steps over to whichever worker is free. Never raises: the dispatcher finds again what got lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: ArqRedis | None = None

    async def __call__(self, task: str, *args: str | int, key: str) -> None:
        """Enqueue a task once for each key and minute."""
        try:
            async with asyncio.timeout(2.0):
                if self._redis is None:
                    self._redis = await connect(self._url)
                name = f"{key}:{int(time.time() // 60)}"
                argument = str(args[0]) if args else ""
                await self._redis.enqueue_job(task, argument, _job_id=name, _expires=60_000)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("tasks.not_enqueued", task=task, reason=type(error).__name__)

    async def ping(self) -> bool:
        """Tell whether Redis answers."""
        try:
            async with asyncio.timeout(2.0):
                if self._redis is None:
                    self._redis = await connect(self._url)
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()


def _task(name: str, handler: Handler, deps: Deps) -> Any:
    async def run(_ctx: dict[Any, Any], argument: str) -> None:
        try:
            await handler(deps, argument)
        except Exception:
            # The lease runs out and the dispatcher hands the step over again.
            log.exception("tasks.step_failed", task=name, argument=argument)

    return func(
        cast("Any", run), name=name, timeout=STEP_TIMEOUT_S, keep_result=0, max_tries=1_000_000
    )


async def run_worker(deps: Deps, url: str, *, alone: bool) -> None:
    """Run the worker until cancelled; when Redis goes away it is started anew (arq's own worker just ends).

    `alone` says that no other worker uses this Redis: locks that a killed one left are cleared.
    """
    failures = 0
    while True:
        try:
            await _run_once(deps, url, alone=alone)
        except (RedisError, OSError) as error:
            log.warning("tasks.worker_restarts", reason=type(error).__name__)
        except Exception:
            log.exception("tasks.worker_failed")
        await asyncio.sleep(RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)])
        failures += 1


async def _run_once(deps: Deps, url: str, *, alone: bool) -> None:
    pool = await connect(url)
    if alone:
        async for lock in pool.scan_iter("arq:in-progress:*"):
            await pool.delete(lock)
    worker = Worker(
        functions=[_task(name, handler, deps) for name, handler in TASKS.items()],
        redis_pool=pool,
        queue_name=QUEUE,
        handle_signals=False,
        keep_result=0,
        max_jobs=deps.settings.worker_max_steps,
        max_tries=1_000_000,
        job_timeout=STEP_TIMEOUT_S,
        poll_delay=0.2,
        health_check_interval=3600,
        job_serializer=msgspec.json.encode,
        job_deserializer=msgspec.json.decode,
    )
    try:
        await worker.async_run()
    finally:
        await _end(worker, pool, deps.settings.shutdown_grace_s)


async def _end(worker: Worker, pool: ArqRedis, grace_s: float) -> None:
    """Let steps finish for a while, then cancel them: their leases are given back or run out.

    Done here and not by `Worker.close`, which takes Redis's absence, or a warning of its driver, for a reason to raise, and so
    would turn the cancellation that brought us here into an ordinary failure.
    """
    worker.allow_pick_jobs = False
    tasks = [*worker.tasks.values()]
    if worker.main_task is not None:
        worker.main_task.cancel()
        await asyncio.gather(worker.main_task, return_exceptions=True)
    if tasks:
        await asyncio.wait(tasks, timeout=grace_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        await pool.aclose(close_connection_pool=True)
