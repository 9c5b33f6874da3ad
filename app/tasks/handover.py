"""Handing steps over to the workers through Redis. Redis is disposable: what gets lost is handed over again from PostgreSQL.

Keys of tasks carry the step and the minute, so neither a kept key nor the in-progress lock of a killed worker (which
arq keeps for its longest time limit plus 10 s) can hold a step back for longer than a minute.
"""

import asyncio
import contextlib
import time

import msgspec
import structlog
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

QUEUE = "fip:steps"
KEPT_S = 60
"""What nobody took for so long is forgotten; the dispatcher has handed it over anew by then."""
CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
HANDOVER_TIMEOUT_S = 1.0
QUIET_S = (1.0, 2.0, 5.0)
REDIS_AWAY = (RedisError, OSError, TimeoutError)
"""What is raised when Redis is away, hangs, or does not do what it was asked."""


def open_redis(url: str) -> ArqRedis:
    """Give a client that speaks JSON and never waits for ever; it connects when it is used. `unix:///path` for a socket."""
    pool = ConnectionPool.from_url(
        url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=ANSWER_TIMEOUT_S
    )
    return ArqRedis(
        pool,
        job_serializer=msgspec.json.encode,
        job_deserializer=msgspec.json.decode,
        default_queue_name=QUEUE,
    )


class Enqueuer:
    """Hands steps over to whichever worker is free. Never raises: the dispatcher finds again what got lost.

    Nobody (a request, say) waits long for Redis. While it is away it is not even asked, but for now and then. A call to it is
    never cancelled, only left alone: redis-py loses connections that way, and may make another error of a cancellation.
    """

    def __init__(self, url: str) -> None:
        self._redis = open_redis(url)
        self._calls: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._quiet_until = 0.0

    async def __call__(self, task: str, *args: str | int, key: str) -> None:
        """Enqueue a task once for each key and minute."""
        if asyncio.get_running_loop().time() < self._quiet_until:
            return
        name = f"{key}:{int(time.time() // 60)}"
        argument = str(args[0]) if args else ""
        call = asyncio.create_task(self._enqueue(task, argument, name), name="enqueue")
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        done, _ = await asyncio.wait({call}, timeout=HANDOVER_TIMEOUT_S)
        if not done:
            self._be_quiet(task, "it does not answer")

    async def _enqueue(self, task: str, argument: str, name: str) -> None:
        try:
            await self._redis.enqueue_job(task, argument, _job_id=name, _expires=KEPT_S * 1000)
        except REDIS_AWAY as error:
            self._be_quiet(task, type(error).__name__)
        else:
            self._failures = 0

    def _be_quiet(self, task: str, reason: str) -> None:
        """Do not ask Redis for a while, longer each time."""
        quiet_s = QUIET_S[min(self._failures, len(QUIET_S) - 1)]
        self._failures += 1
        self._quiet_until = asyncio.get_running_loop().time() + quiet_s
        log.warning("tasks.not_enqueued", task=task, reason=reason)

    async def ping(self) -> bool:
        """Tell whether Redis answers."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return bool(await self._redis.ping())
        except REDIS_AWAY:
            return False

    async def close(self) -> None:
        """Close the connections; calls under way end first, or by their own time limit."""
        await asyncio.gather(*self._calls, return_exceptions=True)
        with contextlib.suppress(*REDIS_AWAY):
            await self._redis.aclose(close_connection_pool=True)
