"""What looks at a service come to: its state, its uptime, its incidents."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.health import (
    DOWN,
    MAINTENANCE,
    MAX_INCIDENTS,
    UNKNOWN,
    UP,
    Span,
    Verdict,
    incidents,
    judge_look,
    longest_gap,
    slots,
    uptime,
)
from app.core.models import Service
from tests.core.test_submission import SERVICE

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATES = (UP, DOWN, MAINTENANCE, UNKNOWN)


def service(health: str, failures: int = 0, **fields: Any) -> Service:
    values = {name: getattr(SERVICE, name) for name in SERVICE.__dataclass_fields__}
    return Service(**{**values, "health": health, "health_failures": failures, **fields})


@pytest.mark.parametrize(
    ("health", "failures", "seen", "verdict"),
    [
        (UP, 0, UP, Verdict(UP, UP, 0, recovered=False)),
        (UP, 0, DOWN, Verdict(UP, UNKNOWN, 1, recovered=False)),
        (UP, 1, DOWN, Verdict(DOWN, DOWN, 2, recovered=False)),
        (UP, 1, UP, Verdict(UP, UP, 0, recovered=True)),
        (DOWN, 9, DOWN, Verdict(DOWN, DOWN, 10, recovered=False)),
        (DOWN, 0, DOWN, Verdict(DOWN, DOWN, 1, recovered=False)),
        (DOWN, 2, UP, Verdict(UP, UP, 0, recovered=True)),
        (DOWN, 2, MAINTENANCE, Verdict(MAINTENANCE, MAINTENANCE, 0, recovered=False)),
        (MAINTENANCE, 0, DOWN, Verdict(MAINTENANCE, UNKNOWN, 1, recovered=False)),
        (MAINTENANCE, 1, DOWN, Verdict(DOWN, DOWN, 2, recovered=False)),
        (MAINTENANCE, 0, UP, Verdict(UP, UP, 0, recovered=True)),
        (UNKNOWN, 0, UP, Verdict(UP, UP, 0, recovered=True)),
        (UNKNOWN, 0, DOWN, Verdict(UNKNOWN, UNKNOWN, 1, recovered=False)),
        (UNKNOWN, 1, DOWN, Verdict(DOWN, DOWN, 2, recovered=False)),
    ],
)
def test_look_when_judged_then_one_failure_alone_changes_nothing(
    health: str, failures: int, seen: str, verdict: Verdict
) -> None:
    assert judge_look(service(health, failures), seen) == verdict


@pytest.mark.parametrize("seen", [UP, DOWN, MAINTENANCE])
@pytest.mark.parametrize("health", STATES)
def test_look_when_an_administrator_says_maintenance_then_that_it_is(
    health: str, seen: str
) -> None:
    judged = judge_look(service(health, 3, maintenance=True), seen)
    assert judged == Verdict(MAINTENANCE, MAINTENANCE, 0, recovered=False)


@given(st.lists(st.sampled_from((UP, DOWN, MAINTENANCE)), max_size=40))
def test_looks_when_in_any_order_then_down_needs_two_failures_in_a_row(looks: list[str]) -> None:
    now = service(UNKNOWN)
    for place, seen in enumerate(looks):
        verdict = judge_look(now, seen)
        if verdict.state == DOWN:
            assert seen == DOWN
            assert looks[place - 1] == DOWN
            assert place >= 1
        if verdict.recovered:
            assert verdict.state == UP
        assert verdict.state != UNKNOWN or set(looks[: place + 1]) == {DOWN}
        now = service(verdict.state, verdict.failures)


def test_uptime_when_times_differ_then_weighted_by_them_and_nothing_else() -> None:
    spans = [
        Span(UP, NOW - 4 * HOUR, NOW - HOUR),
        Span(MAINTENANCE, NOW - HOUR, NOW - HOUR / 2),
        Span(DOWN, NOW - HOUR / 2, NOW - HOUR / 4),
        Span(UNKNOWN, NOW - HOUR / 4, NOW),
    ]
    assert uptime(spans, NOW, 24 * HOUR) == pytest.approx(3 / 3.25)
    assert uptime(spans, NOW, HOUR) == 0.0
    assert uptime(spans, NOW, HOUR / 4) is None
    assert uptime([], NOW, HOUR) is None


@st.composite
def histories(draw: st.DrawFn) -> list[Span]:
    spans, at = [], NOW - timedelta(days=draw(st.integers(1, 40)))
    for state in draw(st.lists(st.sampled_from(STATES), max_size=30)):
        began = at + timedelta(minutes=draw(st.integers(0, 600)))
        at = began + timedelta(minutes=draw(st.integers(0, 3000)))
        spans.append(Span(state, began, at, draw(st.none() | st.just("said"))))
    return [span for span in spans if span.began_at <= NOW]


@given(histories(), st.sampled_from([HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR]))
def test_uptime_when_any_history_then_a_share_that_only_known_time_moves(
    spans: list[Span], window: timedelta
) -> None:
    share = uptime(spans, NOW, window)
    assert share is None or 0 <= share <= 1
    known = [span for span in spans if span.state in (UP, DOWN)]
    assert uptime(known, NOW, window) == share
    swapped = [
        Span(DOWN if span.state == UP else UP, span.began_at, span.ended_at) for span in known
    ]
    other = uptime(swapped, NOW, window)
    assert (other is None) == (share is None)
    if share is not None:
        assert cast("float", other) == pytest.approx(1 - share)


@given(histories())
def test_incidents_when_any_history_then_newest_first_and_one_at_most_goes_on(
    spans: list[Span],
) -> None:
    found = incidents(spans, NOW)
    assert len(found) <= MAX_INCIDENTS
    assert all(item.state in (DOWN, MAINTENANCE) for item in found)
    assert [item.began_at for item in found] == sorted(
        (item.began_at for item in found), reverse=True
    )
    assert sum(item.ended_at is None for item in found) <= 1
    assert all(item.duration_s >= 0 for item in found)
    for item in found[1:]:
        assert item.ended_at is not None


def test_longest_gap_when_looks_are_rare_then_follows_them() -> None:
    assert longest_gap(60.0) == timedelta(minutes=3)
    assert longest_gap(600.0) == timedelta(minutes=30)


def test_slots_when_a_window_is_cut_then_each_part_tells_the_worst_seen_in_it() -> None:
    seen = [
        Span(UP, NOW - 3 * HOUR, NOW - 2.5 * HOUR),
        Span(DOWN, NOW - 2.5 * HOUR, NOW - 2 * HOUR),
        Span(MAINTENANCE, NOW - 2 * HOUR, NOW - HOUR),
    ]

    parts = slots(seen, NOW, 4 * HOUR, 4)

    assert [part.state for part in parts] == [UNKNOWN, DOWN, MAINTENANCE, UNKNOWN]
    assert [part.share for part in parts] == [None, 0.5, None, None]
    assert parts[0].began_at == NOW - 4 * HOUR
    assert parts[-1].ended_at == NOW
