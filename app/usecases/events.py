"""Live events: one LISTEN connection a process, fanned out to the streams of the users who follow their jobs.

PostgreSQL tells only ids (`job_status_updates` → `job_events`: user, job, update); a stream reads the rows itself, so nothing
is shown that its user may not see. A stream that cannot keep up, or a lost connection, loses no event: the stream reads
again from the last update it sent. The database is the queue; what waits in memory is a bounded list of ids.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog

from app.core.errors import NotFound, RateLimited, Unavailable
from app.core.jobs import TERMINAL
from app.db.events import (
    EVENTS,
    JobEvent,
    find_followed_job,
    find_last_user_event,
    list_events,
    list_events_by_id,
)
from app.db.queries import Executor

log = structlog.get_logger(__name__)

CHANNEL = "job_events"
RECONNECT_DELAYS_S = (0.1, 0.5, 1.0, 2.0, 5.0)
PROBE_S = 30.0
PROBE_TIMEOUT_S = 10.0
REREAD_DELAY_S = 1.0
MAX_WAITING = 100
"""Ids that wait for one stream; beyond that it reads from the database what it missed."""
PAGE = 100
LOOK_BACK = 256
"""How far behind its last update a stream looks when it reads again. Ids are given before their transactions commit, so a
lower one may appear after a higher one was sent."""


@dataclass(slots=True)
class News:
    """What woke a stream. Nothing at all means that the time was up."""

    ids: list[int]
    missed: bool = False
    closed: bool = False


class Stream:
    """What one client follows: all jobs of a user, or one."""

    __slots__ = ("_ids", "_missed", "_wake", "closed", "job_id", "user_id")

    def __init__(self, user_id: int, job_id: UUID | None) -> None:
        self.user_id = user_id
        self.job_id = job_id
        self.closed = False
        self._ids: list[int] = []
        self._missed = False
        self._wake = asyncio.Event()

    def tell(self, update_id: int) -> None:
        """Say that an update was committed."""
        if len(self._ids) >= MAX_WAITING:
            self.tell_missed()
        elif not self._missed:
            self._ids.append(update_id)
            self._wake.set()

    def tell_missed(self) -> None:
        """Say that there may be updates of which nobody told."""
        self._missed = True
        self._ids.clear()
        self._wake.set()

    def close(self) -> None:
        """Let the stream end."""
        self.closed = True
        self._wake.set()

    async def wait(self, timeout_s: float) -> News:
        """Wait for news; give empty ones after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return News([])
        self._wake.clear()
        news = News(self._ids, self._missed, self.closed)
        self._ids, self._missed = [], False
        return news


class EventHub:
    """Listens and tells the streams. `run` must run for as long as there may be streams.

    `heartbeat_s` is the silence after which a stream says that it is alive, `recheck_s` how often it asks whether its user may
    still follow.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        heartbeat_s: float = 15.0,
        recheck_s: float = 30.0,
        max_per_user: int = 20,
        max_streams: int = 2000,
    ) -> None:
        self._pool = pool
        self.heartbeat_s = heartbeat_s
        self.recheck_s = recheck_s
        self._max_per_user = max_per_user
        self._max_streams = max_streams
        self._streams: dict[int, set[Stream]] = {}
        self._count = 0
        self._ended = False
        self.listening = asyncio.Event()
        """Set while the process hears of updates."""

    @property
    def open_streams(self) -> int:
        """How many streams there are."""
        return self._count

    @contextmanager
    def open(self, user_id: int, job_id: UUID | None = None) -> Iterator[Stream]:
        """Give a stream. Raises RateLimited when the user has too many, Unavailable when all do or the process ends."""
        if self._ended or self._count >= self._max_streams:
            raise Unavailable("This server follows as many jobs as it can", code="too_many_streams")
        if len(self._streams.get(user_id, ())) >= self._max_per_user:
            raise RateLimited(
                f"You have {self._max_per_user} open event streams; close one",
                code="too_many_streams",
                retry_after_s=15,
            )
        stream = Stream(user_id, job_id)
        own = self._streams.setdefault(user_id, set())
        own.add(stream)
        self._count += 1
        try:
            yield stream
        finally:
            self._count -= 1
            own.discard(stream)
            if not own:
                self._streams.pop(user_id, None)

    def end_streams(self) -> None:
        """Let all streams end and admit no others: the process is about to stop."""
        self._ended = True
        for stream in self._all():
            stream.close()

    async def run(self) -> None:
        """Listen until cancelled; connect again whenever the connection is lost, then let every stream read again."""
        attempt = 0
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
                log.warning("events.not_listening", reason=type(error).__name__)
            if self.listening.is_set():
                self.listening.clear()
                attempt = 0
            await asyncio.sleep(RECONNECT_DELAYS_S[min(attempt, len(RECONNECT_DELAYS_S) - 1)])
            attempt += 1

    async def _listen(self) -> None:
        lost = asyncio.Event()

        def note_loss(_connection: object) -> None:
            lost.set()

        async with self._pool.acquire(timeout=PROBE_TIMEOUT_S) as connection:
            connection.add_termination_listener(note_loss)
            try:
                await connection.add_listener(CHANNEL, self._hear)
                self.listening.set()
                for stream in self._all():
                    stream.tell_missed()
                while not lost.is_set():
                    await self._await_loss(lost, connection)
            finally:
                if not connection.is_closed():
                    connection.remove_termination_listener(note_loss)
                    await connection.remove_listener(CHANNEL, self._hear)
        log.warning("events.not_listening", reason="connection lost")

    async def _await_loss(self, lost: asyncio.Event, connection: Executor) -> None:
        """Wait; a connection whose other end vanished without a word is found out by asking it something."""
        try:
            async with asyncio.timeout(PROBE_S):
                await lost.wait()
        except TimeoutError:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await EVENTS.probe.value(connection)

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        user_id, job_id, update_id = str(payload).split(" ")
        for stream in self._streams.get(int(user_id), ()):
            if stream.job_id is None or str(stream.job_id) == job_id:
                stream.tell(int(update_id))

    def _all(self) -> list[Stream]:
        return [stream for own in self._streams.values() for stream in own]


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins: after which update, and whether there will be anything at all."""

    after: int
    is_over: bool = False


