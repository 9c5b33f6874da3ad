"""Users who were looked up a moment ago, so that reading does not ask for them with each request.

A token counts only while its user is active and has not ended it, which is a row of the database: one round trip of every
request, as long as most answers take themselves (bench/api.py: three queries a job were half as fast as FastAPI, one is not). For
`MAX_AGE_S` the row is believed. Whatever this process changes is seen by its next request, because every request that may change
something looks afresh and forgets all users when it is done; what another process changes is seen after `MAX_AGE_S`.
"""

import time

from app.core.models import User

MAX_AGE_S = 1.0
MAX_USERS = 10_000


class RecentUsers:
    """Of one process and one event loop. With an age of 0 nobody is kept."""

    def __init__(self, max_age_s: float = 0.0) -> None:
        self._max_age_s = max_age_s
        self._users: dict[int, tuple[User, float]] = {}
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Changes when all are forgotten; to be read before a user is looked up."""
        return self._epoch

    def find(self, user_id: int) -> User | None:
        """Give a user who was looked up a moment ago."""
        user, until = self._users.get(user_id, (None, 0.0))
        return user if time.monotonic() < until else None

    def keep(self, user: User, epoch: int, began: float) -> None:
        """Remember a user as of `began` (monotonic), unless all were forgotten since `epoch`: then the row may be an old one."""
        if epoch != self._epoch or not self._max_age_s:
            return
        if len(self._users) >= MAX_USERS:
            self._users.clear()
        self._users[user.id] = (user, began + self._max_age_s)

    def forget(self) -> None:
        """Something may have changed: know nobody."""
        self._users.clear()
        self._epoch += 1
