"""The end of a credential: told once for each nearness, foreseen for a job that would outlive it."""

from datetime import datetime, timedelta

import pytest

from app.core.expiry import Nearness, is_outlived, nearness, next_check, shown_end, to_tell
from tests.support.notices import NOW

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "near"),
    [
        (timedelta(days=400), Nearness.FAR),
        (7 * DAY + timedelta(seconds=1), Nearness.FAR),
        (7 * DAY, Nearness.WEEK),
        (DAY + timedelta(seconds=1), Nearness.WEEK),
        (DAY, Nearness.DAY),
        (timedelta(seconds=1), Nearness.DAY),
        (timedelta(), Nearness.OVER),
        (-400 * DAY, Nearness.OVER),
    ],
)
def test_nearness_when_time_is_left_then_the_limits_are_a_week_and_a_day(
    left: timedelta, near: Nearness
) -> None:
    assert nearness(NOW + left, NOW) is near


@pytest.mark.parametrize(
    ("left", "told", "moved", "expected"),
    [
        (6 * DAY, Nearness.FAR, None, Nearness.WEEK),
        (6 * DAY, Nearness.WEEK, timedelta(), None),
        (23 * HOUR, Nearness.WEEK, timedelta(), Nearness.DAY),
        (23 * HOUR, Nearness.FAR, None, Nearness.DAY),  # stored that late: the week is not told after it
        (-HOUR, Nearness.DAY, timedelta(), Nearness.OVER),
        (-HOUR, Nearness.OVER, timedelta(), None),
        (6 * DAY, Nearness.DAY, timedelta(), None),  # never backwards
        (6 * DAY, Nearness.OVER, 6 * DAY, Nearness.WEEK),  # another end: anew
        (6 * DAY, Nearness.WEEK, timedelta(minutes=59), None),  # the same end, counted a little later
        (6 * DAY, Nearness.WEEK, timedelta(minutes=61), Nearness.WEEK),
        (30 * DAY, Nearness.OVER, 30 * DAY, None),
    ],
)  # fmt: skip
def test_told_when_an_end_comes_nearer_then_each_step_is_told_once(
    left: timedelta, told: Nearness, moved: timedelta | None, expected: Nearness | None
) -> None:
    ends = NOW + left
    told_for: datetime | None = None if moved is None else ends - moved
    assert to_tell(ends, NOW, told, told_for) is expected


@pytest.mark.parametrize(
    ("left", "typical", "outlived"),
    [
        (47 * HOUR, None, True),
        (49 * HOUR, None, False),
        (49 * HOUR, timedelta(hours=1), False),  # quick so far: two days all the same
        (47 * HOUR, timedelta(hours=1), True),
        (6 * DAY, timedelta(days=7), True),
        (8 * DAY, timedelta(days=7), False),
    ],
)
def test_job_when_it_takes_as_long_as_others_then_it_is_known_whether_it_outlives_the_credential(
    left: timedelta, typical: timedelta | None, outlived: bool
) -> None:
    seconds = typical.total_seconds() if typical is not None else None
    assert is_outlived(NOW + left, NOW, seconds) is outlived


def test_next_check_when_chosen_then_within_a_tenth() -> None:
    assert next_check(NOW, DAY, lambda: 0.0) == NOW + 0.9 * DAY
    assert next_check(NOW, DAY, lambda: 1.0) == NOW + 1.1 * DAY


def test_end_when_shown_then_people_can_read_it() -> None:
    assert shown_end(NOW) == "1 June 2025, 12:00 UTC"
