"""PostgreSQL and Redis: those that the settings name, or our own.

Little is imported here, so that `serve` can start the servers before it imports everything else, and do both at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from app.embedded import DataDirLock, DataDirLockedError, EmbeddedPostgres, EmbeddedValkey
from app.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where PostgreSQL and Redis are. `ours` says that they are children of this very process, so nobody else uses them."""

    database_url: str
    redis_url: str
    ours: bool


@asynccontextmanager
async def open_servers(
    settings: Settings,
    *,
    join: bool = False,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[Servers]:
    """Give the servers' addresses; start our own where none is set, and do something else `meanwhile`.

    `join` lets a command use the servers of a `serve` that runs on the same data directory.
    Raises DataDirLockedError, EmbeddedServerError.
    """
    async with AsyncExitStack() as stack:
        database_url, redis_url = settings.database_url, settings.redis_url
        if database_url and redis_url:
            if meanwhile is not None:
                await meanwhile()
            yield Servers(database_url, redis_url, ours=False)
            return
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        postgres = EmbeddedPostgres(settings.data_dir / "postgres")
        valkey = EmbeddedValkey(settings.data_dir / "valkey")
        try:
            stack.enter_context(DataDirLock(settings.data_dir))
        except DataDirLockedError:
            database = database_url or postgres.running_url()
            redis = redis_url or valkey.running_url()
            if not (join and database and redis):
                raise
            yield Servers(database, redis, ours=False)
            return
        ours = not database_url and not redis_url
        wanted = [
            server for server, url in ((valkey, redis_url), (postgres, database_url)) if not url
        ]
        # Together; and should one fail, the other is there or not by then, and stopped with the stack.
        for outcome in await asyncio.gather(
            *(_start(stack, server) for server in wanted),
            *([meanwhile()] if meanwhile is not None else []),
            return_exceptions=True,
        ):
            if isinstance(outcome, BaseException):
                raise outcome
        yield Servers(database_url or postgres.url, redis_url or valkey.url, ours=ours)


async def _start(stack: AsyncExitStack, server: EmbeddedPostgres | EmbeddedValkey) -> None:
    await server.start()
    stack.push_async_callback(server.stop)
    await background(stack, server.supervise(log.warning), "supervise")


async def background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run something beside everything else; it is cancelled and awaited when the stack closes."""
    task = asyncio.create_task(work, name=name)

    async def stop() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(stop)
