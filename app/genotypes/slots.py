"""Processes for work that the event loop has no time for; they end with this one, whatever happens to it."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from app.genotypes import worker

T = TypeVar("T")


class Slot:
    """A pool of one process, so that killing it is nobody else's business."""

    def __init__(self, nice: int = 0) -> None:
        self.closed = False
        self._nice = nice
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """Raises: what `work` raises; BrokenProcessPool."""
        if self.closed:
            raise BrokenProcessPool("the inspector is closed")
        pool = self._pool = self._pool or _new_pool(self._nice)
        try:
            future = asyncio.wrap_future(pool.submit(work, *args))
            future.add_done_callback(_take_error)
            # Shielded: cancelling the future would not stop the worker, and would confuse its pool.
            return await asyncio.shield(future)
        except (BrokenProcessPool, asyncio.CancelledError):
            if self._pool is pool:
                self._pool = None
                _kill(pool)
                pool.shutdown(wait=False)
            raise

    def pids(self) -> list[int]:
        """The process, if it runs."""
        return list(self._pool._processes or {}) if self._pool else []  # noqa: SLF001 - as below

    async def end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            _kill(pool)
            await asyncio.to_thread(pool.shutdown)


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in (pool._processes or {}).values():  # noqa: SLF001 - kill_workers() comes with Python 3.14
        process.kill()


def _new_pool(nice: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=worker.prepare,
        initargs=(os.getpid(), nice),
    )


def _take_error(future: asyncio.Future[T]) -> None:
    """Looks at the outcome even when the caller is gone, so that asyncio does not report it as lost."""
    if not future.cancelled():
        future.exception()
