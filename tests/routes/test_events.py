"""Live streams over real HTTP, as a browser or curl would follow them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec
import pytest
from aiohttp import web

from app.keys import DEPS, EVENTS
from app.routes.api import events as routes
from app.routes.table import add_routes
from app.usecases import events
from app.usecases.deps import Deps
from app.usecases.events import EventHub
from app.web.middleware import middlewares
from tests.support.api import Api
from tests.support.deps import Clock
from tests.support.notices import add_job, add_service, add_update
from tests.support.people import Person

MAX_STREAMS = 6


@dataclass(slots=True)
class Event:
    """One event, as it came over the wire."""

    id: int
    kind: str
    data: dict[str, Any]


class Feed:
    """Reads a stream of events by the rules of the standard."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0
        self.retry_ms = 0

    async def next(self) -> Event | None:
        """Give the next event, None at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            while line := (await self.response.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if not line.strip() and "data" in fields:
                    data = msgspec.json.decode(fields["data"])
                    return Event(int(fields["id"]), fields["event"], data)
                self.comments += line.startswith(":")
                if name == "retry":
                    self.retry_ms = int(value)
                fields[name] = value
        return None

    async def take(self, count: int) -> list[int]:
        """Give the ids of the next `count` events."""
        found = [await self.next() for _ in range(count)]
        return [event.id for event in found if event is not None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RECONNECT_DELAYS_S", (0.05,))


@pytest.fixture
async def hub(deps: Deps) -> AsyncIterator[EventHub]:
    hub = EventHub(deps.pool, heartbeat_s=0.1, recheck_s=0.15, max_per_user=MAX_STREAMS)
    task = asyncio.create_task(hub.run())
    async with asyncio.timeout(5):
        await hub.listening.wait()
    yield hub
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def runner(deps: Deps, hub: EventHub) -> AsyncIterator[web.AppRunner]:
    async def end_streams(_app: web.Application) -> None:
        hub.end_streams()

    app = web.Application(middlewares=middlewares(deps))
    app[DEPS], app[EVENTS] = deps, hub
    app.on_shutdown.append(end_streams)
    add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner
    await runner.cleanup()


@pytest.fixture
async def api(runner: web.AppRunner) -> AsyncIterator[Api]:
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:
        yield Api(session, f"http://{host}:{port}")


@pytest.fixture
async def job(deps: Deps, alice: Person) -> UUID:
    return await add_job(deps.pool, alice.id, await add_service(deps.pool))


@asynccontextmanager
async def feed(api: Api, path: str, person: Person, last: int | None = None) -> AsyncIterator[Feed]:
    headers = api.headers(person) | ({"Last-Event-ID": str(last)} if last is not None else {})
    async with api.session.get(api.base + path, headers=headers) as response:
        assert response.status == 200, await response.text()
        yield Feed(response)


async def test_job_stream_when_followed_then_it_shows_every_step_and_ends_with_the_job(
    api: Api, deps: Deps, alice: Person, job: UUID
) -> None:
    first = await add_update(deps.pool, alice.id, job, "queued", 0, "Job created")
    async with feed(api, f"/api/jobs/{job}/events", alice) as stream:
        headers = stream.response.headers
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Transfer-Encoding"] == "chunked"
        assert await stream.take(1) == [first]
        await add_update(
            deps.pool, alice.id, job, "running", 42, "Job in progress: Phasing\r\ndata: x"
        )
        event = await stream.next()
        assert event is not None
        assert event.kind == "status"
        assert event.data["id"] == event.id
        assert event.data["job_id"] == str(job)
        assert event.data["progress_percentage"] == 42
        assert event.data["message"] == "Job in progress: Phasing\r\ndata: x"
        assert event.data["timestamp"].endswith("Z")
        assert event.data["job"]["status"] == "running"
        last = await add_update(deps.pool, alice.id, job, "completed", 100)
        assert await stream.take(1) == [last]
        assert await stream.next() is None
        assert stream.retry_ms > 0


async def test_job_stream_when_job_has_ended_then_its_end_is_told_once(
    api: Api, deps: Deps, alice: Person, job: UUID
) -> None:
    await add_update(deps.pool, alice.id, job)
    last = await add_update(deps.pool, alice.id, job, "failed", 50)
    async with feed(api, f"/jobs/{job}/events", alice) as stream:
        assert await stream.take(1) == [last]
        assert await stream.next() is None
    again = await api.get(f"/jobs/{job}/events", as_=alice, headers={"Last-Event-ID": str(last)})
    assert (again.status, again.body) == (204, b"")


async def test_stream_when_reconnected_then_it_goes_on_after_the_last_event(
    api: Api, deps: Deps, alice: Person, job: UUID
) -> None:
    other = await add_job(deps.pool, alice.id, await add_service(deps.pool))
    ids = [await add_update(deps.pool, alice.id, which) for which in (job, other, job, other)]
    async with feed(api, "/events", alice, last=ids[0]) as stream:
        assert await stream.take(3) == ids[1:]
        ids.append(await add_update(deps.pool, alice.id, job))
        assert await stream.take(1) == ids[4:]
    async with feed(api, f"/events?last_event_id={ids[2]}", alice) as stream:
        assert await stream.take(2) == ids[3:]
    async with feed(api, f"/jobs/{job}/events", alice, last=ids[0]) as stream:
        assert await stream.take(2) == [ids[2], ids[4]]
    async with feed(api, "/events", alice) as stream:
        new = await add_update(deps.pool, alice.id, other)
        assert await stream.take(1) == [new]


async def test_stream_when_the_listening_connection_is_killed_then_nothing_is_missed(
    api: Api, deps: Deps, hub: EventHub, alice: Person, job: UUID
) -> None:
    async with feed(api, "/events", alice) as stream:
        first = await add_update(deps.pool, alice.id, job)
        assert await stream.take(1) == [first]
        [row] = await deps.pool.fetch(
            "select pid from pg_stat_activity where datname = current_database() and query ilike 'listen %'"
        )
        await deps.pool.execute("select pg_terminate_backend($1)", row["pid"])
        async with asyncio.timeout(5):
            while hub.listening.is_set():
                await asyncio.sleep(0.005)
        second = await add_update(deps.pool, alice.id, job)
        assert await stream.take(1) == [second]


async def test_stream_when_nothing_happens_then_comments_keep_it_alive(
    api: Api, alice: Person
) -> None:
    async with feed(api, "/events", alice) as stream:
        async with asyncio.timeout(5):
            while stream.comments < 2:
                stream.comments += (await stream.response.content.readline()).startswith(b":")


async def test_stream_when_user_signs_out_or_is_disabled_then_it_ends(
    api: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    async with feed(api, "/events", alice) as one, feed(api, "/events", bob) as two:
        await deps.pool.execute("update users set token_version = 99 where id = $1", alice.id)
        await deps.pool.execute("update users set is_active = false where id = $1", bob.id)
        assert await one.next() is None
        assert await two.next() is None


async def test_stream_when_the_sign_in_expires_then_it_ends(
    api: Api, deps: Deps, alice: Person, clock: Clock
) -> None:
    # A token ends at a whole second, so this one has between 1.5 and 2.5 seconds left.
    clock.move(seconds=2.5 - deps.tokens.lifetime_s)
    short = Person(
        alice.user,
        deps.tokens.issue(alice.id, alice.user.username, alice.user.token_version, deps.now()),
    )
    async with feed(api, "/events", short) as stream:
        assert await stream.next() is None
        assert stream.comments >= 1


async def test_stream_when_a_user_has_too_many_then_refused_until_one_is_closed(
    api: Api, hub: EventHub, alice: Person, bob: Person
) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MAX_STREAMS - 1):
            await stack.enter_async_context(feed(api, "/events", alice))
        async with feed(api, "/events", alice):
            refused = await api.get("/events", as_=alice)
            assert refused.status == 429
            assert refused.json()["code"] == "too_many_streams"
            assert int(refused.headers["Retry-After"]) > 0
            async with feed(api, "/events", bob):
                pass
        async with asyncio.timeout(5):
            while hub.open_streams >= MAX_STREAMS:
                await asyncio.sleep(0.01)
        async with feed(api, "/events", alice):
            pass


async def test_stream_when_client_vanishes_then_its_place_is_given_back(
    api: Api, hub: EventHub, alice: Person
) -> None:
    async with feed(api, "/events", alice) as stream:
        assert hub.open_streams == 1
        stream.response.close()
    async with asyncio.timeout(5):
        while hub.open_streams:
            await asyncio.sleep(0.01)


async def test_stream_when_client_takes_nothing_then_it_is_cut_off(
    api: Api,
    deps: Deps,
    hub: EventHub,
    runner: web.AppRunner,
    alice: Person,
    job: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "WRITE_TIMEOUT_S", 0.2)
    host, port = runner.addresses[0][:2]
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    request = f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    transport = writer.transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    await deps.pool.executemany(
        "insert into job_status_updates (job_id, user_id, status, progress_percentage, message) values ($1, $2, 'running', 1, $3)",
        [(job, alice.id, "x" * 100_000)] * 120,
    )
    async with asyncio.timeout(10):
        while hub.open_streams:
            await asyncio.sleep(0.01)
    transport.abort()


async def test_stream_when_server_stops_then_it_ends_cleanly_and_at_once(
    api: Api, runner: web.AppRunner, alice: Person
) -> None:
    async with feed(api, "/events", alice) as stream:
        async with asyncio.timeout(3):
            await runner.cleanup()
        assert await stream.next() is None
        assert stream.response.content.exception() is None


async def test_stream_when_the_job_is_anothers_or_nobody_is_signed_in_then_refused(
    api: Api, alice: Person, charlie: Person, job: UUID
) -> None:
    assert (await api.get(f"/jobs/{job}/events", as_=charlie)).status == 404
    assert (await api.get(f"/jobs/{uuid4()}/events", as_=alice)).status == 404
    for path in (f"/jobs/{job}/events", "/events"):
        assert (await api.get(path)).status == 401
        assert (
            await api.get(f"{path}?token={alice.token}&access_token={alice.token}")
        ).status == 401
        assert (await api.head(path, as_=alice)).status == 405


async def test_stream_when_last_event_id_is_not_ours_then_refused(api: Api, alice: Person) -> None:
    for value in ("abc", "-1", "1.5", "9" * 30, "²", "1,2"):
        answer = await api.get("/events", as_=alice, headers={"Last-Event-ID": value})
        assert answer.status == 400, value
        assert answer.json()["errors"][0]["field"] == "Last-Event-ID"
    assert (await api.get("/events?last_event_id=x", as_=alice)).status == 400
