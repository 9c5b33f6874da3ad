"""The arq worker inside our process. It takes what was handed over and starts the steps; losing it loses nothing."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import structlog
from arq import Worker, func
from arq.connections import ArqRedis
from arq.worker import RetryJob

from app.tasks.handover import (
    ANSWER_TIMEOUT_S,
    KEPT_S,
    QUEUE,
    REDIS_AWAY,
    Enqueuer,
    open_redis,
)
from app.usecases.analyses import compute_analysis
from app.usecases.deps import Deps
from app.usecases.engine.cancellation import cancel
from app.usecases.engine.collection import collect
from app.usecases.engine.leases import DATABASE_AWAY
from app.usecases.engine.submission import submit_next
from app.usecases.outbox import deliver_due

__all__ = ["TASKS", "Enqueuer", "Steps", "run_worker"]

log = structlog.get_logger(__name__)

STEP_TIMEOUT_S = 7 * 86_400  # steps bound themselves; a submission may upload for hours
MAILS_PER_RUN = 50
POLL_DELAY_S = 0.2
SWEEP_EVERY_S = 30.0
RESTART_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STABLE_AFTER_S = 60.0
WORKER = "worker"
"""Under which a task finds its worker in what arq gives it."""

Handler = Callable[[Deps, str], Awaitable[object]]


async def _submit_next(deps: Deps, account_id: str) -> None:
    await submit_next(deps, int(account_id))


async def _collect(deps: Deps, job_id: str) -> None:
    await collect(deps, UUID(job_id))


async def _cancel(deps: Deps, job_id: str) -> None:
    await cancel(deps, UUID(job_id))


async def _deliver_mail(deps: Deps, _arg: str) -> None:
    await deliver_due(deps, MAILS_PER_RUN)


async def _analyse(deps: Deps, job_id: str) -> None:
    await compute_analysis(deps, UUID(job_id))


TASKS: dict[str, Handler] = {
    "submit_next": _submit_next,
    "collect": _collect,
    "cancel": _cancel,
    "deliver_mail": _deliver_mail,
    "analyse": _analyse,
}
ONE_AT_A_TIME = frozenset({"deliver_mail", "analyse"})
"""In a process: a mail server that hangs must not fill all places, nor analyses those of checks."""


class Steps:
    """The steps under way in this process. They end with the process, not with an arq worker that lost its Redis."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._running: dict[asyncio.Task[None], str] = {}

    async def run(self, name: str, argument: str) -> None:
        """Run a step to its end. Does nothing when there is no place for it: the dispatcher hands it over again."""
        names = list(self._running.values())
        if len(names) >= self._deps.settings.worker_max_steps:
            return
        if name in ONE_AT_A_TIME and name in names:
            return
        step = asyncio.create_task(self._run(name, argument), name=name)
        self._running[step] = name
        step.add_done_callback(self._running.pop)
        await asyncio.shield(step)

    async def _run(self, name: str, argument: str) -> None:
        try:
            await TASKS[name](self._deps, argument)
        except DATABASE_AWAY as error:
            log.warning("tasks.step_failed", task=name, reason=type(error).__name__)
        except Exception:
            # The lease runs out and the dispatcher hands the step over again.
            log.exception("tasks.step_failed", task=name, argument=argument)

    async def end(self, grace_s: float) -> None:
        """Let steps finish for a while, then cancel them; their leases are given back by the process."""
        if self._running:
            await asyncio.wait([*self._running], timeout=grace_s)
        left = [*self._running]
        for step in left:
            step.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def run_worker(deps: Deps, url: str, *, alone: bool) -> None:
    """Run the worker until cancelled; when Redis goes away it is started anew (arq's own worker just ends).

    `alone` says that no other worker uses this Redis: locks that a killed one left are cleared.
    """
    steps = Steps(deps)
    clock = asyncio.get_running_loop().time
    failures = 0
    try:
        while True:
            began = clock()
            try:
                await _run_once(deps, steps, url, alone=alone)
            except REDIS_AWAY as error:
                log.warning("tasks.worker_restarts", reason=type(error).__name__)
            except Exception:
                log.exception("tasks.worker_failed")
            failures = 0 if clock() - began > STABLE_AFTER_S else failures + 1
            await asyncio.sleep(RESTART_DELAYS_S[min(failures, len(RESTART_DELAYS_S) - 1)])
    finally:
        await steps.end(deps.settings.shutdown_grace_s)


