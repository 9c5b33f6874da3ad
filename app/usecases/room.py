"""The room that a user has left, shared by all uploads of that user in all processes.

Each upload reserves, in the database, what it is going to store: by the length that the request declares, or step by step where
it declares none. What is stored and what is reserved never exceed the quota together. A reservation has a lease, which goes on
while bytes arrive: that of a process that was killed ends by itself.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any
from uuid import uuid4

import asyncpg
import structlog

from app.core.errors import QuotaExceeded
from app.db.jobs import JOBS
from app.db.queries import Connection, load
from app.usecases.deps import Actor, Deps

log = structlog.get_logger(__name__)
_sql = load("uploads")

STEP_BYTES = 16 * 1024 * 1024
"""Reserved at a time where the request does not tell its length."""
FORM_BYTES = 8 * 1024 * 1024
"""What of a declared length may be fields and headers that follow the file (64 fields of 64 KiB, 64 heads of 16 KiB)."""
RENEW_S = 60.0
SPARE_S = 120.0
"""A lease outlives the pauses that a client may make by so much."""
_UNREACHABLE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class Room:
    """The bytes that one request may store. `take` blocks and is called in a worker thread, the others on the event loop."""

    def __init__(self, deps: Deps, actor: Actor) -> None:
        self._deps = deps
        self._actor = actor
        self._id = uuid4()
        self._loop = asyncio.get_running_loop()
        self._is_reserved = False
        self._used = 0
        self._granted = 0
        self._step = 0
        self._renew_at = 0.0
        self._lease_s = deps.settings.upload_idle_timeout_s + RENEW_S + SPARE_S

    async def reserve(self, expected_bytes: int | None) -> None:
        """Reserve room for what is going to come, `None` when that is not known. Raises QuotaExceeded when it cannot fit."""
        self._step = STEP_BYTES if expected_bytes is None else 0
        expected = self._step if expected_bytes is None else expected_bytes
        at_least = max(1, expected - FORM_BYTES) if expected_bytes is not None else 1
        await self._grow(self._used + expected, self._used + at_least)

    def take(self, size_bytes: int) -> None:
        """Use some, reserving more where that was not enough. Raises QuotaExceeded."""
        self._used += size_bytes
        if self._used > self._granted:
            self._wait_for(self._grow(self._used + self._step, self._used))
        elif time.monotonic() > self._renew_at:
            try:
                self._wait_for(self._grow(self._granted, self._used))
            except _UNREACHABLE:
                log.warning("upload.not_renewed", user_id=self._actor.id)  # until the next time

    async def settle(self, lease_s: float) -> None:
        """Reserve exactly what was taken, for as long as the check of the files may last. Raises QuotaExceeded."""
        if self._is_reserved:
            self._lease_s = lease_s + SPARE_S
            await self._grow(self._used, self._used)

    async def release(self, conn: Connection | None = None) -> None:
        """End the reservation, in the transaction that counts the files, or because there are none."""
        if not self._is_reserved:
            return
        self._is_reserved = False
        if conn is not None:
            await _sql.release.run(conn, id=self._id)
            return
        try:
            await _sql.release.run(self._deps.pool, id=self._id)
        except _UNREACHABLE:
            log.warning("upload.not_released", user_id=self._actor.id)  # it expires

    async def _grow(self, wanted: int, at_least: int) -> None:
        limit = self._deps.settings.max_stored_bytes_per_user
        who = {"user_id": self._actor.id, "id": self._id}
        async with self._deps.pool.acquire() as conn, conn.transaction():
            await JOBS.hold_user.run(conn, user_id=self._actor.id)
            await _sql.purge.run(conn, **who)
            left = limit - await _sql.sum_others.value(conn, **who)
            if left < at_least:
                raise no_room()
            granted = min(wanted, left)
            await _sql.reserve.run(
                conn, **who, size_bytes=granted, owner=self._deps.owner, lease_s=self._lease_s
            )
        self._is_reserved = True
        self._granted = granted
        self._renew_at = time.monotonic() + RENEW_S

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


def no_room() -> QuotaExceeded:
    """Give the refusal of what exceeds the user's storage."""
    return QuotaExceeded(
        "Your storage on this platform is full",
        code="storage_quota",
        action="Delete jobs or files that you no longer need, or ask an administrator for more.",
    )
