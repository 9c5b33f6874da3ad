"""One connection listens for everybody; whatever happens to it, no stream misses an update or gets one twice."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.core.errors import NotFound, RateLimited, Unavailable
from app.db.events import JobEvent, list_events_by_id
from app.usecases import events
from app.usecases.deps import Deps
from app.usecases.events import MAX_WAITING, EventHub, Stream, find_start, follow
from tests.support.notices import add_job, add_service, add_update
from tests.support.people import Person

LISTENERS = (
    "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen %'"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RECONNECT_DELAYS_S", (0.05,))
    monkeypatch.setattr(events, "REREAD_DELAY_S", 0.05)


@pytest.fixture
async def hub(pool: asyncpg.Pool) -> AsyncIterator[EventHub]:
    hub = EventHub(pool, heartbeat_s=0.2)
    task = asyncio.create_task(hub.run())
    async with asyncio.timeout(5):
        await hub.listening.wait()
    yield hub
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def job(deps: Deps, alice: Person) -> UUID:
    return await add_job(deps.pool, alice.id, await add_service(deps.pool))


class Follower:
    """Follows a stream and keeps what it gave."""

    def __init__(
        self, hub: EventHub, pool: asyncpg.Pool, user_id: int, job_id: UUID | None
    ) -> None:
        self.events: list[JobEvent] = []
        self.beats = 0
        self.ready = asyncio.Event()
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._run(hub, pool, user_id, job_id))

    async def _run(
        self, hub: EventHub, pool: asyncpg.Pool, user_id: int, job_id: UUID | None
    ) -> None:
        with hub.open(user_id, job_id) as stream:
            start = await find_start(pool, stream, 0)
            self.ready.set()
            async for batch in follow(pool, stream, start.after, hub.heartbeat_s):
                self.events += batch
                self.beats += not batch
                self._changed.set()

    @property
    def ids(self) -> list[int]:
        return [event.id for event in self.events]

    async def until(self, count: int) -> None:
        """Wait until so many events have come."""
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def kill_listener(pool: asyncpg.Pool, hub: EventHub) -> None:
    """End the connection that listens, and wait until the hub has noticed."""
    [pid] = [row["pid"] for row in await pool.fetch(LISTENERS)]
    await pool.execute("select pg_terminate_backend($1)", pid)
    async with asyncio.timeout(5):
        while hub.listening.is_set():
            await asyncio.sleep(0.005)


async def test_follow_when_updates_are_written_then_they_come_in_order_with_the_job(
    hub: EventHub, deps: Deps, alice: Person, job: UUID
) -> None:
    follower = Follower(hub, deps.pool, alice.id, job)
    await follower.ready.wait()
    ids = [
        await add_update(deps.pool, alice.id, job, "running", progress) for progress in (10, 50, 90)
    ]
    ids.append(await add_update(deps.pool, alice.id, job, "completed", 100, "Results ready"))
    async with asyncio.timeout(5):
        await follower.task
    assert follower.ids == ids
    last = follower.events[-1]
    assert (last.job.status, last.job.progress_percentage, last.message) == (
        "completed",
        100,
        "Results ready",
    )
    assert hub.open_streams == 0


async def test_follow_when_several_users_have_jobs_then_each_sees_the_own_only(
    hub: EventHub, deps: Deps, alice: Person, bob: Person
) -> None:
    service = await add_service(deps.pool)
    jobs = {person.id: await add_job(deps.pool, person.id, service) for person in (alice, bob)}
    followers = [Follower(hub, deps.pool, person.id, None) for person in (alice, bob)]
    for follower in followers:
        await follower.ready.wait()
    mine = await add_update(deps.pool, alice.id, jobs[alice.id])
    theirs = await add_update(deps.pool, bob.id, jobs[bob.id])
    for follower in followers:
        await follower.until(1)
    assert [follower.ids for follower in followers] == [[mine], [theirs]]
    for follower in followers:
        await follower.end()


async def test_follow_when_listener_is_killed_then_what_happened_meanwhile_comes_once(
    hub: EventHub, deps: Deps, alice: Person, job: UUID
) -> None:
    follower = Follower(hub, deps.pool, alice.id, None)
    ids = [await add_update(deps.pool, alice.id, job)]
    await follower.until(1)
    for _ in range(3):
        await kill_listener(deps.pool, hub)
        ids.append(await add_update(deps.pool, alice.id, job))
        async with asyncio.timeout(5):
            await hub.listening.wait()
        ids.append(await add_update(deps.pool, alice.id, job))
        await follower.until(len(ids))
    await follower.end()
    assert follower.ids == ids


async def test_follow_when_a_lower_id_is_committed_later_then_it_comes_too(
    hub: EventHub, deps: Deps, alice: Person, job: UUID
) -> None:
    other = await add_job(deps.pool, alice.id, await add_service(deps.pool))
    follower = Follower(hub, deps.pool, alice.id, None)
    await follower.ready.wait()
    async with deps.pool.acquire() as slow, slow.transaction():
        lower = await add_update(slow, alice.id, job)
        higher = await add_update(deps.pool, alice.id, other)
        await follower.until(1)
    await follower.until(2)
    assert follower.ids == [higher, lower]
    await kill_listener(deps.pool, hub)
    async with deps.pool.acquire() as slow, slow.transaction():
        lower_unheard = await add_update(slow, alice.id, job)
        await add_update(deps.pool, alice.id, other)
    async with asyncio.timeout(5):
        await hub.listening.wait()
    await follower.until(4)
    await follower.end()
    assert lower_unheard in follower.ids
    assert len(set(follower.ids)) == len(follower.ids) == 4


async def test_follow_when_client_is_slow_then_memory_is_bounded_and_nothing_is_lost(
    hub: EventHub, deps: Deps, alice: Person, job: UUID
) -> None:
    with hub.open(alice.id, job) as stream:
        start = await find_start(deps.pool, stream, 0)
        source = follow(deps.pool, stream, start.after, 0.2)
        first = await add_update(deps.pool, alice.id, job)
        got = [event.id for event in await anext(source)]
        assert got == [first]
        written = [await add_update(deps.pool, alice.id, job) for _ in range(MAX_WAITING + 50)]
        async with asyncio.timeout(5):
            while not stream._missed:
                await asyncio.sleep(0.01)
        assert stream._ids == []
        while len(got) <= len(written):
            got += [event.id for event in await anext(source)]
        assert got == [first, *written]
        assert await anext(source) == []
        await source.aclose()


async def test_stream_when_told_without_end_then_it_keeps_few_ids() -> None:
    stream = Stream(1, None)
    for number in range(100_000):
        stream.tell(number)
    assert len(stream._ids) <= MAX_WAITING
    assert (await stream.wait(1)).missed


async def test_follow_when_database_is_away_then_the_stream_lives_and_goes_on(
    hub: EventHub, deps: Deps, alice: Person, job: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower(hub, deps.pool, alice.id, job)
    await follower.ready.wait()
    real, broken = list_events_by_id, 2

    async def sometimes(*args: object, **kwargs: object) -> list[JobEvent]:
        nonlocal broken
        if broken:
            broken -= 1
            raise ConnectionRefusedError
        return await real(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(events, "list_events_by_id", sometimes)
    update = await add_update(deps.pool, alice.id, job)
    await follower.until(1)
    assert follower.ids == [update]
    await follower.end()


async def test_follow_when_nothing_happens_then_it_beats(
    hub: EventHub, deps: Deps, alice: Person, job: UUID
) -> None:
    follower = Follower(hub, deps.pool, alice.id, job)
    async with asyncio.timeout(5):
        while follower.beats < 2:
            await asyncio.sleep(0.02)
    assert follower.events == []
    await follower.end()


async def test_start_when_last_event_is_given_or_not_then_it_begins_there(
    hub: EventHub, deps: Deps, alice: Person, bob: Person, job: UUID
) -> None:
    first, second = [await add_update(deps.pool, alice.id, job) for _ in range(2)]
    with hub.open(alice.id, job) as one, hub.open(alice.id) as everything:
        assert (await find_start(deps.pool, one, None)).after == second - 1
        assert (await find_start(deps.pool, one, first)).after == first
        assert (await find_start(deps.pool, everything, None)).after == second
        assert not (await find_start(deps.pool, one, second)).is_over
        final = await add_update(deps.pool, alice.id, job, "failed", 50)
        assert not (await find_start(deps.pool, one, second)).is_over
        assert (await find_start(deps.pool, one, final)).is_over
        assert not (await find_start(deps.pool, one, None)).is_over
    with hub.open(bob.id, job) as foreign, pytest.raises(NotFound):
        await find_start(deps.pool, foreign, None)
    with hub.open(bob.id, uuid4()) as nothing, pytest.raises(NotFound):
        await find_start(deps.pool, nothing, None)


async def test_open_when_there_are_too_many_then_refused_and_places_are_given_back(
    pool: asyncpg.Pool,
) -> None:
    hub = EventHub(pool, max_per_user=2, max_streams=3)
    with hub.open(1), hub.open(1):
        with pytest.raises(RateLimited, match="close one"), hub.open(1):
            pass
        with hub.open(2), pytest.raises(Unavailable), hub.open(3):
            pass
        with hub.open(2):
            pass
    assert hub.open_streams == 0
    assert hub._streams == {}


async def test_end_streams_when_called_then_all_end_at_once_and_no_other_begins(
    hub: EventHub, deps: Deps, alice: Person, job: UUID
) -> None:
    followers = [Follower(hub, deps.pool, alice.id, which) for which in (job, None)]
    for follower in followers:
        await follower.ready.wait()
    hub.end_streams()
    async with asyncio.timeout(1):
        await asyncio.gather(*(follower.task for follower in followers))
    with pytest.raises(Unavailable), hub.open(alice.id):
        pass


async def test_run_when_cancelled_then_no_listener_is_left(hub: EventHub, deps: Deps) -> None:
    assert len(await deps.pool.fetch(LISTENERS)) == 1
    other = EventHub(deps.pool)
    task = asyncio.create_task(other.run())
    await other.listening.wait()
    assert len(await deps.pool.fetch(LISTENERS)) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await deps.pool.fetch("select pg_listening_channels()")) == 0
