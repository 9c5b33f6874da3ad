"""The arq worker: it comes and goes with Redis, the steps that it started do not."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio

from app.tasks import worker as module
from app.tasks.handover import QUEUE, Enqueuer
from app.tasks.worker import Steps, run_worker
from app.usecases.deps import Deps
from tests.engine.stage import Stage
from tests.tasks.loops import beside, until


class Handlers:
    """Stand for the engine's steps: they count, and wait until they may end."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self.may_end = asyncio.Event()

    async def run(self, _deps: Deps, argument: str) -> None:
        self.begun[argument] += 1
        if argument == "breaks":
            raise ZeroDivisionError
        try:
            if argument.startswith("long"):
                await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled[argument] += 1
            raise
        self.ended[argument] += 1


@pytest.fixture
async def handlers(monkeypatch: pytest.MonkeyPatch) -> Handlers:
    made = Handlers()
    monkeypatch.setattr(module, "TASKS", {"collect": made.run, "deliver_mail": made.run})
    monkeypatch.setattr(module, "RESTART_DELAYS_S", (0.05,))
    return made


@pytest.fixture
async def enqueue(redis_url: str) -> Any:
    made = Enqueuer(redis_url)
    yield made
    await made.close()


async def happened(counter: Counter[str], what: str, times: int = 1) -> None:
    async def enough() -> bool:
        return counter[what] >= times

    await until(enough)


async def test_step_when_redis_drops_all_connections_then_goes_on_and_others_follow(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    async with beside(run_worker(stage.deps, redis_url, alone=False)):
        await enqueue("collect", "long", key="1")
        await happened(handlers.begun, "long")
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            for _ in range(2):
                await client.client_kill_filter(_type="normal", skipme=True)
                await client.flushall()
                await asyncio.sleep(0.3)

        async def handed_over() -> bool:
            await enqueue("collect", "short", key="2")
            return handlers.ended["short"] > 0

        await until(handed_over)
        assert handlers.cancelled["long"] == 0
        handlers.may_end.set()
        await happened(handlers.ended, "long")
    assert handlers.begun["long"] == 1


async def test_worker_when_killed_ones_left_hundreds_of_entries_and_locks_then_still_sees_what_is_new(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    old = int((time.time() - 600) * 1000)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        for number in range(500):
            await client.zadd(QUEUE, {f"dead:{number}": old})
            await client.set(f"arq:in-progress:dead:{number}", b"1", ex=600_000)
        async with beside(run_worker(stage.deps, redis_url, alone=False)):
            await enqueue("collect", "new", key="new")
            await happened(handlers.ended, "new")
            assert await client.zcard(QUEUE) <= 1


async def test_worker_when_alone_then_clears_the_locks_of_the_one_before(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    await enqueue("collect", "locked", key="k")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        (name,) = await client.zrange(QUEUE, 0, -1)
        await client.set(b"arq:in-progress:" + name, b"1")
        async with beside(run_worker(stage.deps, redis_url, alone=True)):
            await happened(handlers.ended, "locked")


async def test_worker_when_a_step_breaks_then_goes_on(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    async with beside(run_worker(stage.deps, redis_url, alone=False)):
        await enqueue("collect", "breaks", key="1")
        await happened(handlers.begun, "breaks")
        await enqueue("collect", "good", key="2")
        await happened(handlers.ended, "good")


async def test_worker_when_it_is_ended_then_gives_its_steps_a_while_and_then_cancels_them(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    async with beside(run_worker(stage.deps, redis_url, alone=False)):
        await enqueue("collect", "long one", key="1")
        await happened(handlers.begun, "long one")
    assert handlers.cancelled["long one"] == 1
    patient = stage.process("patient", settings=replace(stage.deps.settings, shutdown_grace_s=5.0))
    async with beside(run_worker(patient, redis_url, alone=False)):
        await enqueue("collect", "long two", key="2")
        await happened(handlers.begun, "long two")
        asyncio.get_running_loop().call_later(0.1, handlers.may_end.set)
    assert (handlers.ended["long two"], handlers.cancelled["long two"]) == (1, 0)


async def test_worker_when_ended_at_any_moment_then_ends(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    for moment in range(15):
        async with beside(run_worker(stage.deps, redis_url, alone=bool(moment % 2))):
            await enqueue("collect", f"{moment}", key=f"{moment}")
            await asyncio.sleep(moment / 100)


async def test_worker_when_ended_while_it_takes_steps_then_ends_at_once_and_leaves_no_connection(
    stage: Stage, redis_url: str, handlers: Handlers, enqueue: Enqueuer
) -> None:
    """It was seen to start, on its way out, what nobody waited for any longer."""
    loop = asyncio.get_running_loop()
    async with redis.asyncio.Redis.from_url(redis_url) as client:

        async def only_ours() -> bool:
            connections = {item["id"] for item in await client.client_list()}
            return connections == ours

        for moment in range(20):
            await asyncio.gather(
                *(enqueue("collect", f"long {n}", key=f"{moment}.{n}") for n in range(5))
            )
            ours = {item["id"] for item in await client.client_list()}
            async with beside(run_worker(stage.deps, redis_url, alone=False)):
                await asyncio.sleep(moment / 1000)
                ending = loop.time()
            assert loop.time() - ending < 2.0, moment
            await until(only_ours)


async def test_mail_when_its_server_hangs_then_takes_one_place_and_no_more(
    stage: Stage, handlers: Handlers
) -> None:
    steps = Steps(stage.deps)
    first = asyncio.create_task(steps.run("deliver_mail", "long mail"))
    await happened(handlers.begun, "long mail")
    await asyncio.gather(*(steps.run("deliver_mail", "long mail") for _ in range(20)))
    await steps.run("collect", "a job")
    assert handlers.begun == {"long mail": 1, "a job": 1}
    handlers.may_end.set()
    await first
    await steps.run("deliver_mail", "next")
    assert handlers.ended["next"] == 1
    await steps.end(1.0)


async def test_steps_when_there_is_no_place_then_are_left_for_the_dispatcher(
    stage: Stage, handlers: Handlers
) -> None:
    narrow = stage.process("narrow", settings=replace(stage.deps.settings, worker_max_steps=2))
    steps = Steps(narrow)
    running = [asyncio.create_task(steps.run("collect", f"long {n}")) for n in range(2)]
    await happened(handlers.begun, "long 1")
    await steps.run("collect", "third")
    assert handlers.begun["third"] == 0
    handlers.may_end.set()
    await asyncio.gather(*running)
    await steps.end(1.0)
