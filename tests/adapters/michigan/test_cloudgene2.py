"""Cloudgene 2: what differs from version 3."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.adapters.base import (
    CredentialRejected,
    Rejected,
    RemoteNotFound,
    RemoteState,
    Submission,
)
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.michigan.dialects import CLOUDGENE2, CLOUDGENE3, of_job, of_server
from app.adapters.transport import Transport
from tests.adapters.conftest import PASSWORD, michigan
from tests.adapters.sinks import MemorySink
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.cloudgene2 import APP2, FakeCloudgene2
from tests.fakes.zips import Entry, zipcrypto


@pytest.fixture
async def old() -> AsyncIterator[FakeCloudgene2]:
    async with FakeCloudgene2() as server:
        yield server


@pytest.fixture
def speaker(transport: Transport, old: FakeCloudgene2) -> MichiganAdapter:
    return michigan(transport, old.url)


def _ignore(_count: int) -> None:
    pass


def test_of_server_and_job_when_read_then_the_signs_decide() -> None:
    assert of_server({"apps": [], "oauth": []}) is CLOUDGENE3
    assert of_server({"apps": []}) is CLOUDGENE2
    assert of_job({"id": "x", "state": 1}) is CLOUDGENE3
    assert of_job({"id": "x", "complete": False, "running": True, "progress": 3}) is CLOUDGENE2
    assert of_job({"id": "x", "progress": 3}) is CLOUDGENE3


async def test_describe_when_version_2_then_recognised_and_its_app_used(
    speaker: MichiganAdapter,
) -> None:
    described = await speaker.describe()
    assert (described.dialect, described.app_id) == ("cloudgene2", APP2)
    assert described.warnings == ()


@pytest.mark.parametrize("configured", ["cloudgene3", "cloudgene2", "auto", "cloudgene"])
async def test_describe_when_another_is_configured_then_a_warning(
    transport: Transport, old: FakeCloudgene2, configured: str
) -> None:
    described = await michigan(transport, old.url, dialect=configured).describe()
    assert described.dialect == "cloudgene2"
    assert bool(described.warnings) == (configured == "cloudgene3")


async def test_verify_when_asked_then_expiry_from_milliseconds_and_the_error_in_words(
    transport: Transport, old: FakeCloudgene2
) -> None:
    good = await michigan(transport, old.url).verify_credential()
    assert (good.valid, good.account_name) == (True, "jdoe")
    assert good.expires_at == datetime(2100, 1, 1, tzinfo=UTC)
    bad = await michigan(transport, old.url, "a.b.c").verify_credential()
    assert (bad.valid, bad.message) == (False, "Invalid JWT serialization.")


async def test_submit_when_the_token_ended_meanwhile_then_its_404_is_a_rejected_token(
    transport: Transport, old: FakeCloudgene2, submission: Submission
) -> None:
    speaker = michigan(transport, old.url, "a.b.c")
    speaker._discovered = (await michigan(transport, old.url)._form())[0], {}
    with pytest.raises(CredentialRejected):
        await speaker.submit(submission, _ignore)
    assert old.jobs == {}


async def test_submit_when_the_app_is_gone_then_its_404_is_no_fault_of_the_token(
    old: FakeCloudgene2, speaker: MichiganAdapter, submission: Submission
) -> None:
    await speaker.describe()
    old.apps = []
    with pytest.raises(Rejected, match="not found"):
        await speaker.submit(submission, _ignore)


@pytest.mark.parametrize(("progress", "expected"), [(-1, None), (0, None), (42, 0.42), (400, None)])
async def test_status_when_a_percentage_is_told_then_taken(
    old: FakeCloudgene2, speaker: MichiganAdapter, progress: int, expected: float | None
) -> None:
    job = old.add_job("fi-1", 2)
    old.progress = progress
    assert (await speaker.status(job)).progress == expected
    old.message(job, "Imputation", 3, "Imputation (1/2)")
    counted = (await speaker.status(job)).progress
    assert counted is not None
    assert 0.45 < counted < 0.92


async def test_status_when_a_list_has_no_states_then_running_tells_and_complete_does_not_say_how(
    old: FakeCloudgene2, speaker: MichiganAdapter
) -> None:
    job = old.add_job("fi-1", 2)
    old.jobs[job]["state"] = None
    shown = old._shown(old.jobs[job], in_list=True)
    for members, expected in (
        ({"running": True}, RemoteState.RUNNING),
        ({"running": False, "complete": True}, RemoteState.UNKNOWN),
    ):
        old._shown = lambda *_a, _m=members, **_k: {**shown, **_m}  # type: ignore[method-assign]
        assert (await speaker.status_many([job]))[job].state is expected


async def test_restart_when_version_2_then_refused_without_a_call(
    old: FakeCloudgene2, speaker: MichiganAdapter
) -> None:
    job = old.add_job("fi-1", -1)
    assert (await speaker.status(job)).state is RemoteState.DEAD
    assert not speaker.capabilities.restart
    with pytest.raises(Rejected, match="signed in"):
        await speaker.restart(job)
    assert not any(request.path.endswith("/restart") for request in old.requests)


async def test_cancel_when_it_has_ended_then_its_404_is_taken_as_done(
    old: FakeCloudgene2, speaker: MichiganAdapter
) -> None:
    job = old.add_job("fi-1", 4)
    await speaker.cancel(job)
    with pytest.raises(RemoteNotFound):
        await speaker.cancel("job-20200101-000000-000")


async def test_results_when_there_is_one_list_then_fetched_once_and_compared(
    transport: Transport, old: FakeCloudgene2
) -> None:
    job = old.add_job("fi-1", 4)
    archives = {
        f"chr_{n}.zip": zipcrypto(PASSWORD, Entry(f"chr{n}.dose.vcf.gz", b"x" * n))
        for n in range(1, 13)
    }
    listed = old.finish(job, archives)
    speaker = michigan(transport, old.url)
    outputs = await speaker.outputs(job)
    assert sorted(item.name for item in outputs) == sorted(archives)
    for item in outputs:
        await speaker.download(item, MemorySink(), PASSWORD, _ignore)
    assert old.stored[listed].count == 9


async def test_results_when_the_list_says_otherwise_then_rejected(
    old: FakeCloudgene2, speaker: MichiganAdapter
) -> None:
    job = old.add_job("fi-1", 4)
    old.finish(job, {"chr_1.zip": zipcrypto(PASSWORD, Entry("a.gz", b"x"))}, wrong=True)
    (output,) = await speaker.outputs(job)
    with pytest.raises(Rejected, match="checksum differs"):
        await speaker.download(output, MemorySink(), PASSWORD, _ignore)


async def test_status_when_version_3_answers_then_restarts_are_possible(
    cloudgene: FakeCloudgene, transport: Transport
) -> None:
    speaker = michigan(transport, cloudgene.url, GOOD_TOKEN)
    job = cloudgene.add_job("fi-1", -1)
    await speaker.status(job)
    assert speaker.capabilities.restart
