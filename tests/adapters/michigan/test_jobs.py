"""Following jobs: one at a time, all at once, by name; cancelling and restarting."""

from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.base import (
    CredentialRejected,
    Rejected,
    RemoteNotFound,
    RemoteState,
    ServiceUnavailable,
)
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.transport import Transport
from tests.adapters.conftest import michigan
from tests.fakes.cloudgene import GOOD_TOKEN, REVOKED_TOKEN, FakeCloudgene
from tests.fakes.recording import GARBAGE, HTML_200, HTML_502, answer, reset

LIST = "/api/v2/jobs"


def _list_calls(cloudgene: FakeCloudgene) -> list[str]:
    return [item.target.removeprefix(LIST) for item in cloudgene.requests if item.path == LIST]


async def test_status_when_the_job_is_known_then_in_detail(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", 2)
    cloudgene.message(job, "Phasing and Imputation", 3, "<b>Imputation (5/10)</b>")
    status = await adapter.status(job)
    assert (status.state, status.name, status.step) == (
        RemoteState.RUNNING,
        "fi-1",
        "Phasing and Imputation",
    )
    assert status.detailed
    assert 0.5 < (status.progress or 0) < 0.8


async def test_status_when_the_job_is_unknown_then_gone(adapter: MichiganAdapter) -> None:
    assert (await adapter.status("job-20250101-000000-000")).state is RemoteState.GONE
    assert (await adapter.status("../../admin")).state is RemoteState.GONE


@pytest.mark.parametrize(
    "reply",
    [
        answer(404, "<html>nginx</html>", "text/html"),
        answer(404, '{"message":"Page Not Found","_links":{},"_embedded":{"errors":[]}}'),
        answer(404, ""),
        answer(404, "[]"),
    ],
)
async def test_status_when_a_404_is_not_the_servers_own_word_then_the_job_is_not_given_up(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, reply: object
) -> None:
    """A proxy before a server that is down answers 404 too; every job would fail at once."""
    cloudgene.misbehave(reply)  # type: ignore[arg-type] # parametrised
    with pytest.raises(ServiceUnavailable):
        await adapter.status("job-1")


async def test_calls_when_a_refusal_is_not_the_servers_own_word_then_nothing_is_refused(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    """A proxy that dislikes a request answers 400 with a page; every job that is about to be sent would fail of it."""
    cloudgene.misbehave(answer(400, "<h1>Bad Request</h1>", "text/html"))
    for call in (adapter.verify_credential(), adapter.count_active(), adapter.status("job-1")):
        with pytest.raises(ServiceUnavailable):
            await call
    cloudgene.behave()
    cloudgene.misbehave(answer(400, '{"success":false,"message":"no"}'))
    with pytest.raises(Rejected):
        await adapter.status("job-1")


async def test_status_when_the_job_is_somebody_elses_then_credential_rejected(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", username="other")
    with pytest.raises(CredentialRejected):
        await adapter.status(job)


async def test_status_when_another_job_is_answered_then_unavailable(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.misbehave(answer(200, '{"id":"job-2","state":4}'))
    with pytest.raises(ServiceUnavailable, match="something else"):
        await adapter.status("job-1")


async def test_status_when_failed_without_steps_then_the_reason_comes_from_the_log(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", 5)
    assert (await adapter.status(job)).reason is None
    cloudgene.logs[job] = (
        "25/10/05 16:23:45   password: fi-topsecret\n"
        f"25/10/05 16:23:46 Error: token {GOOD_TOKEN}\n"
        "25/10/05 16:23:46 Application x is not installed or wrong permissions.\n"
    )
    reason = (await adapter.status(job)).reason
    assert reason == "Application x is not installed or wrong permissions."


async def test_status_when_failed_with_messages_then_the_log_is_left_alone(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", 5)
    cloudgene.message(job, "Input Validation", 1, "No vcf.gz input files detected.")
    assert (await adapter.status(job)).reason == "No vcf.gz input files detected."
    assert cloudgene.seen("/logs/") == []


# The list -------------------------------------------------------------------------------------------------------------


async def test_status_many_when_jobs_are_new_then_one_call_sees_them_all(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    for n in range(100):
        cloudgene.add_job(f"old-{n}", 4)
    ids = [cloudgene.add_job(f"fi-{n}", state) for n, state in enumerate((1, 2, 3, 4, 5, 6, 8, -1))]
    seen = await adapter.status_many(ids)
    assert [seen[i].raw for i in ids] == ["1", "2", "3", "4", "5", "6", "8", "-1"]
    assert [seen[i].detailed for i in ids] == [
        True,
        False,
        False,
        False,
        False,
        False,
        False,
        False,
    ]
    assert _list_calls(cloudgene) == ["?page=1"]


async def test_status_many_when_a_job_is_old_then_more_pages_and_last_the_whole_list(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    first = cloudgene.add_job("fi-0", 2)
    for n in range(40):
        cloudgene.add_job(f"x-{n}", 4)
    assert (await adapter.status_many([first]))[first].state is RemoteState.RUNNING
    assert _list_calls(cloudgene) == ["?page=1", "?page=2", "?page=3"]
    cloudgene.requests.clear()
    for n in range(100):
        cloudgene.add_job(f"y-{n}", 4)
    assert first in await adapter.status_many([first])
    assert _list_calls(cloudgene) == ["?page=1", "?page=2", "?page=3", "?page=4", ""]


async def test_status_many_when_a_job_is_nowhere_then_left_out(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    known = cloudgene.add_job("fi-1", 1)
    assert set(await adapter.status_many([known, "job-unknown", "../x"])) == {known}
    assert await adapter.status_many([]) == {}
    assert len(cloudgene.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"data":[{"id":"job-1","state":2},{"state":3},null,7,{"id":"job-3","state":"x"}],"count":5}',
        '[{"id":"job-1","state":2}]',
    ],
)
async def test_status_many_when_some_rows_are_odd_then_the_others_count(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, body: str
) -> None:
    cloudgene.misbehave(answer(200, body))
    assert set(await adapter.status_many(["job-1", "job-3"])) == {"job-1"}


@pytest.mark.parametrize(
    "body", ["{}", '{"data":null}', '{"data":{}}', '"x"', '{"data":[1,2]}', '{"data":[{"x":1}]}']
)
async def test_status_many_when_it_is_no_list_then_unavailable(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, body: str
) -> None:
    cloudgene.misbehave(answer(200, body))
    with pytest.raises(ServiceUnavailable):
        await adapter.status_many(["job-1"])


async def test_status_many_when_the_server_ignores_paging_then_it_still_ends(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.misbehave(answer(200, '{"data":[{"id":"job-9","state":2}],"next":2}'))
    assert await adapter.status_many(["job-1"]) == {}
    assert len(cloudgene.requests) == 5


async def test_count_active_when_jobs_of_all_states_then_those_that_use_the_quota(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    assert await adapter.count_active() == 0
    for state in (-1, 1, 2, 3, 4, 5, 6, 7, 8, 9):
        cloudgene.add_job("x", state)
    for n in range(30):
        cloudgene.add_job(f"x-{n}", 4)
    assert await adapter.count_active() == 3


@pytest.mark.parametrize("token", ["garbage", REVOKED_TOKEN])
async def test_list_when_the_token_is_bad_then_credential_rejected(
    transport: Transport, cloudgene: FakeCloudgene, token: str
) -> None:
    adapter = michigan(transport, cloudgene.url, token)
    with pytest.raises(CredentialRejected) as caught:
        await adapter.status_many(["job-1"])
    assert token not in caught.value.reason


async def test_list_when_in_maintenance_then_unavailable_and_marked(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.maintenance = True
    with pytest.raises(ServiceUnavailable) as caught:
        await adapter.status_many(["job-1"])
    assert caught.value.maintenance


# By name --------------------------------------------------------------------------------------------------------------


async def test_find_by_name_when_the_name_is_there_then_newest_first(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    now = datetime.now(UTC)
    cloudgene.add_job("fi-1-other", 2)
    older = cloudgene.add_job("fi-1", 6, age_s=120)
    newer = cloudgene.add_job("fi-1", 1, age_s=10)
    found = await adapter.find_by_name("fi-1", now - timedelta(minutes=5))
    assert [job.remote_id for job in found] == [newer, older]
    assert [job.state for job in found] == [RemoteState.WAITING, RemoteState.CANCELLED]
    assert found[0].name == "fi-1"


async def test_find_by_name_when_only_the_user_agent_tells_then_found(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("renamed", 2, userAgent="fip/1 (+http://x) fi-77")
    cloudgene.add_job("other", 2, userAgent="fip/1 (+http://x) fi-778")
    cloudgene.add_job("odd", 2, userAgent=None)
    found = await adapter.find_by_name("fi-77", datetime.now(UTC))
    assert [item.remote_id for item in found] == [job]


@pytest.mark.parametrize(("age_s", "found"), [(0, True), (3500, True), (3700, False)])
async def test_find_by_name_when_submitted_before_the_intent_then_an_hour_of_skew_counts(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, age_s: float, found: bool
) -> None:
    cloudgene.add_job("fi-1", 4, age_s=age_s)
    assert bool(await adapter.find_by_name("fi-1", datetime.now(UTC))) is found


async def test_find_by_name_when_the_servers_clock_is_wrong_then_its_own_time_tells(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    """A server that is five hours behind would otherwise hide the job, and it would be sent twice."""
    behind = 5 * 3600_000
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    row = f'{{"id":"job-1","name":"fi-1","state":1,"submittedOn":{now_ms - behind - 1000},"currentTime":{now_ms - behind}}}'
    cloudgene.misbehave(answer(200, f'{{"data":[{row}],"count":1,"pageSize":15}}'))
    (found,) = await adapter.find_by_name("fi-1", datetime.now(UTC))
    assert found.submitted_at is not None
    assert abs((datetime.now(UTC) - found.submitted_at).total_seconds()) < 60


async def test_find_by_name_when_the_past_is_reached_then_no_more_pages(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    for n in range(200):
        cloudgene.add_job(f"old-{n}", 4, age_s=90_000)
    for n in range(5):
        cloudgene.add_job(f"new-{n}", 4)
    assert await adapter.find_by_name("fi-1", datetime.now(UTC)) == []
    assert _list_calls(cloudgene) == ["?page=1"]


async def test_find_by_name_when_very_many_jobs_are_newer_then_the_whole_list_is_read(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    wanted = cloudgene.add_job("fi-1", 2)
    for n in range(300):
        cloudgene.add_job(f"new-{n}", 4)
    (found,) = await adapter.find_by_name("fi-1", datetime.now(UTC))
    assert found.remote_id == wanted
    assert len(_list_calls(cloudgene)) == 5


async def test_find_by_name_when_the_list_cannot_be_read_then_nothing_is_concluded(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.add_job("fi-1", 2)
    for n in range(20):
        cloudgene.add_job(f"new-{n}", 4)
    healthy = cloudgene.page_size
    assert healthy == 15
    for behaviour in (HTML_502, GARBAGE, HTML_200):
        cloudgene.behave()
        cloudgene.misbehave(behaviour, LIST)
        with pytest.raises(ServiceUnavailable):
            await adapter.find_by_name("fi-1", datetime.now(UTC))


# Acting ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "after"), [(1, "6"), (2, "6"), (4, "4")])
async def test_cancel_when_asked_then_the_state_afterwards_tells(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene, state: int, after: str
) -> None:
    job = cloudgene.add_job("fi-1", state)
    await adapter.cancel(job)
    assert (await adapter.status(job)).raw == after
    assert cloudgene.requests[0].method == "GET"


async def test_cancel_when_the_job_is_unknown_then_not_found(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    for job in ("job-unknown", "../x", ""):
        with pytest.raises(RemoteNotFound):
            await adapter.cancel(job)
    asked = [request.path.rpartition("/")[2] for request in cloudgene.requests]
    assert asked == ["cancel", "job-unknown"]


async def test_restart_when_dead_then_it_waits_again_else_rejected(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    job = cloudgene.add_job("fi-1", -1)
    assert (await adapter.status(job)).state is RemoteState.DEAD
    await adapter.restart(job)
    assert (await adapter.status(job)).state is RemoteState.WAITING
    with pytest.raises(Rejected, match="is not pending"):
        await adapter.restart(job)


async def test_cancel_when_refused_with_200_then_rejected(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    cloudgene.misbehave(answer(200, '{"success":false,"message":"Not now."}'))
    with pytest.raises(Rejected, match="Not now"):
        await adapter.cancel("job-1")


async def test_acting_when_the_connection_breaks_then_asked_once_only(
    adapter: MichiganAdapter, cloudgene: FakeCloudgene
) -> None:
    """They are GETs, but they change something."""
    job = cloudgene.add_job("fi-1", -1)
    cloudgene.misbehave(reset)
    for act in (adapter.cancel, adapter.restart):
        with pytest.raises(ServiceUnavailable):
            await act(job)
    assert len(cloudgene.requests) == 2
