"""Ranges and conditions: a resumed download is right or whole, never a mixture."""

import pytest
from multidict import CIMultiDict

from app.web.ranges import Selection, Verdict, select

TAG = "abc123"
WHOLE = Selection(Verdict.SEND, 0, 100)


def ask(method: str = "GET", size: int = 100, **headers: str) -> Selection:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return select(method, named, size, TAG)


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 100),
        ("bytes=10-19", 10, 20),
        ("bytes=90-1000000000000", 90, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        ("Bytes = 5-6 ", 5, 7),
    ],
)
def test_select_when_a_range_is_asked_for_then_gives_it(wanted: str, start: int, stop: int) -> None:
    assert ask(Range=wanted) == Selection(Verdict.SEND, start, stop, is_part=True)


@pytest.mark.parametrize(
    "wanted", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"]
)
def test_select_when_the_range_is_beyond_the_end_then_cannot_be_met(wanted: str) -> None:
    assert ask(Range=wanted).verdict is Verdict.UNSATISFIABLE


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "lines=1-2",
        "bytes=0-1,5-6",
        "bytes=1-2-3",
        "bytes=\u0661-\u0662",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_select_when_the_range_makes_no_sense_then_gives_the_whole(wanted: str) -> None:
    assert ask(Range=wanted) == WHOLE


def test_select_when_the_file_is_empty_then_no_range_can_be_met() -> None:
    assert ask(size=0, Range="bytes=0-").verdict is Verdict.UNSATISFIABLE
    assert ask(size=0) == Selection(Verdict.SEND, 0, 0)


def test_select_when_it_is_head_then_ignores_the_range() -> None:
    assert ask("HEAD", Range="bytes=0-1") == WHOLE


def test_select_when_if_range_names_the_file_then_gives_the_range() -> None:
    assert ask(Range="bytes=5-", If_Range=f'"{TAG}"').start == 5


@pytest.mark.parametrize(
    "condition",
    [
        '"other"',
        f'W/"{TAG}"',
        TAG,
        "",
        "Wed, 21 Oct 2099 07:28:00 GMT",
        f'"{TAG}", "other"',
        "bogus",
    ],
)
def test_select_when_if_range_names_anything_else_then_gives_the_whole(condition: str) -> None:
    assert ask(Range="bytes=5-", If_Range=condition) == WHOLE


@pytest.mark.parametrize("condition", [f'"{TAG}"', "*", f'"x", W/"{TAG}"', f'"x","{TAG}"'])
def test_select_when_the_client_has_it_then_says_not_modified(condition: str) -> None:
    assert ask(If_None_Match=condition, Range="bytes=0-1").verdict is Verdict.NOT_MODIFIED


def test_select_when_the_client_has_something_else_then_sends() -> None:
    assert ask(If_None_Match='"x"') == WHOLE
    assert ask(If_Match=f'"{TAG}"') == WHOLE


@pytest.mark.parametrize("condition", ['"x"', f'W/"{TAG}"', ""])
def test_select_when_if_match_fails_then_says_so(condition: str) -> None:
    assert ask(If_Match=condition).verdict is Verdict.PRECONDITION_FAILED
