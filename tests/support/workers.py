"""Worker processes of the structure check that outlive a test: starting one takes a second."""

from concurrent.futures import ProcessPoolExecutor
from typing import ClassVar

from app.genotypes.inspector import Inspector


class KeptInspector(Inspector):
    """The real inspector, except that idle workers wait for the next one when it is closed."""

    _idle: ClassVar[list[ProcessPoolExecutor]] = []

    def __init__(self, max_workers: int = 2) -> None:
        super().__init__(max_workers)
        for slot in reversed(self._slots):  # the order in which they are used
            slot._pool = self._idle.pop() if self._idle else None

    async def close(self) -> None:
        while not self._free.empty():
            slot = self._free.get_nowait()
            slot.closed = True
            if slot._pool is not None:
                self._idle.append(slot._pool)
                slot._pool = None
        await super().close()

    @classmethod
    def end(cls) -> None:
        """End the workers that wait."""
        while cls._idle:
            cls._idle.pop().shutdown()
