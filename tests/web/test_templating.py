"""How templates write sizes, numbers and times; and that what people typed never becomes markup."""

from datetime import UTC, datetime, timedelta

import jinja2
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from app.web import templating
from app.web.templating import ago, count, duration, icon, iso, size, when

NOW = datetime(2026, 11, 28, 7, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, ""),
        (0, "0 B"),
        (1, "1 B"),
        (581, "581 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_049, "1.0 kB"),
        (9_000_000, "9.0 MB"),
        (999_960, "1.0 MB"),
        (999_940, "999.9 kB"),
        (1_500_000_000, "1.5 GB"),
        (2_500_000_000_000, "2.5 TB"),
        (5_000_000_000_000_000, "5000.0 TB"),
    ],
)
def test_size_when_written_then_as_people_read_it(number: int | None, text: str) -> None:
    assert size(number) == text


@given(st.integers(0, 10**14))
def test_size_when_any_then_never_a_thousand_of_a_unit_that_has_a_larger_one(number: int) -> None:
    value, unit = size(number).split()

    assert unit == "TB" or float(value) < 1000


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, ""), (0, "0"), (999, "999"), (1000, "1\u202f000"), (7_500_123, "7\u202f500\u202f123")],
)
def test_count_when_written_then_thousands_stand_apart(number: int | None, text: str) -> None:
    assert count(number) == text


@given(st.integers(-(10**12), 10**12))
def test_count_when_any_then_it_reads_back(number: int) -> None:
    assert int(count(number).replace("\u202f", "")) == number


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (-5, "under 1 s"),
        (0, "under 1 s"),
        (0.4, "under 1 s"),
        (1, "1 s"),
        (45, "45 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (3660, "1 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
        (86_400 * 400, "400 d"),
        (timedelta(minutes=2), "2 min"),
    ],
)
def test_duration_when_written_then_its_two_largest_units(
    seconds: float | timedelta | None, text: str
) -> None:
    assert duration(seconds) == text


@given(st.integers(1, 10**8))
def test_duration_when_any_then_it_is_right_to_its_second_unit(seconds: int) -> None:
    units = {"d": 86_400, "h": 3600, "min": 60, "s": 1}
    words = duration(seconds).split()
    told = sum(int(n) * units[u] for n, u in zip(words[::2], words[1::2], strict=True))
    largest = units[words[1]]
    step = {86_400: 3600, 3600: 60, 60: 1, 1: 1}[largest]

    assert 0 <= seconds - told < step
    assert len(words) <= 4


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (44, "just now"),
        (45, "1 minute ago"),
        (60, "1 minute ago"),
        (119, "2 minutes ago"),
        (3600, "1 hour ago"),
        (7200, "2 hours ago"),
        (86_400, "1 day ago"),
        (86_400 * 30, "30 days ago"),
        (-10, "in a moment"),
        (-60, "in 1 minute"),
        (-7200, "in 2 hours"),
        (-86_400 * 3, "in 3 days"),
    ],
)
def test_ago_when_written_then_as_people_say_it(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


@given(st.integers(-(10**8), 10**8))
def test_ago_when_any_then_never_sixty_minutes_or_twenty_four_hours(seconds: int) -> None:
    text = ago(NOW - timedelta(seconds=seconds), NOW)

    assert not text.removeprefix("in ").startswith(("0 ", "60 minute", "24 hour", "25 hour"))
    assert (seconds >= 0) == ("ago" in text or text == "just now")


def test_times_when_written_in_full_then_in_utc() -> None:
    assert when(NOW) == "2026-11-28 07:05 UTC"
    assert iso(NOW) == "2026-11-28T07:05:00Z"


def test_icon_when_it_means_something_then_it_says_so() -> None:
    assert 'aria-hidden="true"' in icon("bell")
    assert 'aria-label="&lt;b&gt;"' in icon("bell", "<b>")
    assert 'class="icon big"' in icon("bell", cls="big")
    with pytest.raises(LookupError):
        icon("no-such-icon")
    with pytest.raises(LookupError):
        icon("../VENDOR")


@pytest.fixture(scope="module")
def environment() -> jinja2.Environment:
    return templating.set_up(web.Application())


def test_template_when_it_shows_what_somebody_typed_then_it_is_text(
    environment: jinja2.Environment,
) -> None:
    evil = "<script>alert(1)</script>\" onclick='x'"
    shown = environment.from_string('<p title="{{ it }}">{{ it }}</p>').render(it=evil)

    assert "<script" not in shown
    assert shown.count('"') == 2
    assert "'" not in shown


def test_template_when_it_names_what_is_not_there_then_it_breaks(
    environment: jinja2.Environment,
) -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ nothing }}").render()
