"""The end of a credential: when it is told, when a job would outlive it, when the service is asked about it again. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import IntEnum

HORIZON = timedelta(days=7)
SAME_END = timedelta(hours=1)
"""Ends this near to each other are one: a service may count from the moment of its answer."""
LEAST_DURATION = timedelta(days=2)
"""A job may take so long where nobody knows better: queues of public servers do."""
LOOKS_BACK = timedelta(days=30)
LONGEST_DURATION = timedelta(days=60)
"""What ends later than this from now is not even compared with how long jobs take."""
FIRST_CHECK = timedelta(minutes=10)
AWAY = timedelta(hours=1)
"""After a look that taught nothing."""
GIVEN_UP = timedelta(days=30)
"""A credential that has been refused for so long is not tried any more."""


class Nearness(IntEnum):
    """How near the end is; each is told once for each end."""

    FAR = 0
    WEEK = 1
    DAY = 2
    OVER = 3


_LIMITS = (
    (Nearness.OVER, timedelta()),
    (Nearness.DAY, timedelta(days=1)),
    (Nearness.WEEK, HORIZON),
)


def nearness(expires_at: datetime, now: datetime) -> Nearness:
    """Give how near the end is."""
    left = expires_at - now
    return next((near for near, limit in _LIMITS if left <= limit), Nearness.FAR)


def to_tell(
    expires_at: datetime, now: datetime, told: int, told_for: datetime | None
) -> Nearness | None:
    """Give what is to be told of an end now; None when it was told, or is far. `told` is the last, of the end `told_for`."""
    near = nearness(expires_at, now)
    is_same = told_for is not None and abs(expires_at - told_for) <= SAME_END
    return near if near > (told if is_same else Nearness.FAR) else None


def probable_duration(typical_s: float | None) -> timedelta:
    """Give how long a job probably takes, where nine of ten took at most `typical_s` seconds (None: nobody knows)."""
    return max(LEAST_DURATION, timedelta(seconds=typical_s or 0.0))


def is_outlived(expires_at: datetime, now: datetime, typical_s: float | None) -> bool:
    """Tell whether a job that is submitted now will probably outlive a credential."""
    return expires_at < now + probable_duration(typical_s)


def next_check(now: datetime, after: timedelta, random: Callable[[], float]) -> datetime:
    """Give when to ask again, `after` from now give or take a tenth: credentials stored together part company."""
    return now + after * (0.9 + 0.2 * random())


def shown_end(expires_at: datetime) -> str:
    """Give an end as people read it."""
    return f"{expires_at.day} {expires_at:%B %Y, %H:%M} UTC"
