"""Processes for work that the event loop has no time for; they end with this one, whatever happens to it."""

import asyncio
import ctypes
import multiprocessing
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from app.genotypes import worker

T = TypeVar("T")

TELL_S = 1.0
"""How often it is told how far a worker has come."""

Told = Callable[[float, float], Awaitable[None]]
"""Hears which file is being read, by its place, and the share of all bytes that were read (0 to 1)."""
_SPAWN = multiprocessing.get_context("spawn")


class Slot:
    """A pool of one process, so that killing it is nobody else's business."""

    def __init__(self, nice: int = 0) -> None:
        self.closed = False
        self._nice = nice
        self._pool: ProcessPoolExecutor | None = None
        self._board = _SPAWN.RawArray(ctypes.c_double, 2)

    async def run(self, work: Callable[..., T], *args: object, told: Told | None = None) -> T:
        """Raises: what `work` raises; BrokenProcessPool."""
        if self.closed:
            raise BrokenProcessPool("the inspector is closed")
        pool = self._pool = self._pool or _new_pool(self._nice, self._board)
        self._board[0] = self._board[1] = 0.0
        try:
            future = asyncio.wrap_future(pool.submit(work, *args))
            future.add_done_callback(_take_error)
            while told and not (await asyncio.wait([future], timeout=TELL_S))[0]:
                await told(*self._board)
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


def _new_pool(nice: int, board: ctypes.Array[ctypes.c_double]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=_SPAWN,
        initializer=worker.prepare,
        initargs=(os.getpid(), board, nice),
    )


def _take_error(future: asyncio.Future[T]) -> None:
    """Looks at the outcome even when the caller is gone, so that asyncio does not report it as lost."""
    if not future.cancelled():
        future.exception()
