"""What a job's owner reads: every status and stage has words, and they are whole."""

import itertools
import re

import pytest

from app.core.jobs import OPEN, Stage, Status
from app.core.standing import FAILED_BECAUSE, WORDS, Surroundings, WayOut, standing, way_out_of
from tests.support.notices import make_job

AROUND = Surroundings(service="Michigan", country="United States", every="every 60 s")


def test_words_when_a_status_or_stage_exists_then_it_has_some() -> None:
    assert set(WORDS) == {*Status, *Stage}


@pytest.mark.parametrize("has_results", [True, False])
@pytest.mark.parametrize("queue_position", [None, 0, 1, 7])
def test_standing_when_told_then_every_sentence_is_whole(
    queue_position: int | None, *, has_results: bool
) -> None:
    open_ones = itertools.product(OPEN, [None, *Stage])
    ended = [(status, None) for status in Status if status not in OPEN]
    for status, stage in (*open_ones, *ended):
        job = make_job(status=status, stage=stage, queue_position=queue_position)
        told = standing(job, AROUND, has_results=has_results)
        for text in (told.headline, told.now, told.then, told.todo, told.pace):
            assert not re.search(r"[{}]|  |None", text), text
        for text in (told.now, told.then):
            assert text.endswith("."), text


def test_standing_when_jobs_are_ahead_then_says_how_many() -> None:
    job = make_job(status=Status.QUEUED, stage=Stage.REMOTE_QUEUE, queue_position=7)
    told = standing(job, AROUND)
    assert told.headline == "In the queue of Michigan"
    assert "7 jobs are ahead of it." in told.now
    assert "every 60 s" in told.pace
    assert not told.todo


def test_standing_when_only_its_owner_can_help_then_says_what_to_do() -> None:
    for stage, way_out in (
        (Stage.CREDENTIAL_NEEDED, WayOut.CREDENTIAL),
        (Stage.DECISION_NEEDED, WayOut.DECIDE),
        (Stage.WAITING_TOO_LONG, WayOut.CANCEL),
    ):
        told = standing(make_job(status=Status.QUEUED, stage=stage), AROUND)
        assert told.todo
        assert told.way_out is way_out


def test_standing_when_results_stayed_at_the_service_then_says_so() -> None:
    job = make_job(status=Status.COMPLETED, results_held=2)
    assert "some at the service" in standing(job, AROUND, has_results=True).headline
    assert standing(job, AROUND, has_results=False).headline.endswith("at the service")


def test_failure_when_explained_then_in_other_words_and_with_a_way_out() -> None:
    for code, because in FAILED_BECAUSE.items():
        told = standing(make_job(status=Status.FAILED, error_code=code), AROUND)
        assert told.now == because.replace("{service}", "Michigan")
    rejected = make_job(status=Status.FAILED, error_code="credential_rejected")
    assert way_out_of(rejected) is WayOut.CREDENTIAL
    flipped = make_job(status=Status.FAILED, error_code="strand_flips")
    assert way_out_of(flipped) is WayOut.CHANGE
    assert way_out_of(make_job(status=Status.FAILED, error_code="never heard of")) is WayOut.RETRY
