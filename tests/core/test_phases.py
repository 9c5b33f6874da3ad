"""The way of a job, read from its changes."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.core.jobs import OPEN, Stage, Status
from app.core.models import StatusUpdate
from app.core.phases import Mark, Phase, Step, steps
from tests.support.notices import make_job

START = datetime(2026, 6, 1, tzinfo=UTC)
CREATED = [(0, Status.PENDING, None), (0, Status.QUEUED, None)]


def update(after_s: float, status: Status, stage: Stage | None) -> StatusUpdate:
    at = START + timedelta(seconds=after_s)
    return StatusUpdate(int(after_s), uuid4(), 1, status, stage, 0, "m", at)


def told(
    changes: list[tuple[float, Status, Stage | None]], now_s: float, **job: object
) -> dict[Phase, Step]:
    last = changes[-1]
    made = make_job(
        **{"created_at": START, "status": last[1], "stage": last[2], "started_at": None, **job}
    )
    given = steps(made, [update(*item) for item in changes], START + timedelta(seconds=now_s))
    assert [step.phase for step in given] == list(Phase)
    return {step.phase: step for step in given}


def seconds(step: Step) -> float | None:
    return None if step.took is None else step.took.total_seconds()


def test_steps_when_running_then_former_are_over_and_this_one_counts() -> None:
    way = told(
        [
            *CREATED,
            (10, Status.RUNNING, Stage.SUBMITTING),
            (30, Status.QUEUED, Stage.REMOTE_QUEUE),
            (90, Status.RUNNING, Stage.REMOTE_RUNNING),
        ],
        now_s=130,
    )
    assert [step.mark for step in way.values()] == ["over", "over", "over", "now", "coming", "coming"]  # fmt: skip
    assert seconds(way[Phase.WAITING]) == 10
    assert seconds(way[Phase.SENDING]) == 20
    assert seconds(way[Phase.AT_SERVICE]) == 100


def test_steps_when_completed_then_all_are_over() -> None:
    way = told(
        [
            *CREATED,
            (1, Status.RUNNING, Stage.SUBMITTING),
            (2, Status.QUEUED, Stage.REMOTE_QUEUE),
            (5, Status.RUNNING, Stage.DOWNLOADING),
            (9, Status.COMPLETED, None),
        ],
        now_s=500,
        completed_at=START + timedelta(seconds=9),
    )
    assert {step.mark for step in way.values()} == {Mark.OVER}
    assert seconds(way[Phase.FETCHING]) == 4
    assert way[Phase.DONE].began_at == START + timedelta(seconds=9)


def test_steps_when_the_service_was_full_after_all_then_it_waits_again() -> None:
    way = told(
        [
            *CREATED,
            (1, Status.RUNNING, Stage.SUBMITTING),
            (3, Status.QUEUED, Stage.WAITING_FOR_SLOT),
        ],
        now_s=10,
    )
    assert way[Phase.WAITING].mark is Mark.NOW
    assert way[Phase.SENDING].mark is Mark.COMING
    assert way[Phase.SENDING].began_at is None


def test_steps_when_held_then_it_stays_where_it_was() -> None:
    way = told(
        [
            *CREATED,
            (1, Status.RUNNING, Stage.SUBMITTING),
            (2, Status.RUNNING, Stage.REMOTE_RUNNING),
            (3, Status.RUNNING, Stage.CREDENTIAL_NEEDED),
        ],
        now_s=10,
    )
    assert way[Phase.AT_SERVICE].mark is Mark.HELD


def test_steps_when_it_failed_at_the_service_then_its_reports_are_no_step() -> None:
    changes: list[tuple[float, Status, Stage | None]] = [
        *CREATED,
        (1, Status.RUNNING, Stage.SUBMITTING),
        (2, Status.RUNNING, Stage.REMOTE_RUNNING),
        (8, Status.RUNNING, Stage.DOWNLOADING),
        (9, Status.FAILED, None),
    ]
    end = START + timedelta(seconds=9)
    way = told(changes, now_s=99, completed_at=end, outcome="failed")
    assert way[Phase.AT_SERVICE].mark is Mark.STOPPED
    assert seconds(way[Phase.AT_SERVICE]) == 7
    assert way[Phase.FETCHING].mark is Mark.NEVER


def test_steps_when_old_changes_are_missing_then_the_job_itself_tells() -> None:
    at = [START + timedelta(seconds=number) for number in range(4)]
    way = told(
        [(50, Status.RUNNING, Stage.REMOTE_RUNNING)],
        now_s=60,
        started_at=at[1],
        submitted_at=at[3],
    )
    assert seconds(way[Phase.SENDING]) == 2
    assert seconds(way[Phase.AT_SERVICE]) == 57


@given(
    st.lists(st.tuples(st.sampled_from(sorted(OPEN)), st.sampled_from([None, *Stage])), max_size=12)
)
def test_steps_when_anything_happened_then_one_is_now_and_no_time_runs_back(
    words: list[tuple[Status, Stage | None]],
) -> None:
    changes = [*CREATED, *((place + 1, *word) for place, word in enumerate(words))]
    way = list(told([(float(at), status, stage) for at, status, stage in changes], 1000).values())
    assert sum(step.mark in (Mark.NOW, Mark.HELD) for step in way) == 1
    began = [step.began_at for step in way if step.began_at is not None]
    assert all((seconds(step) or 0) >= 0 for step in way)
    assert began == sorted(began)
