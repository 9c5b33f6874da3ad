"""The clock of all processes of a platform: the database's. Machines disagree about the time, and leases are compared between them."""

from datetime import datetime, timedelta

import asyncpg

from app.db.engine import ENGINE
from app.usecases.deps import utc_now

TOLERATED = timedelta(seconds=0.25)
"""A smaller difference may be the way to the database and back; following it would make the clock jump to and fro."""


class DatabaseClock:
    """Gives the database's time without asking it each time."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    async def read(self, pool: asyncpg.Pool) -> None:
        """Compare with the database's clock and follow it. Raises what asyncpg raises when it is away."""
        before = utc_now()
        there = await ENGINE.read_clock.value(pool)
        after = utc_now()
        ahead = there - (before + (after - before) / 2)
        if abs(ahead - self._ahead) > TOLERATED + (after - before) / 2:
            self._ahead = ahead
