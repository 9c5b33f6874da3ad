"""Looking at runs: states, no answers, runs that are not known, and why a run failed."""

import json
from collections.abc import Callable

import pytest

from app.adapters.base import (
    AdapterError,
    CredentialRejected,
    Rejected,
    RemoteState,
    ServiceUnavailable,
    Submission,
)
from app.adapters.wes.statuses import STATES
from tests.adapters.wes.conftest import LINK, SAPPORO, STARTER_KIT, WESKIT, Open
from tests.fakes.recording import (
    DEEP,
    GARBAGE,
    HTML_200,
    HTML_502,
    NOTHING,
    Behaviour,
    answer,
    endless,
    half_an_answer,
    reset,
)
from tests.fakes.wes import FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import FakeWeskit

Job = Callable[..., Submission]
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize("word", [*STATES, "running", "SNAFU", "", None, 3, ["RUNNING"]])
async def test_status_when_a_word_is_said_then_the_common_one_or_unknown(
    sapporo: FakeWes, at: Open, job: Job, word: object
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    run.state = word  # type: ignore[assignment] # a server may say anything
    seen = await adapter.status(run.run_id)
    expected = STATES.get(word.upper(), RemoteState.UNKNOWN) if isinstance(word, str) else RemoteState.UNKNOWN  # fmt: skip
    assert seen.state is expected
    assert ("capacity" in (seen.reason or "")) is (word == "PREEMPTED")


@pytest.mark.parametrize(
    "behaviour",
    [HTML_200, HTML_502, NOTHING, GARBAGE, DEEP, endless, half_an_answer, reset, answer(500, b"{}"), answer(503, b""),
     answer(404, b"<html>not here</html>", "text/html"), answer(200, b"[]"), answer(200, b'{"detail":"x"}'), answer(302, b"", Location="https://x/"),
     answer(429, b"{}")],
)  # fmt: skip
async def test_status_when_it_is_no_answer_then_unavailable_and_never_missing(
    sapporo: FakeWes, at: Open, behaviour: Behaviour
) -> None:
    sapporo.misbehave(behaviour, "/runs")
    adapter = at(sapporo.url, SAPPORO)
    for call in (adapter.status(UNKNOWN), adapter.outputs(UNKNOWN)):
        with pytest.raises(ServiceUnavailable):
            await call
    with pytest.raises(ServiceUnavailable):
        await adapter.status_many([UNKNOWN, "other"])


@pytest.mark.parametrize(
    "behaviour",
    [answer(400, b'{"msg":"Could not load WES run status"}'), answer(404, b'{"msg":"x"}'), answer(404, b"")],
)  # fmt: skip
async def test_status_when_the_server_does_not_know_the_run_then_missing(
    sapporo: FakeWes, at: Open, behaviour: Behaviour
) -> None:
    sapporo.misbehave(behaviour, "/runs")
    assert (await at(sapporo.url, SAPPORO).status(UNKNOWN)).state is RemoteState.MISSING


async def test_status_when_another_run_is_answered_then_it_is_not_believed(
    sapporo: FakeWes, at: Open
) -> None:
    sapporo.misbehave(answer(200, b'{"run_id":"other","state":"COMPLETE"}'), "/runs")
    adapter = at(sapporo.url, SAPPORO)
    assert (await adapter.status(UNKNOWN)).state is RemoteState.UNKNOWN
    with pytest.raises(ServiceUnavailable):
        await adapter.outputs(UNKNOWN)


@pytest.mark.parametrize("run_id", ["", "..", "a/b", "a b", "x" * 200, "a\n"])
async def test_status_when_it_can_be_no_id_then_nothing_is_asked(
    sapporo: FakeWes, at: Open, run_id: str
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    assert (await adapter.status(run_id)).state is RemoteState.MISSING
    with pytest.raises(AdapterError):
        await adapter.cancel(run_id)
    assert not sapporo.requests


async def test_status_many_when_some_looks_fail_then_unknown_and_the_others_are_told(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    ids = [await adapter.submit(job(f"fi-{n}"), ignore) for n in range(20)]
    sapporo.misbehave(HTML_502, f"/runs/{ids[3]}/status")
    seen = await adapter.status_many([*ids, ids[0]])
    assert set(seen) == set(ids)
    assert seen[ids[3]].state is RemoteState.UNKNOWN
    assert {seen[item].state for item in ids if item != ids[3]} == {RemoteState.WAITING}
    assert await adapter.status_many([]) == {}


async def test_status_many_when_the_service_is_down_then_few_calls_are_wasted(
    sapporo: FakeWes, at: Open
) -> None:
    sapporo.misbehave(HTML_502, "/runs")
    with pytest.raises(ServiceUnavailable):
        await at(sapporo.url, SAPPORO).status_many([f"run-{n}" for n in range(500)])
    assert len(sapporo.seen("/runs")) <= 16


async def test_status_many_when_the_credential_is_refused_then_said_so(
    sapporo: FakeWes, at: Open
) -> None:
    sapporo.tokens = {"another"}
    with pytest.raises(CredentialRejected):
        await at(sapporo.url, SAPPORO).status_many([UNKNOWN])


async def test_reason_when_a_task_failed_then_its_tail_without_colours_and_links(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    run.state = "EXECUTOR_ERROR"
    noise = "".join(f"line {n}\n" for n in range(20_000))
    run.run_log = {"exit_code": "1", "stderr": "engine says no", "start_time": "", "end_time": None}
    run.task_logs = [
        {"name": "phase", "exit_code": 0, "stderr": "fine"},
        {"name": "impute (chr1)", "exit_code": 137, "stderr": f"{noise}\x1b[31mERROR\x1b[0m no space; input was {LINK}/chr1.vcf.gz"},
        {"name": "later", "exit_code": None},
    ]  # fmt: skip
    reason = (await adapter.status(run.run_id)).reason
    assert reason is not None
    assert reason.startswith("EXECUTOR_ERROR, task impute (chr1), exit code 137\n…")
    assert "ERROR no space" in reason
    assert "s3cr3t" not in reason
    assert len(reason) < 4000
    run.task_logs = None
    assert (
        await adapter.status(run.run_id)
    ).reason == "EXECUTOR_ERROR, exit code 1\nengine says no"


@pytest.mark.parametrize(
    ("run_log", "tasks"),
    [
        (None, None), ([], {}), ({"stderr": 7, "exit_code": [1]}, ["x"]), ({"stderr": None, "exit_code": -1}, [None]),
        ({"stderr": "https://elsewhere.org/log"}, []), ({"stderr": "file:///etc/passwd"}, []), ({"stderr": "/etc/passwd"}, []),
        ({"stderr": "https://[", "exit_code": "9" * 50}, []),
    ],
)  # fmt: skip
async def test_reason_when_the_log_is_odd_then_the_state_at_least(
    sapporo: FakeWes, at: Open, job: Job, run_log: object, tasks: object
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    body = {"run_id": run.run_id, "state": "SYSTEM_ERROR", "run_log": run_log, "task_logs": tasks}
    plain = json.dumps({"run_id": run.run_id, "state": "SYSTEM_ERROR"})
    sapporo.misbehave(answer(200, plain), f"/runs/{run.run_id}/status")
    sapporo.misbehave(answer(200, json.dumps(body)), f"/runs/{run.run_id}")
    reason = (await adapter.status(run.run_id)).reason
    assert reason is not None
    assert reason.startswith("SYSTEM_ERROR")
    assert "root:" not in reason


async def test_reason_when_stderr_is_a_relative_link_then_read_with_the_credential(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    run.state = "EXECUTOR_ERROR"
    run.files = {"stderr": b"x" * 100_000 + b"\nthe end"}
    run.run_log = {"stderr": f"../runs/{run.run_id}/outputs/stderr"}
    reason = (await adapter.status(run.run_id)).reason
    assert reason is not None
    assert reason.endswith("the end")
    sapporo.misbehave(HTML_502, f"/runs/{run.run_id}/outputs")
    assert (await adapter.status(run.run_id)).reason == "EXECUTOR_ERROR, exit code 0"


async def test_weskit_when_a_run_is_unknown_then_missing_and_when_it_is_broken_then_unavailable(
    weskit: FakeWeskit, at: Open, job: Job
) -> None:
    adapter = at(weskit.url, WESKIT)
    run_id = await adapter.submit(job(), ignore)
    assert (await adapter.status(run_id)).state is RemoteState.WAITING
    assert (await adapter.status(UNKNOWN)).state is RemoteState.MISSING
    crash = answer(500, b"<html>", "text/html")
    weskit.misbehave(crash, f"{weskit.base}/runs/{run_id}/status")
    assert (await adapter.status(run_id)).state is RemoteState.WAITING
    weskit.misbehave(crash, f"{weskit.base}/runs")
    with pytest.raises(ServiceUnavailable):
        await adapter.status(UNKNOWN)
    weskit.behave()
    with pytest.raises(Rejected, match="cannot cancel"):
        await adapter.cancel(run_id)


async def test_starter_kit_when_nextflow_wrote_nothing_then_missing_and_cancel_is_taken(
    starter_kit: FakeStarterKit, at: Open, job: Job
) -> None:
    adapter = at(starter_kit.url, STARTER_KIT)
    run_id = await adapter.submit(job(), ignore)
    assert (await adapter.status(run_id)).state is RemoteState.MISSING
    with pytest.raises(ServiceUnavailable):
        await adapter.outputs(run_id)
    await adapter.cancel(run_id)
    starter_kit.has_history.add(run_id)
    starter_kit.runs[run_id].state = "RUNNING"
    assert (await adapter.status(run_id)).state is RemoteState.RUNNING


async def test_wes_service_when_the_run_is_not_listed_then_it_is_not_asked_about(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO, dialect="wes-service")
    run_id = await adapter.submit(job(), ignore)
    sapporo.misbehave(
        answer(200, b'{"run_id":"%s","state":"RUNNING"}' % UNKNOWN.encode()), f"/runs/{UNKNOWN}"
    )
    seen = await adapter.status_many([run_id, UNKNOWN])
    assert seen[run_id].state is RemoteState.WAITING
    assert seen[UNKNOWN].state is RemoteState.MISSING
    assert not sapporo.seen(f"/runs/{UNKNOWN}")


@pytest.mark.parametrize("status", [403, 409, 400])
async def test_cancel_when_the_run_has_ended_then_a_refusal_is_fine(
    sapporo: FakeWes, at: Open, job: Job, status: int
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    run = sapporo.runs[await adapter.submit(job(), ignore)]
    sapporo.misbehave(answer(status, b'{"msg":"Run is already ended"}'), "/runs", "POST")
    with pytest.raises((Rejected, CredentialRejected)):
        await adapter.cancel(run.run_id)
    run.state = "EXECUTOR_ERROR"
    await adapter.cancel(run.run_id)
