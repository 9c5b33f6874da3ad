"""When to look or try again. Pure; all figures in seconds."""

from collections.abc import Callable

QUIET_AFTER_S = 3600.0
QUIET_FACTOR = 2.0
QUIET_MAX_S = 600.0


def backoff(failures: int, base_s: float, max_s: float, jitter: Callable[[], float]) -> float:
    """Give the wait after the n-th failure in a row: doubled each time up to `max_s`, then 80 % to 120 % of it.

    `jitter` gives numbers in 0..1.
    """
    wait = min(max_s, base_s * 2.0 ** min(max(failures - 1, 0), 30))
    return wait * (0.8 + 0.4 * jitter())


def poll_interval(interval_s: float, unchanged_s: float) -> float:
    """Give the time to the next look: the service's interval, doubled (within bounds) once nothing changed for an hour."""
    if unchanged_s < QUIET_AFTER_S:
        return interval_s
    return max(interval_s, min(QUIET_MAX_S, interval_s * QUIET_FACTOR))


def next_look(due: float, now: float, wait_s: float, failures: int) -> float:
    """Give when to look again, after a look that was due at `due` and has ended `now`.

    The wait counts from when the look was due: one that takes long (an account with hundreds of runs) does not stretch the interval.
    Yet a service rests half the wait at least, and the whole of it after a failure.
    """
    if failures:
        return now + wait_s
    return max(due + wait_s, now + wait_s / 2)
