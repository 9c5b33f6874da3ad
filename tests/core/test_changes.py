"""What the remote's word changes: every state against every status, and any sequence of words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.changes import (
    COLLECT_PROGRESS,
    SUBMITTED_PROGRESS,
    WAITS_LONG,
    Change,
    observe,
    remote_progress,
    revise,
)
from app.core.jobs import TERMINAL, Action, Event, Stage, Status, advance, unchanged
from app.core.models import Job
from app.core.notices import NoticeEvent
from app.core.remote import RemoteState, RemoteStatus
from tests.support.notices import make_job

NOW = datetime(2025, 6, 1, tzinfo=UTC)
SETTLE = timedelta(seconds=5)
AT_REMOTE = (Status.QUEUED, Status.RUNNING)
S, E = RemoteState, Event


def word(state: RemoteState, **more: Any) -> RemoteStatus:
    return RemoteStatus(remote_id="r", state=state, raw=state.value, **more)


def there(status: Status = Status.QUEUED, **more: Any) -> Job:
    """Give a job that is at the remote."""
    stage = Stage.REMOTE_QUEUE if status is Status.QUEUED else Stage.REMOTE_RUNNING
    values = {"status": status, "stage": stage, "external_job_id": "r", "progress_percentage": 10}
    return make_job(**{**values, "has_slot": True, "next_action": Action.POLL, **more})


def seen(job: Job, remote: RemoteStatus) -> Change | None:
    return observe(job, remote, "Server", NOW, SETTLE)


def written(job: Job, change: Change) -> Job:
    """Give the job as the database has it after a change."""
    status = advance(job.status, change.event)
    progress = max(job.progress_percentage, change.progress)
    fields = {name: value for name, value in change.fields.items() if name != "lease_owner"}
    end: dict[str, Any] = {"completed_at": NOW, "next_action": None} if status in TERMINAL else {}
    changed: dict[str, Any] = {"status": status, "stage": change.stage, **fields, **end}
    return replace(job, **{**changed, "progress_percentage": progress})


TABLE = {
    S.WAITING: (E.REMOTE_QUEUED, Stage.REMOTE_QUEUE, None),
    S.RUNNING: (E.REMOTE_RUNNING, Stage.REMOTE_RUNNING, None),
    S.SUCCEEDED: (E.COLLECT, Stage.DOWNLOADING, "completed"),
    S.FAILED: (E.COLLECT, Stage.DOWNLOADING, "failed"),
    S.CANCELLED: (E.CANCEL, None, None),
    S.GONE: (E.FAIL, None, None),
    S.DEAD: (E.REMOTE_QUEUED, Stage.REMOTE_DEAD, None),
}


@pytest.mark.parametrize("state", RemoteState)
@pytest.mark.parametrize("status", AT_REMOTE)
def test_observe_for_every_state_and_status_follows_the_table(
    state: RemoteState, status: Status
) -> None:
    job = there(status, stage=Stage.CREDENTIAL_NEEDED, hold_reason="it was held")
    change = seen(job, word(state, queue_position=3, reason="a reason"))
    if state is S.UNKNOWN:
        assert change is None
        return
    assert change is not None
    if state is S.MISSING:
        told = (change.event, change.stage, change.message, change.fields["missing_since"])
        assert told == (unchanged(status), Stage.CREDENTIAL_NEEDED, None, NOW), "it moves nothing"
        return
    event, stage, outcome = TABLE[state]
    assert (change.event, change.stage) == (event, stage)
    assert change.fields.get("outcome") == outcome
    assert change.message
    advance(job.status, change.event)


@pytest.mark.parametrize("state", RemoteState)
@pytest.mark.parametrize("status", AT_REMOTE)
def test_observe_when_told_the_same_twice_then_the_second_time_teaches_nothing(
    state: RemoteState, status: Status
) -> None:
    remote = word(
        state, queue_position=3 if state is S.WAITING else None, step="Phasing", progress=0.5
    )
    change = seen(there(status), remote)
    if change is None:
        return
    job = written(there(status), change)
    if job.next_action is Action.POLL:
        assert seen(job, remote) is None


@pytest.mark.parametrize("state", [S.FAILED, S.CANCELLED, S.GONE])
def test_observe_when_we_had_asked_to_stop_then_any_end_is_a_cancellation(
    state: RemoteState,
) -> None:
    change = seen(there(Status.RUNNING, cancel_requested_at=NOW), word(state))
    assert change is not None
    assert change.event is E.CANCEL


def test_observe_when_results_are_there_then_they_are_due_after_the_server_settled() -> None:
    expiry = NOW + timedelta(days=6)
    change = seen(there(Status.RUNNING), word(S.SUCCEEDED, results_expire_at=expiry))
    assert change is not None
    assert change.fields["next_action"] is Action.COLLECT
    assert change.fields["next_action_at"] == NOW + SETTLE
    assert change.fields["results_expire_at"] == expiry
    assert change.fields["has_slot"] is False
    assert change.progress == COLLECT_PROGRESS
    assert change.notices == (NoticeEvent.JOB_RUNNING,), "however short it ran"


def test_observe_when_the_remote_failed_it_then_keeps_the_reason_the_way_out_and_the_progress() -> (
    None
):
    change = seen(
        there(Status.RUNNING, progress_percentage=47),
        word(S.FAILED, reason="More than 100 obvious strand flips"),
    )
    assert change is not None
    assert change.fields["error_code"] == "strand_flips"
    assert change.fields["error_message"] == "Server: More than 100 obvious strand flips"
    assert change.fields["error_action"]
    assert change.progress == 47
    assert change.notices == ()


def test_observe_when_a_job_waits_beyond_its_limit_then_says_so_until_it_runs() -> None:
    late = there(notified_waiting_at=NOW, hold_reason="an outage")
    change = seen(late, word(S.WAITING))
    assert change is not None
    assert (change.stage, change.fields["hold_reason"]) == (Stage.WAITING_TOO_LONG, WAITS_LONG)
    job = written(late, change)
    assert seen(job, word(S.WAITING)) is None
    change = seen(job, word(S.RUNNING))
    assert change is not None
    assert change.fields["hold_reason"] is None


def test_observe_when_the_queue_moves_then_tells_the_place() -> None:
    change = seen(there(queue_position=4), word(S.WAITING, queue_position=3))
    assert change is not None
    assert "3 ahead" in (change.message or "")


@pytest.mark.parametrize("outcome", ["completed", "failed"])
@pytest.mark.parametrize("state", RemoteState)
def test_revise_for_every_state_and_outcome(state: RemoteState, outcome: str) -> None:
    job = there(
        Status.RUNNING,
        outcome=outcome,
        next_action=Action.COLLECT,
        stage=Stage.DOWNLOADING,
        error_code="remote_failure" if outcome == "failed" else None,
    )
    change = revise(job, word(state, reason="why"), "Server", NOW, SETTLE)
    expected: dict[RemoteState, Event | None] = {
        S.WAITING: E.REMOTE_RUNNING,
        S.RUNNING: E.REMOTE_RUNNING,
        S.DEAD: E.REMOTE_RUNNING,
        S.CANCELLED: E.CANCEL,
        S.GONE: E.FAIL if outcome == "completed" else None,
        S.SUCCEEDED: None if outcome == "completed" else E.COLLECT,
        S.FAILED: None if outcome == "failed" else E.COLLECT,
        S.UNKNOWN: None,
        S.MISSING: None,
    }
    assert (change and change.event) == expected[state]
    if change is None:
        return
    after = written(job, change)
    if after.status is not Status.FAILED and after.outcome != "failed":
        assert after.error_code is None, "what was said before no longer holds"
    if after.status not in TERMINAL:
        assert after.outcome == {S.SUCCEEDED: "completed", S.FAILED: "failed"}.get(state)


@given(st.one_of(st.none(), st.floats(allow_nan=False)))
def test_remote_progress_for_any_share_stays_in_its_part(share: float | None) -> None:
    progress = remote_progress(share)
    assert progress == 0 or SUBMITTED_PROGRESS <= progress <= COLLECT_PROGRESS


WORDS = st.builds(
    word,
    st.sampled_from(list(RemoteState)),
    progress=st.one_of(st.none(), st.floats(0, 1)),
    step=st.sampled_from([None, "Quality Control", "Phasing", "Imputation"]),
    queue_position=st.one_of(st.none(), st.integers(0, 5)),
    reason=st.sampled_from([None, "strand flips"]),
)


@given(st.sampled_from(AT_REMOTE), st.booleans(), st.booleans(), st.lists(WORDS, max_size=30))
def test_observations_in_any_order_never_take_progress_back_and_end_only_by_an_end(
    status: Status, unwanted: bool, late: bool, words: list[RemoteStatus]
) -> None:
    job = there(
        status,
        cancel_requested_at=NOW if unwanted else None,
        notified_waiting_at=NOW if late else None,
    )
    shown = [job.progress_percentage]
    for remote in words:
        collects = job.next_action is Action.COLLECT
        look = revise if collects else observe
        change = look(job, remote, "Server", NOW, SETTLE)
        if change is None:
            continue
        assert remote.state is not S.UNKNOWN
        before, job = job, written(job, change)
        shown.append(job.progress_percentage)
        if job.status in TERMINAL:
            assert remote.state in (S.FAILED, S.CANCELLED, S.GONE)
            assert change.event in (E.FAIL, E.CANCEL)
            break
        assert job.next_action in (Action.POLL, Action.COLLECT)
        assert (job.outcome is not None) == (job.next_action is Action.COLLECT)
        assert job.has_slot == (
            job.next_action is Action.POLL and job.stage is not Stage.REMOTE_DEAD
        )
        assert advance(job.status, unchanged(job.status)) is job.status
        assert job != before
    assert shown == sorted(shown)


LOST = timedelta(minutes=15)


def after(job: Job, state: RemoteState, minutes: float) -> Change | None:
    return observe(job, word(state), "Server", NOW + timedelta(minutes=minutes), SETTLE, LOST)


@pytest.mark.parametrize("status", AT_REMOTE)
def test_observe_when_the_job_is_missing_then_told_after_a_while_and_lost_in_the_end(
    status: Status,
) -> None:
    job = there(status)
    first = after(job, S.MISSING, 0)
    assert first is not None
    assert first.message is None
    job = written(job, first)
    assert (job.status, job.stage) == (there(status).status, there(status).stage)
    assert after(job, S.MISSING, 4.9) is None
    told = after(job, S.MISSING, 5)
    assert told is not None
    assert "looked for again" in (told.message or "")
    job = written(job, told)
    assert job.status is status
    assert after(job, S.MISSING, 14.9) is None, "told once"
    lost = after(job, S.MISSING, 15)
    assert lost is not None
    assert (lost.event, lost.fields["error_code"]) == (E.FAIL, "lost_at_service")
    assert "retry" in str(lost.fields["error_action"])


@pytest.mark.parametrize("state", [state for state in S if state not in (S.MISSING, S.UNKNOWN)])
@pytest.mark.parametrize("was_told", [False, True])
def test_observe_when_a_missing_job_is_seen_again_then_the_time_counts_anew(
    state: RemoteState, was_told: bool
) -> None:
    job = there(Status.RUNNING)
    for minutes in (0, 6) if was_told else (0,):
        change = after(job, S.MISSING, minutes)
        assert change is not None
        job = written(job, change)
    assert after(job, S.UNKNOWN, 10) is None, "it says nothing, and clears nothing"
    seen_again = after(job, state, 10)
    assert seen_again is not None
    job = written(job, seen_again)
    assert job.missing_since is None
    if not job.is_final:
        assert "does not know the job just now" not in (job.hold_reason or "")
    if not job.is_final and job.next_action is Action.POLL:
        late = after(job, S.MISSING, 40)
        assert late is not None
        assert late.event is not E.FAIL


def test_observe_when_the_kind_of_service_gives_more_time_then_it_has_it() -> None:
    job = there(missing_since=NOW)
    assert observe(job, word(S.MISSING), "S", NOW + LOST, SETTLE, 2 * LOST) is not None
    lost = observe(job, word(S.MISSING), "S", NOW + 2 * LOST, SETTLE, 2 * LOST)
    assert lost is not None
    assert lost.event is E.FAIL


def test_observe_when_a_cancelled_job_is_missing_then_that_is_no_end() -> None:
    job = there(cancel_requested_at=NOW, missing_since=NOW)
    change = after(job, S.MISSING, 6)
    assert change is not None
    assert change.event is not E.CANCEL


def test_observe_when_the_service_says_why_a_job_is_missing_then_the_owner_reads_that() -> None:
    put_off = replace(word(S.MISSING), reason="it has taken the run's capacity away")
    job = there(Status.RUNNING, missing_since=NOW)
    told = observe(job, put_off, "S", NOW + LOST - timedelta(minutes=1), SETTLE, LOST)
    assert told is not None
    assert "it has taken the run's capacity away" in (told.message or "")
    job = written(job, told)
    lost = observe(job, put_off, "S", NOW + LOST, SETTLE, LOST)
    assert lost is not None
    assert lost.event is E.FAIL
    assert "it has taken the run's capacity away" in (lost.message or "")
    back = observe(job, word(S.RUNNING), "S", NOW + LOST, SETTLE, LOST)
    assert back is not None
    assert written(job, back).hold_reason is None
