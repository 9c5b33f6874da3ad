"""After searches that found nothing: when a job may be sent again, and when only its owner can tell."""

import itertools

import pytest

from app.core.remote import is_remote_id
from app.core.searching import Verdict, after_empty_search, undecided


def run(needed: int, *conclusive: bool) -> list[Verdict]:
    searches = doubts = 0
    verdicts = []
    for is_conclusive in conclusive:
        done = after_empty_search(searches, doubts, needed, is_conclusive=is_conclusive)
        searches, doubts = done.searches, done.doubts
        verdicts.append(done.verdict)
    return verdicts


L, S, A = Verdict.LOOK_AGAIN, Verdict.SEND_AGAIN, Verdict.ASK_OWNER


@pytest.mark.parametrize(
    ("needed", "conclusive", "verdicts"),
    [
        (2, [True, True], [L, S]),
        (1, [True], [S]),
        (3, [True, True, True], [L, L, S]),
        (2, [False, False], [L, A]),
        (3, [False, False, False, False], [L, L, A, A]),
        (2, [True, False, True, True], [L, L, L, S]),
        (2, [False, False, True, True, True], [L, A, A, A, A]),
    ],
)
def test_search_when_it_found_nothing_then_the_table_says_what_follows(
    needed: int, conclusive: list[bool], verdicts: list[Verdict]
) -> None:
    assert run(needed, *conclusive) == verdicts


@pytest.mark.parametrize("needed", [1, 2, 3])
def test_search_in_any_order_never_sends_again_without_enough_conclusive_ones_in_a_row(
    needed: int,
) -> None:
    for order in itertools.product([True, False], repeat=7):
        verdicts = run(needed, *order)
        for place, verdict in enumerate(verdicts):
            if verdict is S:
                assert all(order[place + 1 - needed : place + 1])
                assert A not in verdicts[:place]
                break


def test_undecided_when_the_links_were_used_then_says_that_it_probably_runs() -> None:
    assert "very probably" in undecided("X", was_used=True)
    assert "very probably" not in undecided("X", was_used=False)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("186790ca-1b2c", True),
        ("run-18ac67b9", True),
        ("job-20240101-120000-001", True),
        ("a:b~c.d_e", True),
        ("", False),
        ("..", False),
        ("../x", False),
        ("a/b", False),
        ("a%2fb", False),
        ("a?b", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
        ("a" * 201, False),
    ],
)
def test_remote_id_when_it_could_lead_elsewhere_then_is_none(text: str, is_one: bool) -> None:
    assert is_remote_id(text) is is_one
