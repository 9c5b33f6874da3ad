"""The structure check for the event loop: in worker processes that end with this one, whatever happens to it."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import msgspec

from app.genotypes import worker
from app.genotypes.facts import InspectLimits, VcfFacts
from app.genotypes.findings import InspectionError
from app.genotypes.following import MAX_FILES, Follower, Following
from app.genotypes.quality import Analysis, ResultFile
from app.genotypes.slots import Slot
from app.genotypes.structure import DEFAULT_LIMITS

T = TypeVar("T")

GRACE_S = 10.0
"""How long after its time a worker may still answer by itself, its start included, before it is killed."""


class Inspector:
    """Inspects at most `max_workers` files at a time, each in a process of its own; as many more follow those that still grow.

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
        self._slots = [Slot() for _ in range(max_workers)]
        self._free: asyncio.LifoQueue[Slot] = asyncio.LifoQueue()  # a warm worker is used first
        for slot in reversed(self._slots):
            self._free.put_nowait(slot)
        self._followers = [Follower() for _ in range(max_workers)]

    async def inspect(self, path: Path, display_name: str, timeout_s: float = 600.0) -> VcfFacts:
        """What `inspect_file` gives. Waits for a free worker; `timeout_s` counts from then on.

        Raises: StructureError; OSError; InspectionError: "timeout", "out_of_memory", or "worker_died" when
        that happened twice in a row or the inspector was closed.
        """
        limits = msgspec.structs.replace(self._limits, timeout_s=timeout_s)
        return await self._run(timeout_s, worker.inspect_here, path, display_name, limits)

    def follow(
        self,
        path: Path,
        display_name: str,
        count_bytes: Callable[[], int],
        timeout_s: float = 600.0,
    ) -> Following:
        """The check of a file that still grows; `count_bytes` gives how much of it stands. It says what `inspect` would."""
        limits = msgspec.structs.replace(self._limits, timeout_s=timeout_s)
        follower = min(self._followers, key=lambda each: each.files, default=None)

        async def inspect(path: Path, display_name: str) -> VcfFacts:
            return await self.inspect(path, display_name, timeout_s)

        idle = follower if follower is not None and follower.files < MAX_FILES else None
        return Following(path, display_name, count_bytes, limits, idle, inspect)

    async def index(self, path: Path, timeout_s: float = 600.0) -> bytes | None:
        """The tabix index of a bgzipped VCF; None when it can have none. Raises: OSError; InspectionError as `inspect`."""
        return await self._run(timeout_s, worker.index_here, path)

    async def analyse(self, files: Sequence[ResultFile], timeout_s: float = 1800.0) -> Analysis:
        """What `analyse` of `app.genotypes.quality` gives; after `timeout_s` what was read until then. Raises InspectionError as `inspect`."""
        return await self._run(timeout_s, worker.analyse_here, files, timeout_s)

    async def _run(self, timeout_s: float, work: Callable[..., T], *args: object) -> T:
        slot = await self._free.get()
        try:
            async with asyncio.timeout(timeout_s + self._grace_s):
                with contextlib.suppress(BrokenProcessPool):
                    return await slot.run(work, *args)
                return await slot.run(work, *args)
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
        for follower in self._followers:
            await follower.close()

    def pids(self) -> list[int]:
        """The processes that run."""
        slots = [*self._slots, *(follower.slot for follower in self._followers)]
        return [pid for slot in slots for pid in slot.pids()]
