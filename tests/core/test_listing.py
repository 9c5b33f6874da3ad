"""Orders of lists, jobs handled many at once, and what needs their owner."""

from dataclasses import dataclass
from itertools import product
from uuid import UUID, uuid4

from app.core.attention import HELD
from app.core.bulk import RULES, Act, refusal_of
from app.core.jobs import TERMINAL, Stage, Status
from app.core.listing import ORDER_WORDS, JobOrder, gather
from app.db.jobs import JOBS


@dataclass(frozen=True)
class Item:
    name: str
    batch_id: UUID | None = None


def test_gather_when_batches_are_mixed_then_each_stands_where_its_first_does() -> None:
    one, two = uuid4(), uuid4()
    items = [Item("a", one), Item("b"), Item("c", two), Item("d", one), Item("e"), Item("f", two)]

    assert [item.name for item in gather(items)] == ["a", "d", "b", "c", "f", "e"]


def test_orders_when_named_then_each_has_its_words_and_the_query_knows_it() -> None:
    assert set(ORDER_WORDS) == set(JobOrder)
    for query in (JOBS.list_jobs, JOBS.list_rows):
        for order in set(JobOrder) - {JobOrder.NEWEST}:  # which is what remains
            assert f"'{order}'" in query.sql


def test_act_when_a_job_does_not_fit_then_says_why() -> None:
    assert set(RULES) == set(Act)
    for act, status in product(Act, Status):
        fits = (status in TERMINAL) == (act is not Act.CANCEL)
        assert (refusal_of(act, status) is None) == fits


def test_stages_when_they_wait_for_a_person_then_the_dashboard_shows_them() -> None:
    assert {Stage.CREDENTIAL_NEEDED, Stage.DECISION_NEEDED, Stage.RESULTS_BLOCKED} <= set(HELD)
