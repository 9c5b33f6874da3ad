"""Running a loop beside a test, and waiting for what it does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run something until the block ends; it has to end then, within seconds."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait({task})
        if not task.cancelled():
            task.result()


async def until(holds: Callable[[], Awaitable[Any]], *, limit_s: float = 5.0) -> Any:
    """Wait until something holds; give it."""
    async with asyncio.timeout(limit_s):
        while not (found := await holds()):
            await asyncio.sleep(0.01)
        return found
