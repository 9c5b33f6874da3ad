"""Handing over what is due: all of it, again and again, and whatever fails."""

import asyncio
from collections import Counter

import asyncpg
import pytest

from app.tasks.dispatcher import dispatch_once, every, run_dispatcher, run_upkeep
from tests.engine.stage import Stage
from tests.support.people import Person
from tests.tasks.loops import beside, until


class KeyedQueue:
    """Keeps the keys under which tasks were handed over."""

    def __init__(self) -> None:
        self.keys: Counter[str] = Counter()

    async def __call__(self, task: str, *args: str | int, key: str) -> None:
        self.keys[f"{task} {key}"] += 1


async def test_dispatch_when_things_are_due_then_hands_each_over_under_the_same_key_until_it_is_taken(
    stage: Stage, dora: Person
) -> None:
    queue = KeyedQueue()
    deps = stage.process("one", enqueue=queue)
    job = await stage.submit(dora, await stage.desk(dora))
    for _ in range(3):
        await dispatch_once(deps)
        stage.clock.move(seconds=1)
    assert set(queue.keys.values()) == {3}
    assert set(queue.keys) == {f"submit_next submit:{job.account_id}:0", "deliver_mail mail"}


async def test_dispatch_when_nothing_is_due_then_hands_nothing_over(stage: Stage) -> None:
    queue = KeyedQueue()
    assert await dispatch_once(stage.process("one", enqueue=queue)) == 0
    assert not queue.keys


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), asyncpg.ConnectionDoesNotExistError("gone"), TimeoutError()]
)
async def test_round_when_it_fails_then_the_next_one_comes(error: Exception) -> None:
    rounds = 0

    async def fails() -> None:
        nonlocal rounds
        rounds += 1
        raise error

    async with beside(every(0.01, "test", fails)):

        async def several() -> bool:
            return rounds >= 3

        await until(several)


@pytest.mark.parametrize("error", [None, ZeroDivisionError(), OSError()])
async def test_round_when_a_driver_swallows_the_cancellation_then_it_is_the_last_one(
    error: Exception | None,
) -> None:
    begun = asyncio.Event()

    async def swallows() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if error is not None:
                raise error from None

    loop = asyncio.create_task(every(3600, "test", swallows))
    await begun.wait()
    loop.cancel()
    await asyncio.wait({loop}, timeout=2)
    assert loop.cancelled()


async def test_loops_when_the_database_is_away_then_go_on_when_it_is_back(
    stage: Stage, dora: Person
) -> None:
    await stage.deps.pool.execute("alter table imputation_jobs rename to hidden")
    queue = KeyedQueue()
    deps = stage.process("one", enqueue=queue)
    async with beside(run_dispatcher(deps)), beside(run_upkeep(deps)):
        await asyncio.sleep(0.1)
        await stage.deps.pool.execute("alter table hidden rename to imputation_jobs")
        await stage.submit(dora, await stage.desk(dora))

        async def handed_over() -> bool:
            return any(key.startswith("submit_next") for key in queue.keys)

        await until(handed_over)
