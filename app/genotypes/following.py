"""The structure check while the upload still streams: what has arrived is read along, so that the end is judged at once.

The check reads 50 to 150 MB/s of compressed genotypes on one processor (bench/structure.py), which is less than a fast network
brings: begun behind the last byte it was most of what an upload waited for. Now that wait is one step, whatever the size.

A follower process holds the state of several checks and takes them on in turns, in steps of some 50 ms. So it never waits for a
client, slow or gone, and a file that nobody wants any more is forgotten between two steps; no process is killed for it. It runs
at a low priority: requests come first. Following is a convenience only. Wherever it fails - too many files at once, the process
was killed, the file was small - the file is checked when it is whole, and says the same.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Self, TypeVar

from app.genotypes import worker
from app.genotypes.facts import InspectLimits, VcfFacts
from app.genotypes.findings import InspectionError
from app.genotypes.slots import Slot

T = TypeVar("T")

STEP_BYTES = 1024 * 1024
"""So much must have arrived before it is looked at: what is left at the end takes 20 ms."""
MAX_FILES = 16
"""Files that one follower has in hand; each takes it some MiB of memory."""
NICENESS = 5
_LOOK_EVERY_S = 0.05
_STEP_TIMEOUT_S = 60.0
"""A step takes 0.1 s, and the first one the start of the process as well: what takes so long hangs."""

_numbers = itertools.count(1)


class Follower:
    """One process that takes the files in hand on in turns. It starts when it is first needed and is kept."""

    def __init__(self) -> None:
        self.slot = Slot(NICENESS)
        self.files = 0
        self._turn = asyncio.Lock()  # first come, first served
        self._steps: set[asyncio.Task[object]] = set()

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """One step. Whoever gives up waiting for it leaves the process, and the others' files, alone.

        Raises: what `work` raises; BrokenProcessPool; TimeoutError.
        """
        step = asyncio.ensure_future(self._run(work, *args))
        self._steps.add(step)
        step.add_done_callback(self._end)
        return await asyncio.shield(step)

    async def close(self) -> None:
        self.slot.closed = True
        await self.slot.end()
        if self._steps:
            await asyncio.wait(self._steps)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        async with self._turn, asyncio.timeout(_STEP_TIMEOUT_S):
            return await self.slot.run(work, *args)

    def _end(self, step: asyncio.Task[object]) -> None:
        self._steps.discard(step)
        if not step.cancelled():
            step.exception()  # it was told, or nobody waits for it


class Following:
    """The check of one file that still grows. Use it with `async with`, while the file is there."""

    def __init__(
        self,
        path: Path,
        display_name: str,
        count_bytes: Callable[[], int],
        limits: InspectLimits,
        follower: Follower | None,
        inspect: Callable[[Path, str], Awaitable[VcfFacts]],
    ) -> None:
        self._path = path
        self._name = display_name
        self._count_bytes = count_bytes
        self._limits = limits
        self._follower = follower
        self._inspect = inspect
        self._number = next(_numbers)
        self._is_begun = False
        self._ended = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._follower is not None:
            self._follower.files += 1
            self._reading = asyncio.create_task(self._read_along(self._follower))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Forget the file. Behind it the process has no hand on it any more."""
        follower, self._follower = self._follower, None
        if follower is None:
            return
        await self._stop()
        follower.files -= 1
        if self._is_begun:
            with contextlib.suppress(
                BrokenProcessPool, TimeoutError
            ):  # dead, which comes to the same
                await follower.run(worker.forget_here, self._number)

    async def finish(self) -> VcfFacts:
        """What the file holds, which is whole now. Raises: as `Inspector.inspect`."""
        await self._stop()
        if self._follower is not None and self._is_begun:
            try:
                while not await self._step(self._follower, self._count_bytes()):
                    pass
                return await self._follower.run(worker.finish_here, self._number)
            except (InspectionError, BrokenProcessPool, TimeoutError):
                pass  # it is checked once more below, alone in a process
        return await self._inspect(self._path, self._name)

    async def _stop(self) -> None:
        self._ended.set()
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def _read_along(self, follower: Follower) -> None:
        seen_bytes = 0
        with contextlib.suppress(
            InspectionError, BrokenProcessPool, OSError
        ):  # `finish` comes upon it again
            while not self._ended.is_set():
                if (size := self._count_bytes()) - seen_bytes < STEP_BYTES:
                    await self._look_later()
                elif await self._step(follower, size):
                    seen_bytes = size

    async def _look_later(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._ended.wait()

    async def _step(self, follower: Follower, stop: int) -> bool:
        begin = None if self._is_begun else (self._path, self._name, self._limits)
        self._is_begun = True
        return await follower.run(worker.follow_here, self._number, stop, begin)
