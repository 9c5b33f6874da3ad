"""The table of a job's life, from every side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.core.jobs import (
    OPEN,
    TERMINAL,
    TRANSITIONS,
    Event,
    InvalidTransition,
    Status,
    advance,
    sources,
    unchanged,
)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", Event)
def test_advance_for_every_pair_follows_the_table_or_refuses(status: Status, event: Event) -> None:
    if (status, event) in TRANSITIONS:
        assert advance(status, event) is TRANSITIONS[status, event]
    else:
        with pytest.raises(InvalidTransition):
            advance(status, event)


def test_terminal_is_what_nothing_leaves() -> None:
    assert {Status.COMPLETED, Status.FAILED, Status.CANCELLED} == TERMINAL
    assert frozenset(Status) - TERMINAL == OPEN


def test_every_status_is_reachable_from_pending() -> None:
    reached = {Status.PENDING}
    for _ in Status:
        reached |= {target for (source, _), target in TRANSITIONS.items() if source in reached}
    assert reached == set(Status)


@pytest.mark.parametrize("status", sorted(OPEN))
def test_every_open_status_can_fail_and_be_cancelled(status: Status) -> None:
    assert advance(status, Event.FAIL) is Status.FAILED
    assert advance(status, Event.CANCEL) is Status.CANCELLED


def test_results_complete_a_job_only_while_it_runs() -> None:
    assert sources(Event.COMPLETE) == {Status.RUNNING}


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_unchanged_keeps_the_status(status: Status) -> None:
    assert advance(status, unchanged(status)) is status


class Life(RuleBasedStateMachine):
    """Any order of events: a final job never moves, and what moves follows the table."""

    def __init__(self) -> None:
        super().__init__()
        self.status = Status.PENDING
        self.ended = False

    @rule(event=st.sampled_from(list(Event)))
    def happen(self, event: Event) -> None:
        before = self.status
        try:
            self.status = advance(before, event)
        except InvalidTransition:
            assert self.status is before
        else:
            assert before not in TERMINAL
        self.ended = self.ended or self.status in TERMINAL

    @invariant()
    def final_is_final(self) -> None:
        assert self.ended == (self.status in TERMINAL)


TestLife = Life.TestCase


@given(st.lists(st.sampled_from(list(Event)), max_size=50))
def test_nothing_returns_to_pending(events: list[Event]) -> None:
    status = Status.PENDING
    moved = False
    for event in events:
        if (status, event) in TRANSITIONS:
            status, moved = TRANSITIONS[status, event], True
        assert not moved or status is not Status.PENDING