async def find_start(db: Executor, stream: Stream, last_event_id: int | None) -> Start:
    """Find where a stream begins: after the client's last event, else with the newest update of its job, else with what comes.

    It is over when its job has ended and the client has seen that. Raises NotFound when the job is not the user's.
    """
    if stream.job_id is None:
        if last_event_id is not None:
            return Start(last_event_id)
        return Start(await find_last_user_event(db, stream.user_id))
    job = await find_followed_job(db, stream.user_id, stream.job_id)
    if job is None:
        raise NotFound("There is no such job")
    newest = job.last_id or 0
    if last_event_id is None:
        return Start(max(0, newest - 1), is_over=job.is_final and newest == 0)
    return Start(last_event_id, is_over=job.is_final and last_event_id >= newest)


async def follow(
    db: Executor, stream: Stream, after: int, tick_s: float
) -> AsyncGenerator[list[JobEvent], None]:
    """Give what happens, in batches; an empty one after `tick_s` without news. Ends with the stream or its job.

    The stream must have been opened before `after` was found, so that nothing falls in between.
    """
    position = _Position(after)
    news = News([], missed=True)
    while not (news.closed or stream.closed):
        try:
            async for batch in _read(db, stream, position, news):
                yield batch
                if stream.job_id is not None and batch[-1].status in TERMINAL:
                    return
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            log.warning("events.not_read", reason=type(error).__name__)
            stream.tell_missed()
            await asyncio.sleep(REREAD_DELAY_S)
        news = await stream.wait(tick_s)
        if not news.ids and not news.missed:
            yield []


class _Position:
    """What a stream has sent: everything up to `floor`, its highest update, and those of late."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.highest = floor
        self._sent: deque[int] = deque(maxlen=LOOK_BACK)

    def fresh(self, events: list[JobEvent]) -> list[JobEvent]:
        """Give those that were not sent yet, and count them as sent."""
        known = set(self._sent)
        new = [event for event in events if event.id not in known]
        self._sent.extend(event.id for event in new)
        self.highest = max([self.highest, *(event.id for event in new)])
        return new


async def _read(
    db: Executor, stream: Stream, position: _Position, news: News
) -> AsyncIterator[list[JobEvent]]:
    if news.missed:
        after = max(position.floor, position.highest - LOOK_BACK)
        while events := await list_events(
            db, stream.user_id, stream.job_id, after=after, limit=PAGE
        ):
            after = events[-1].id
            if new := position.fresh(events):
                yield new
    elif news.ids:
        events = await list_events_by_id(db, stream.user_id, news.ids)
        if new := position.fresh(events):
            yield new
