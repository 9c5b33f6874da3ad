"""Worker processes of the structure check that outlive a test: starting one takes a second."""

import ctypes
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from typing import ClassVar

from app.genotypes.inspector import Inspector
from app.genotypes.slots import Slot


class KeptInspector(Inspector):
    """The real inspector, except that idle workers wait for the next one when it is closed."""

    _idle: ClassVar[dict[int, list[tuple[ProcessPoolExecutor, ctypes.Array[ctypes.c_double]]]]] = (
        defaultdict(list)
    )
    """By how nice they are: each with the memory that it shares."""

    def __init__(self, max_workers: int = 2) -> None:
        super().__init__(max_workers)
        followers = [follower.slot for follower in self._followers]
        for slot in (*reversed(self._slots), *followers):  # the order in which they are used
            if idle := self._idle[slot._nice]:
                slot._pool, slot._board = idle.pop()

    async def close(self) -> None:
        while not self._free.empty():
            self._keep(self._free.get_nowait())
        for follower in self._followers:
            if not follower.files and not follower._steps:
                self._keep(follower.slot)
        await super().close()

    def _keep(self, slot: Slot) -> None:
        slot.closed = True
        if slot._pool is not None:
            self._idle[slot._nice].append((slot._pool, slot._board))
            slot._pool = None

    @classmethod
    def end(cls) -> None:
        """End the workers that wait."""
        for idle in cls._idle.values():
            while idle:
                idle.pop()[0].shutdown()
