"""What looks at a service come to: its state, its uptime, its incidents. Pure.

One look that fails says nothing yet: a packet is lost, a proxy restarts. The state stays what it was, with the look's reason as
its message, and the history says `unknown`; the second failed look in a row makes it `down`. `maintenance`, said by the service
or by an administrator, is not `down`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.models import Service

FAILURES_UNTIL_DOWN = 2
MAX_INCIDENTS = 20
WINDOWS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
UP, DOWN, MAINTENANCE, UNKNOWN = "up", "down", "maintenance", "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look makes of a service. `seen` goes into the history, `recovered`: jobs that wait for it may go on."""

    state: str
    seen: str
    failures: int
    recovered: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A time for which looks agree about a state; `message` is the last that one of them had."""

    state: str
    began_at: datetime
    ended_at: datetime
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which a service was `down` or in `maintenance`. It goes on where `ended_at` is None; `duration_s` until now then."""

    state: str
    began_at: datetime
    ended_at: datetime | None
    message: str | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a window of time: the worst that was seen in it, `unknown` where nobody looked; `share` 0..1 is its uptime."""

    began_at: datetime
    ended_at: datetime
    state: str
    share: float | None


def judge_look(service: Service, seen: str) -> Verdict:
    """Give what a look that saw `up`, `down` or `maintenance` makes of a service as it stood."""
    if service.maintenance:
        return Verdict(MAINTENANCE, MAINTENANCE, 0, recovered=False)
    if seen != DOWN:
        recovered = seen == UP and (service.health != UP or service.health_failures > 0)
        return Verdict(seen, seen, 0, recovered=recovered)
    failures = service.health_failures + 1
    if failures >= FAILURES_UNTIL_DOWN or service.health == DOWN:
        return Verdict(DOWN, DOWN, failures, recovered=False)
    return Verdict(service.health, UNKNOWN, failures, recovered=False)


def longest_gap(interval_s: float) -> timedelta:
    """Give for how long a look is good where none follows: three times the interval between looks, at least three minutes."""
    return timedelta(seconds=max(180.0, 3 * interval_s))


def uptime(spans: Sequence[Span], now: datetime, window: timedelta) -> float | None:
    """Give the share 0..1 of the known time of the last `window` in which a service was up.

    Time in maintenance, and time that nobody knows of, counts neither way. None where nothing is known.
    """
    since = now - window
    seconds = {UP: 0.0, DOWN: 0.0}
    for span in spans:
        if span.state in seconds:
            known = min(span.ended_at, now) - max(span.began_at, since)
            seconds[span.state] += max(0.0, known.total_seconds())
    known_s = seconds[UP] + seconds[DOWN]
    return seconds[UP] / known_s if known_s > 0 else None


def slots(spans: Sequence[Span], now: datetime, window: timedelta, count: int) -> list[Slot]:
    """Give the last `window` in `count` equal parts, oldest first."""
    length = window / count
    parts = []
    for place in range(count):
        began = now - window + place * length
        ended = began + length
        seen = {span.state for span in spans if span.began_at < ended and span.ended_at > began}
        worst = next((state for state in (DOWN, MAINTENANCE, UP) if state in seen), UNKNOWN)
        parts.append(Slot(began, ended, worst, uptime(spans, ended, length)))
    return parts


def incidents(spans: Sequence[Span], now: datetime) -> list[Incident]:
    """Give the latest incidents, newest first, out of spans in the order of time. Only the last span can still go on."""
    found = []
    for place, span in enumerate(spans):
        if span.state not in (DOWN, MAINTENANCE):
            continue
        goes_on = place == len(spans) - 1 and span.ended_at >= now
        duration_s = max(0.0, (min(span.ended_at, now) - span.began_at).total_seconds())
        found.append(
            Incident(
                span.state,
                span.began_at,
                None if goes_on else span.ended_at,
                span.message,
                round(duration_s, 3),
            )
        )
    return found[::-1][:MAX_INCIDENTS]
