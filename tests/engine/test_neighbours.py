"""Services that hang, answer garbage, or reset every connection change nothing for the jobs of the others."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest

from app import lifespan
from app.settings import Settings
from tests.fakes.neighbour import Neighbour, neighbour_of
from tests.support.client import Client
from tests.support.jobs import ThreadInspector
from tests.support.world import Sandbox, World, open_world

MODES = ("hang", "garbage", "reset")
PEOPLE = 10
"""More accounts at each bad service than are looked at there at a time."""
GOOD_JOBS = 20
REMOTE_TIMEOUT_S = 120.0
"""Longer than the test: whoever waits for a service that hangs waits to the end."""


@pytest.fixture
async def world(
    settings: Settings,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    monkeypatch.setattr(lifespan, "Inspector", ThreadInspector)
    changes = {"remote_answer_timeout_s": REMOTE_TIMEOUT_S, "retry_base_s": 0.5, "retry_max_s": 3.0}
    opening = open_world(settings, database_url, redis_url, tmp_path, **changes)
    async with opening as opened:
        yield opened


@dataclass(slots=True)
class Street:
    """The bad services with their many jobs."""

    neighbours: dict[str, Neighbour]
    sandboxes: dict[str, Sandbox]
    jobs: dict[str, list[tuple[Client, str]]]

    async def statuses(self, pool: asyncpg.Pool) -> Counter[str]:
        ids = [job_id for jobs in self.jobs.values() for _, job_id in jobs]
        rows = await pool.fetch(
            "select status from imputation_jobs where id = any($1::uuid[])", ids
        )
        return Counter(row["status"] for row in rows)


async def settle(world: World, tiny: Path) -> Street:
    """Let ten people have a running job at each of three services, which then go bad, and submit a second one to each."""
    people = [world.alice, *[await world.client(f"person{n}") for n in range(PEOPLE - 1)]]
    street = Street({}, {}, {mode: [] for mode in MODES})
    services: dict[str, tuple[int, int]] = {}
    for mode in MODES:
        sandbox = await world.sandbox()
        sandbox.set_faults(wait_s=3600)
        front = await world.stack.enter_async_context(neighbour_of(sandbox.base))
        ids = await world.add_service(replace(sandbox, base=front.base))
        street.neighbours[mode], street.sandboxes[mode], services[mode] = front, sandbox, ids
        for person in people:
            if person is not world.alice:
                await person.store_token(ids[0], sandbox.token)
            job = await person.submit(*ids, tiny)
            street.jobs[mode].append((person, job["id"]))
    for jobs in street.jobs.values():
        for person, job_id in jobs:
            await person.until(job_id, lambda job: job["external_job_id"] is not None, limit_s=60)
    for mode, front in street.neighbours.items():
        front.turn(mode)
        for person in people:
            job = await person.submit(*services[mode], tiny)
            street.jobs[mode].append((person, job["id"]))
    return street


async def run_good_ones(world: World, ids: tuple[int, int], tiny: Path) -> float:
    """Submit the good jobs and see them complete; give how long that took, in seconds."""
    began = time.monotonic()
    jobs = [await world.alice.submit(*ids, tiny) for _ in range(GOOD_JOBS)]
    for job in jobs:
        await world.alice.until_end(job["id"], "completed", limit_s=90)
    return time.monotonic() - began


async def test_jobs_when_three_other_services_hang_babble_and_reset_then_all_complete_as_if_alone(
    world: World, tiny: Path
) -> None:
    good = await world.sandbox()
    ids = await world.add_service(good)
    alone = await run_good_ones(world, ids, tiny)
    street = await settle(world, tiny)
    calls = {mode: front.calls for mode, front in street.neighbours.items()}
    beside = await run_good_ones(world, ids, tiny)
    pool = world.platform.deps.pool
    asked = {mode: front.calls - calls[mode] for mode, front in street.neighbours.items()}
    bad = await street.statuses(pool)
    print(  # noqa: T201 - the figures are what it is for
        f"{GOOD_JOBS} jobs: {alone:.2f} s alone, {beside:.2f} s beside {bad.total()} jobs at three bad services,"
        f" which were asked meanwhile: {asked}"
    )
    assert bad == {"queued": 2 * PEOPLE * len(MODES)}, (
        "an outage is no failure, and nothing got through"
    )
    assert set(Counter(job.name for job in good.jobs()).values()) == {1}
    assert len(good.jobs()) == 2 * GOOD_JOBS
    assert street.neighbours["hang"].calls > 0
    assert asked["garbage"] > 0
    assert asked["reset"] > 0
    health = {row["base_url"]: row["health"] for row in await pool.fetch("select * from services")}
    assert health[good.base] == "up"

    # And those jobs are none the worse for it: their services come back, and each runs, once.
    for mode, front in street.neighbours.items():
        street.sandboxes[mode].set_faults()
        front.turn("pass")
    async with asyncio.timeout(120):
        while (now := await street.statuses(pool)) != {"completed": bad.total()}:
            assert now["failed"] == now["cancelled"] == 0, now
            await asyncio.sleep(0.1)
    for sandbox in street.sandboxes.values():
        assert Counter(Counter(job.name for job in sandbox.jobs()).values()) == {1: 2 * PEOPLE}
