"""A run under way, and how it is stopped."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TypeVar

from app.sandbox.engine.model import Cancellation, Cancelled

T = TypeVar("T")


class Underway:
    """A run under way: ``halt`` stops its engine and ends its waiting."""

    def __init__(self) -> None:
        self.cancel = Cancellation()
        self._halted = asyncio.Event()

    def halt(self) -> None:
        self.cancel.cancel()
        self._halted.set()

    async def stoppable(self, work: Coroutine[None, None, T]) -> T:
        """Do ``work`` unless halted before its end. Raises ``Cancelled``."""
        task = asyncio.ensure_future(work)
        halted = asyncio.ensure_future(self._halted.wait())
        try:
            await asyncio.wait({task, halted}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Cancelled
            return task.result()
        finally:
            task.cancel()
            halted.cancel()
            await asyncio.gather(task, halted, return_exceptions=True)

    async def linger(self, seconds: float) -> None:
        """Wait, unless halted."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._halted.wait()
