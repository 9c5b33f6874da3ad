"""The structure check for the event loop: in worker processes that end with this one, whatever happens to it."""

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import msgspec

from app.genotypes import worker
from app.genotypes.facts import InspectLimits, VcfFacts
from app.genotypes.findings import InspectionError
from app.genotypes.quality import Analysis, ResultFile
from app.genotypes.structure import DEFAULT_LIMITS

T = TypeVar("T")

GRACE_S = 10.0
"""How long after its time a worker may still answer by itself, its start included, before it is killed."""
TELL_S = 1.0
"""How often it is told how far a worker has come."""

Hear = Callable[[float, str], Awaitable[None]]
"""Hears the share of all bytes that were read (0 to 1), and the name of the file that is being read. It must not raise."""


_Told = Callable[[float, float], Awaitable[None]]
_SPAWN = multiprocessing.get_context("spawn")


class Inspector:
    """Inspects at most `max_workers` files at a time, each in a process of its own.

    A process starts when it is first needed and is kept. One that overruns its time, or whose caller gave up,
    is killed, and no other inspection notices. Use an inspector from one event loop, whose thread must outlive
    the workers: the kernel ends them together with the thread that started them.
    """

    def __init__(
        self,
        max_workers: int = 2,
        limits: InspectLimits = DEFAULT_LIMITS,
        grace_s: float = GRACE_S,
    ) -> None:
        self._limits = limits
        self._grace_s = grace_s
        self._slots = [_Slot() for _ in range(max_workers)]
        self._free: asyncio.LifoQueue[_Slot] = asyncio.LifoQueue()  # a warm worker is used first
        for slot in reversed(self._slots):
            self._free.put_nowait(slot)

    async def inspect(self, path: Path, display_name: str, timeout_s: float = 600.0) -> VcfFacts:
        """What `inspect_file` gives. Waits for a free worker; `timeout_s` counts from then on.

        Raises: StructureError; OSError; InspectionError: "timeout", "out_of_memory", or "worker_died" when
        that happened twice in a row or the inspector was closed.
        """
        limits = msgspec.structs.replace(self._limits, timeout_s=timeout_s)
        return await self._run(timeout_s, worker.inspect_here, path, display_name, limits)

    async def index(self, path: Path, timeout_s: float = 600.0) -> bytes | None:
        """The tabix index of a bgzipped VCF; None when it can have none. Raises: OSError; InspectionError as `inspect`."""
        return await self._run(timeout_s, worker.index_here, path)

    async def analyse(
        self, files: Sequence[ResultFile], timeout_s: float = 1800.0, hear: Hear | None = None
    ) -> Analysis:
        """What `analyse` of `app.genotypes.quality` gives; after `timeout_s` what was read until then. Raises InspectionError as `inspect`."""

        async def told(place: float, share: float) -> None:
            if hear is not None and files:
                await hear(share, files[int(place)].name)

        return await self._run(timeout_s, worker.analyse_here, files, timeout_s, told=told)

    async def _run(
        self, timeout_s: float, work: Callable[..., T], *args: object, told: _Told | None = None
    ) -> T:
        slot = await self._free.get()
        try:
            async with asyncio.timeout(timeout_s + self._grace_s):
                with contextlib.suppress(BrokenProcessPool):
                    return await slot.run(work, *args, told=told)
                return await slot.run(work, *args, told=told)
        except TimeoutError as error:
            raise InspectionError("timeout") from error
        except BrokenProcessPool as error:
            raise InspectionError("worker_died") from error
        finally:
            self._free.put_nowait(slot)

    async def close(self) -> None:
        """Kills the workers; inspections that still run end with InspectionError("worker_died")."""
        for slot in self._slots:
            slot.closed = True
            await slot.end()


class _Slot:
    """A pool of one process, so that killing it is nobody else's business."""

    def __init__(self) -> None:
        self.closed = False
        self._pool: ProcessPoolExecutor | None = None
        self._board = _SPAWN.RawArray(ctypes.c_double, 2)

    async def run(self, work: Callable[..., T], *args: object, told: _Told | None = None) -> T:
        """Raises: what `work` raises; BrokenProcessPool."""
        if self.closed:
            raise BrokenProcessPool("the inspector is closed")
        pool = self._pool = self._pool or _new_pool(self._board)
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

    async def end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            _kill(pool)
            await asyncio.to_thread(pool.shutdown)


def _kill(pool: ProcessPoolExecutor) -> None:
    for process in (pool._processes or {}).values():  # noqa: SLF001 - kill_workers() comes with Python 3.14
        process.kill()


def _new_pool(board: ctypes.Array[ctypes.c_double]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1,
        mp_context=_SPAWN,
        initializer=worker.prepare,
        initargs=(os.getpid(), board),
    )


def _take_error(future: asyncio.Future[T]) -> None:
    """Looks at the outcome even when the caller is gone, so that asyncio does not report it as lost."""
    if not future.cancelled():
        future.exception()
