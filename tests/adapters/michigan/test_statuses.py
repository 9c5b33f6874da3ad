"""Job JSON: states, progress, reasons, and everything that is not job JSON."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.base import RemoteState, ServiceUnavailable
from app.adapters.michigan.logs import reason_in
from app.adapters.michigan.outputs import read_outputs
from app.adapters.michigan.statuses import ACTIVE, STATES, gone, read_job
from tests.fakes.cloudgene import GOOD_TOKEN


def _job(state: object = 2, steps: object = None, **members: object) -> dict[str, Any]:
    return {
        "id": "job-20251005-162345-508",
        "name": "fi-1",
        "state": state,
        "steps": steps or [],
        **members,
    }


def _steps(*messages: tuple[str, int, str]) -> list[dict[str, Any]]:
    return [
        {"id": 0, "name": step, "logMessages": [{"success": True, "type": kind, "message": text}]}
        for step, kind, text in messages
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (-1, RemoteState.DEAD), (1, RemoteState.WAITING), (2, RemoteState.RUNNING), (3, RemoteState.RUNNING),
        (4, RemoteState.SUCCEEDED), (5, RemoteState.FAILED), (6, RemoteState.CANCELLED), (7, RemoteState.GONE),
        (8, RemoteState.SUCCEEDED), (9, RemoteState.FAILED), (10, RemoteState.GONE), (0, RemoteState.UNKNOWN),
        (11, RemoteState.UNKNOWN), ("4", RemoteState.SUCCEEDED), (4.0, RemoteState.SUCCEEDED),
    ],
)  # fmt: skip
def test_read_job_when_state_is_given_then_common_word(
    state: object, expected: RemoteState
) -> None:
    status = read_job(_job(state))
    assert status.state is expected
    assert status.raw == str(int(float(str(state))))


def test_states_when_counted_against_the_limit_then_waiting_running_exporting() -> None:
    assert {1, 2, 3} == ACTIVE
    assert {STATES[state] for state in ACTIVE} == {RemoteState.WAITING, RemoteState.RUNNING}


@pytest.mark.parametrize(
    "job",
    [
        {}, {"id": "job-1"}, {"state": 4}, {"id": None, "state": 4}, {"id": "../x", "state": 4}, {"id": "a/b", "state": 4},
        {"id": "job-1", "state": None}, {"id": "job-1", "state": True}, {"id": "job-1", "state": "running"},
        {"id": "job-1", "state": [4]}, {"id": "x" * 200, "state": 4}, {"id": "a\nb", "state": 1},
    ],
)  # fmt: skip
def test_read_job_when_it_is_no_job_then_unavailable(job: dict[str, object]) -> None:
    with pytest.raises(ServiceUnavailable):
        read_job(job)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
        max_leaves=8,
    )
)
def test_read_job_when_members_are_anything_then_no_surprise(junk: object) -> None:
    members = dict.fromkeys(
        ("steps", "positionInQueue", "deletedOn", "name", "outputParams", "userAgent"), junk
    )
    status = read_job({"id": "job-1", "state": 5, **members})
    assert status.state is RemoteState.FAILED
    read_outputs({"outputParams": junk})
    read_outputs(
        {
            "outputParams": [
                {"name": junk, "files": junk},
                {"files": [{"name": junk, "hash": junk, "count": junk}]},
            ]
        }
    )
    read_job(
        {
            "id": "job-1",
            "state": 5,
            "steps": [{"name": junk, "logMessages": [{"type": junk, "message": junk}]}],
        }
    )


def test_read_job_when_waiting_then_the_place_in_the_queue() -> None:
    assert read_job(_job(1, positionInQueue=4)).queue_position == 4
    assert read_job(_job(1, positionInQueue=-1)).queue_position is None
    assert read_job(_job(2, positionInQueue=0)).queue_position is None


@pytest.mark.parametrize(
    ("messages", "low", "high"),
    [
        (
            [
                (
                    "Phasing and Imputation",
                    3,
                    "<b>Phasing with Eagle (1/10)</b><br><div class='progress'>",
                )
            ],
            0.08,
            0.2,
        ),
        ([("Phasing and Imputation", 3, "<b>Imputation (3/10)</b><br>")], 0.5, 0.7),
        ([("Phasing and Imputation", 3, "Compression and Encryption (1/2)")], 0.92, 0.98),
        (
            [("Quality Control", 0, "Quality Control (1/1)"), ("P", 3, "Phasing with Eagle (0/4)")],
            0.08,
            0.08,
        ),
        ([("P", 3, "Imputation (9/10)"), ("P", 3, "Phasing with Eagle (10/10)")], 0.8, 0.92),
        ([("P", 3, "Imputation (99/10)")], 0.92, 0.92),
        ([("P", 3, "Phasing with Beagle (5/10)<br>Imputation (0/0)")], 0.2, 0.3),
    ],
)
def test_progress_when_a_count_is_shown_then_a_share_of_the_phase(
    messages: list[tuple[str, int, str]], low: float, high: float
) -> None:
    progress = read_job(_job(2, _steps(*messages))).progress
    assert progress is not None
    assert low <= progress <= high


def test_progress_when_phases_pass_then_it_grows() -> None:
    shown = [
        "Input Validation (1/1)", "Quality Control (1/2)", "Phasing with Eagle (0/2)", "Phasing with Eagle (2/2)", "Imputation (1/2)",
        "Imputation (2/2)", "Compression and Encryption (1/2)",
    ]  # fmt: skip
    figures = [read_job(_job(2, _steps(("P", 3, text)))).progress or 0 for text in shown]
    assert figures == sorted(figures)


@pytest.mark.parametrize(
    "text",
    [
        "1 valid VCF file(s) found.",
        "Samples (51/51)",
        "Imputation (3 of 10)",
        "(3/10)",
        "Imputation (-1/2)",
    ],
)
def test_progress_when_nothing_is_counted_then_none(text: str) -> None:
    status = read_job(_job(2, _steps(("Input Validation", 0, text))))
    assert status.progress is None
    assert status.step == "Input Validation"


def test_read_job_when_steps_are_all_created_at_the_start_then_the_last_that_speaks_is_shown() -> (
    None
):
    steps = [
        *_steps(("Input Validation", 0, "ok"), ("Quality Control", 3, "running")),
        {"name": "Summary", "logMessages": []},
    ]
    assert read_job(_job(2, steps)).step == "Quality Control"
    assert read_job(_job(3, steps)).step == "Exporting"


def test_read_job_when_failed_then_error_messages_of_all_steps_in_order_are_the_reason() -> None:
    steps = _steps(
        ("Input Validation", 0, "1 file"),
        (
            "Quality Control",
            1,
            "<b>Error:</b> More than 100 allele switches.<br>Please check <a href='x'>this</a>.",
        ),
        ("Quality Control", 2, "a warning"),
        ("Summary", 1, "Imputation job failed."),
        ("Summary", 1, "Imputation job failed."),
    )
    status = read_job(_job(5, steps))
    assert (
        status.reason
        == "Error: More than 100 allele switches.\nPlease check this.\nImputation job failed."
    )
    assert [message.level for message in status.messages] == [
        "ok",
        "error",
        "warning",
        "error",
        "error",
    ]
    assert read_job(_job(2, steps)).reason is None


def test_read_job_when_messages_print_secrets_then_redacted() -> None:
    steps = _steps(
        ("Summary", 0, "We encrypted the results with the following password: <b>Xy1$&amp;</b>"),
        ("S", 1, f"bad {GOOD_TOKEN}"),
    )
    shown = str(read_job(_job(5, steps), secrets=[GOOD_TOKEN]))
    assert "Xy1" not in shown
    assert GOOD_TOKEN not in shown


def test_read_job_when_it_speaks_without_end_then_bounded() -> None:
    steps = _steps(*((f"step {n}", 1, "x" * 30_000) for n in range(90)))
    status = read_job(_job(5, steps))
    assert len(status.messages) < 20
    assert len(status.reason or "") <= 4000


def test_read_job_when_it_is_to_be_deleted_then_the_time() -> None:
    assert read_job(
        _job(8, deletedOn=1_759_674_300_000)
    ).results_expire_at == datetime.fromtimestamp(1_759_674_300, UTC)
    for unset in (-1, 0, None, "x", 10**30, [1], 1e400):
        assert read_job(_job(8, deletedOn=unset)).results_expire_at is None


@pytest.mark.parametrize(
    ("state", "speaks", "detailed"),
    [
        (1, False, True),
        (2, True, True),
        (2, False, False),
        (4, False, False),
        (5, False, False),
        (6, False, False),
    ],
)
def test_read_job_when_a_row_of_the_list_lacks_steps_then_not_detailed(
    state: int, speaks: bool, detailed: bool
) -> None:
    steps = _steps(("a", 0, "b")) if speaks else []
    assert read_job(_job(state, steps), from_list=True).detailed is detailed
    assert read_job(_job(state, steps)).detailed


def test_gone_when_made_then_says_so() -> None:
    assert gone("job-1").state is RemoteState.GONE


# Logs -----------------------------------------------------------------------------------------------------------------

LOG = """25/10/05 16:23:45 Details:
25/10/05 16:23:45   Inputs:
25/10/05 16:23:45     refpanel: apps@unknown@1.0
25/10/05 16:23:45     password: fi-secretsecretsecret
25/10/05 16:23:45     error-password: fi-secretsecretsecret
2025-10-05 16:23:46,123 Error: Application apps@unknown@1.0 is not installed or wrong permissions.
java.lang.NullPointerException: x
\tat cloudgene.mapred.jobs.Foo.bar(Foo.java:1) failed
"""


def test_reason_in_when_the_log_tells_then_its_lines_without_stamps_stacks_and_passwords() -> None:
    assert reason_in(LOG) == (
        "Error: Application apps@unknown@1.0 is not installed or wrong permissions.\n"
        "java.lang.NullPointerException: x"
    )
    found = reason_in(LOG) or ""
    assert "secret" not in found
    assert "Foo.java" not in found
    assert reason_in("") is None
    assert reason_in("all is well\n") is None


def test_reason_in_when_there_are_many_lines_then_the_last_ten() -> None:
    found = reason_in("\n".join(f"error {n}" for n in range(100))) or ""
    assert found.splitlines() == [f"error {n}" for n in range(90, 100)]