async def _run_once(deps: Deps, steps: Steps, url: str, *, alone: bool) -> None:
    redis = open_redis(url)
    worker = _make_worker(deps, steps, redis)
    worker.is_alone = alone
    worker.main_task = asyncio.create_task(worker.main(), name="arq worker")
    try:
        await asyncio.shield(worker.main_task)
    finally:
        await worker.end()
        with contextlib.suppress(*REDIS_AWAY):
            await redis.aclose(close_connection_pool=True)


class StepWorker(Worker):
    """arq's worker with a main loop that can be ended between two commands; redis-py loses connections that are cancelled."""

    is_alone = False
    is_ending = False

    async def main(self) -> None:
        """Take what is in the queue until the end; raises what Redis's absence raises."""
        if self.is_alone:
            async for lock in self.pool.scan_iter("arq:in-progress:*"):
                await self.pool.delete(lock)
        swept = -SWEEP_EVERY_S
        while not self.is_ending:
            await self._poll_iteration()
            if self.loop.time() - swept >= SWEEP_EVERY_S:
                swept = self.loop.time()
                await self._sweep()
            await asyncio.sleep(self.poll_delay_s)

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Start one after the other, and none when it ends."""
        for job_id in job_ids:
            if self.is_ending:
                return
            await super().start_jobs([job_id])

    async def _sweep(self) -> None:
        """Remove what nobody can run any longer from the queue.

        A killed worker's entries stay there as long as its locks do, for days, and a worker looks at the oldest few hundred only.
        """
        too_old = int((time.time() - 2 * KEPT_S) * 1000)
        await self.pool.zremrangebyscore(QUEUE, "-inf", too_old)

    async def end(self) -> None:
        """End arq's side: what waits for a step lets go of it; the steps themselves go on.

        Whatever still talks to Redis is waited for: closed under its hands, redis-py would connect anew and nobody would close that.
        """
        self.is_ending = True
        deadline = self.loop.time() + 2 * ANSWER_TIMEOUT_S
        for waiting in [*self.job_tasks.values()]:
            waiting.cancel()
        if self.main_task:  # first: it may be starting something
            await asyncio.wait({self.main_task}, timeout=2 * ANSWER_TIMEOUT_S)
        tasks = {*self.tasks.values()} | ({self.main_task} if self.main_task else set())
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=max(0.0, deadline - self.loop.time()))
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _make_worker(deps: Deps, steps: Steps, redis: ArqRedis) -> StepWorker:
    worker = StepWorker(
        functions=[_task(name, steps) for name in TASKS],
        redis_pool=redis,
        queue_name=QUEUE,
        handle_signals=False,
        keep_result=0,
        max_jobs=deps.settings.worker_max_steps,
        max_tries=1_000_000,
        job_timeout=STEP_TIMEOUT_S,
        poll_delay=min(POLL_DELAY_S, deps.settings.dispatch_interval_s),
        health_check_interval=3600,
        job_serializer=redis.job_serializer,
        job_deserializer=redis.job_deserializer,
    )
    worker.ctx[WORKER] = worker
    return worker


def _task(name: str, steps: Steps) -> Any:
    async def run(ctx: dict[Any, Any], argument: str) -> None:
        if ctx[WORKER].is_ending:
            raise RetryJob  # it stays in the queue, for whoever comes next
        await steps.run(name, argument)

    return func(
        cast("Any", run), name=name, timeout=STEP_TIMEOUT_S, keep_result=0, max_tries=1_000_000
    )
