"""Work that is claimed from the database piece by piece, several pieces at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def work_off(
    claim: Callable[[], Awaitable[T | None]],
    handle: Callable[[T], Awaitable[object]],
    *,
    lanes: int,
    most: int,
) -> int:
    """Claim and handle until nothing is due, or `most` were claimed; give how many.

    One that hangs does not keep the others waiting: there are up to `lanes` at a time. Each opens the next when it has found
    something, so that a look that finds nothing, as nearly all do, costs one query. Raises an ExceptionGroup of what they raised.
    """
    claimed, running = 0, 1

    async def lane() -> None:
        nonlocal claimed, running
        while claimed < most:
            claimed += 1  # before it is known, since others claim meanwhile
            if (piece := await claim()) is None:
                claimed -= 1
                break
            if running < lanes:
                running += 1
                group.create_task(lane())
            await handle(piece)
        running -= 1

    async with asyncio.TaskGroup() as group:
        group.create_task(lane())
    return claimed
