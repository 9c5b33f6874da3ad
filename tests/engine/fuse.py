"""A fuse that burns at the n-th thing a process does: a statement to PostgreSQL, a commit, or a call to the remote.

Either the process is dead from then on, as by kill -9; or only that one thing fails, as when a connection breaks, and the process
goes on; or the thing is done but its answer is lost. What only reads is left out where it makes no difference.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import asyncpg

from app.adapters.base import DoubtfulSubmission, ServiceUnavailable


class Killed(BaseException):
    """Raised by everything that a killed process would still do."""


class Burn(Enum):
    """What happens when the fuse burns."""

    KILLS = "killed"
    FAILS = "failing"
    LOSES_ANSWER = "unanswered"


@dataclass(slots=True)
class Fuse:
    """`at` counts from 1; `log` names what was counted."""

    at: int
    burn: Burn
    is_burnt: bool = False
    log: list[str] = field(default_factory=list)

    async def statement(self, sql: str, act: Callable[[], Awaitable[Any]]) -> Any:
        """Do something that may count."""
        burns = self._burns(sql[:70], reads=_WRITES.search(sql) is None)
        if burns and self.burn is not Burn.LOSES_ANSWER:
            raise self._error()
        result = await act()
        if burns:
            raise self._error()
        return result

    def gate(self, name: str, after: bool) -> None:
        """Be the `gate` of a FakeService: a call is one thing when it is made, and another when it is answered."""
        if self._burns(f"{name} {'answered' if after else 'called'}", reads=after):
            if self.burn is Burn.KILLS:
                raise Killed
            raise (
                DoubtfulSubmission("broken off") if name == "submit" else ServiceUnavailable("away")
            )

    def _burns(self, what: str, *, reads: bool) -> bool:
        if self.is_burnt and self.burn is Burn.KILLS:
            raise Killed
        if reads and self.burn is not Burn.FAILS and not what.startswith("submit"):
            return False
        self.log.append(what)
        if len(self.log) != self.at:
            return False
        self.is_burnt = True
        return True

    def _error(self) -> BaseException:
        if self.burn is Burn.KILLS:
            return Killed()
        error: Exception = asyncpg.ConnectionDoesNotExistError("connection was closed")
        return error


_WRITES = re.compile(r"\b(insert into|update \w+ set|update \w+ \w set|delete from|commit)\b")
_STATEMENTS = ("execute", "executemany", "fetch", "fetchrow", "fetchval")


class FusedConnection:
    """A connection on whose way the fuse is."""

    def __init__(self, connection: Any, fuse: Fuse) -> None:
        self._connection = connection
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)
        if name not in _STATEMENTS:
            return method

        async def run(*args: Any) -> Any:
            return await self._fuse.statement(args[0], lambda: method(*args))

        return run

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        real = self._connection.transaction()
        await real.start()
        try:
            yield
        except BaseException:
            await real.rollback()
            raise
        try:
            await self._fuse.statement("commit", real.commit)
        except BaseException:
            if self._fuse.burn is not Burn.LOSES_ANSWER:
                await real.rollback()
            raise


class FusedPool:
    """A pool on whose way the fuse is."""

    def __init__(self, pool: asyncpg.Pool, fuse: Fuse) -> None:
        self._pool = pool
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(FusedConnection(self._pool, self._fuse), name)

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[FusedConnection]:
        async with self._pool.acquire() as connection:
            yield FusedConnection(connection, self._fuse)
