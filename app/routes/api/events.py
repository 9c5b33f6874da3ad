"""Server-Sent Events: status updates of jobs while they happen (WHATWG HTML, §9.2)."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
from aiohttp import hdrs, web

from app.core.errors import FieldError, InvalidInput, NotAuthenticated
from app.db.events import JobEvent
from app.keys import EVENTS, TOKEN
from app.usecases.accounts import authenticate
from app.usecases.events import EventHub, Stream, find_start, follow
from app.web.endpoint import UUID_PATTERN, Call, Endpoint, Id, encode

LAST_EVENT_ID = "Last-Event-ID"
RECONNECT_MS = 3000
TICK_S = 3.0
"""How often a quiet stream looks whether its client is still there: a page that was left gives its place back soon."""
WRITE_TIMEOUT_S = 30.0
"""A client that takes nothing for this long has gone, or should."""
HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx: pass on at once
}
HEARTBEAT = b": still here\n\n"


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """For clients that cannot set the header `Last-Event-ID`, which wins."""

    last_event_id: Id | None = None


async def stream_job(call: Call) -> web.StreamResponse:
    """Send the updates of one job until it has ended."""
    return await _stream(call, call.path_uuid("id"))


async def stream_all(call: Call) -> web.StreamResponse:
    """Send the updates of all the user's jobs."""
    return await _stream(call, None)


async def _stream(call: Call, job_id: UUID | None) -> web.StreamResponse:
    hub = call.request.app[EVENTS]
    last = _last_event_id(call)
    with hub.open(call.actor.id, job_id) as stream:
        start = await find_start(call.deps.pool, stream, last)
        if start.is_over:
            return web.Response(status=204)  # tells an EventSource not to come again
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(call.request)
        with contextlib.suppress(ConnectionResetError):  # how a client says that it has seen enough
            await _write(call.request, response, b"retry: %d\n\n" % RECONNECT_MS)
            await _send(call, hub, stream, start.after, response)
        return response


async def _send(
    call: Call, hub: EventHub, stream: Stream, after: int, response: web.StreamResponse
) -> None:
    checked = written = time.monotonic()
    tick_s = min(TICK_S, hub.heartbeat_s)
    async with contextlib.aclosing(follow(call.deps.pool, stream, after, tick_s)) as batches:
        async for batch in batches:
            now = time.monotonic()
            if call.request.transport is None:
                return
            if now - checked >= hub.recheck_s:
                if not await _may_still_follow(call):
                    return
                checked = now
            if batch or now - written >= hub.heartbeat_s:
                await _write(call.request, response, _frames(batch) if batch else HEARTBEAT)
                written = now


async def _may_still_follow(call: Call) -> bool:
    """Tell whether the sign-in is still good: not expired, not ended by signing out, the account not disabled."""
    try:
        await authenticate(call.deps, call.request[TOKEN], call.address)
    except NotAuthenticated:
        return False
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return (
            True  # the database is away: nothing is sent meanwhile, and it is asked again next time
        )
    return True


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Send; a client that does not take it in time is cut off. Raises ConnectionResetError."""
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client takes no more events") from None


def _frames(batch: Sequence[JobEvent]) -> bytes:
    return b"".join(
        b"id: %d\nevent: status\ndata: %s\n\n" % (event.id, encode(event)) for event in batch
    )


def _last_event_id(call: Call) -> int | None:
    """Read where the client stands. Raises InvalidInput."""
    given = call.request.headers.get(LAST_EVENT_ID, "").strip()
    if not given:
        query: EventQuery = call.query
        return query.last_event_id
    if not given.isascii() or not given.isdigit() or len(given) > 18:
        message = "is not the id of one of our events"
        raise InvalidInput(
            f"{LAST_EVENT_ID} {message}",
            action="Leave it out, to begin with what happens next.",
            errors=[FieldError(LAST_EVENT_ID, message)],
        )
    return int(given)


_OPENAPI = {
    "description": "A stream of Server-Sent Events. Each has `id` (of the status update), `event: status` and, as `data`, the "
    "update with its job as it is now. `Last-Event-ID` (header, or query `last_event_id`) gives what came after that "
    "update first. Comments keep the connection alive.",
    "parameters": [
        {
            "name": LAST_EVENT_ID,
            "in": "header",
            "description": "The id of the last event that was received; an EventSource sends it by itself",
            "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
        }
    ],
    "responses": {"204": {"description": "The job has ended and you have seen its last event"}},
}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        f"/jobs/{{id:{UUID_PATTERN}}}/events",
        stream_job,
        "stream_job_events",
        "Follow a job live",
        query=EventQuery,
        response=JobEvent,
        content="text/event-stream",
        tag="events",
        head=False,
        openapi=_OPENAPI,
    ),
    Endpoint(
        "GET",
        "/events",
        stream_all,
        "stream_events",
        "Follow all your jobs live",
        query=EventQuery,
        response=JobEvent,
        content="text/event-stream",
        tag="events",
        head=False,
        openapi=_OPENAPI,
    ),
)
