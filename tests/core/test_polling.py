"""When to try again."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.polling import backoff, next_look, poll_interval
from tests.core.test_submission import SERVICE


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_backoff_stays_within_its_bounds_for_any_number_of_failures(
    failures: int, jitter: float
) -> None:
    wait = backoff(failures, 5.0, 900.0, lambda: jitter)
    assert 3.99 < wait < 1080.01


def test_backoff_doubles_until_its_end() -> None:
    waits = [backoff(n, 5.0, 30.0, lambda: 0.5) for n in (1, 2, 3, 4, 5)]
    assert waits == [5.0, 10.0, 20.0, 30.0, 30.0]


def test_poll_interval_when_nothing_changed_for_an_hour_is_longer() -> None:
    assert poll_interval(30.0, 10.0) == 30.0
    assert poll_interval(30.0, 3600.0) == 60.0


def test_poll_interval_when_the_service_asks_for_more_than_our_longest_is_kept() -> None:
    assert poll_interval(1200.0, 10_000.0) == 1200.0


@pytest.mark.parametrize(
    ("least", "expected"), [(None, 30.0), (60, 60.0), (60.5, 60.5), (10.0, 30.0), ("60", 30.0)]
)
def test_look_interval_when_the_operators_ask_for_more_then_lengthened(
    least: object, expected: float
) -> None:
    service = replace(SERVICE, poll_interval_s=30.0, api_config={"min_poll_s": least})
    assert service.look_interval_s == expected


@pytest.mark.parametrize(
    ("took", "failures", "expected"),
    [
        (0.0, 0, 130.0),
        (10.0, 0, 130.0),  # as if it had taken no time
        (15.0, 0, 130.0),
        (20.0, 0, 135.0),  # half the interval is the least rest
        (300.0, 0, 415.0),
        (10.0, 1, 140.0),  # who did not answer has the whole wait
    ],
)
def test_next_look_when_a_look_takes_long_then_the_interval_stays_and_the_service_rests(
    took: float, failures: int, expected: float
) -> None:
    assert next_look(100.0, 100.0 + took, 30.0, failures) == expected
