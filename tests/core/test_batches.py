"""How a batch stands, derived from its jobs."""

from itertools import combinations_with_replacement

import pytest

from app.core.batches import BatchStatus, Seen, seen_in, status_of, sum_up
from app.core.jobs import OPEN, TERMINAL, Status


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ("completed completed", "completed"),
        ("failed failed", "failed"),
        ("cancelled cancelled", "cancelled"),
        ("failed cancelled", "failed"),
        ("completed failed", "mixed"),
        ("completed cancelled", "mixed"),
        ("completed failed cancelled", "mixed"),
        ("completed running", "open"),
        ("failed queued", "open"),
        ("cancelled pending", "open"),
        ("", "cancelled"),
    ],
)
def test_status_when_jobs_came_to_this_then_it_follows(jobs: str, expected: str) -> None:
    assert status_of(Status(word) for word in jobs.split()) == expected


def test_status_when_any_job_is_open_then_the_batch_is() -> None:
    for jobs in combinations_with_replacement(Status, 3):
        assert (status_of(jobs) is BatchStatus.OPEN) == bool(OPEN & set(jobs)), jobs
        assert (status_of(jobs) is BatchStatus.COMPLETED) == (set(jobs) == {Status.COMPLETED})
        if not OPEN & set(jobs) and Status.COMPLETED in jobs and len(set(jobs)) > 1:
            assert status_of(jobs) is BatchStatus.MIXED


def test_combinations_when_looked_for_then_each_belongs_to_exactly_one_status() -> None:
    every = [bits for status in BatchStatus for bits in seen_in([status])]
    assert sorted(every) == list(range(16))
    assert all(sum_up(Seen(bits)) is status for status in BatchStatus for bits in seen_in([status]))
    assert {Seen[status.name] for status in TERMINAL} | {Seen.OPEN} == set(Seen)
