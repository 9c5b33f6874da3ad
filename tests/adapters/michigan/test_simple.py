"""The simple dialect: what the shared suite does not say."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp import web

from app.adapters.base import (
    Adapter,
    Credential,
    Rejected,
    RemoteNotFound,
    RemoteState,
    SearchInconclusive,
    ServiceUnavailable,
    Submission,
)
from app.adapters.michigan.opening import open_adapter
from app.adapters.michigan.recognise import recognise
from app.adapters.michigan.simple_words import panels_of, read_status, share_of
from app.adapters.transport import Transport
from tests.adapters.sinks import MemorySink
from tests.fakes.cloudgene import GOOD_TOKEN, FakeCloudgene
from tests.fakes.recording import RecordingServer
from tests.fakes.simple import FakeSimple, plain


@pytest.fixture
async def gateway() -> AsyncIterator[FakeSimple]:
    async with FakeSimple() as server:
        yield server


@pytest.fixture
def one_file(submission: Submission) -> Submission:
    return replace(submission, files=submission.files[:1], panel_key="h3africa")


def opened(transport: Transport, url: str, dialect: str = "simple", **config: object) -> Adapter:  # fmt: skip
    return open_adapter(
        transport,
        url,
        {"allow_insecure": True, "dialect": dialect, **config},
        Credential(token=GOOD_TOKEN),
    )


def _ignore(_count: int) -> None:
    pass


@pytest.mark.parametrize(
    ("progress", "share"),
    [(0, 0.0), (45, 0.45), (45.5, 0.455), ("45%", 0.45), (100, 1.0), (101, None), (-1, None), (True, None), (None, None), ("x", None)],
)  # fmt: skip
def test_share_of_when_a_percentage_then_a_share(progress: object, share: float | None) -> None:
    assert share_of(progress) == share


@pytest.mark.parametrize(
    ("word", "state"),
    [("waiting", "waiting"), ("RUNNING", "running"), ("success", "succeeded"), ("complete", "succeeded"), ("error", "failed"),
     ("canceled", "cancelled"), ("dreaming", "unknown")],
)  # fmt: skip
def test_read_status_when_a_word_is_told_then_ours(word: str, state: str) -> None:
    read = read_status({"id": "j", "status": word, "message": "<b>why</b>"}, "j", ())
    assert read.state is RemoteState(state)
    assert read.reason == ("why" if state == "failed" else None)


@pytest.mark.parametrize("said", [{}, {"status": 3}, {"id": "other", "status": "running"}])
def test_read_status_when_it_is_something_else_then_unavailable(said: dict[str, object]) -> None:
    with pytest.raises(ServiceUnavailable):
        read_status(said, "j", ())


async def test_submit_when_sent_then_the_form_of_the_design(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    asked = replace(one_file, population="afr", phasing=False)
    await opened(transport, gateway.url).submit(asked, _ignore)
    (upload,) = gateway.uploads
    assert upload.text == {
        "refpanel": "h3africa",
        "build": "hg19",
        "phasing": "no_phasing",
        "mode": "imputation",
        "population": "AFR",
    }
    assert [item[0] for item in upload.files.values()] == ["input-files"]
    assert upload.headers["X-Auth-Token"] == GOOD_TOKEN
    assert upload.headers["Idempotency-Key"] == one_file.name
    assert one_file.archive_password not in str(upload)


async def test_submit_when_there_are_two_files_then_rejected_in_words(
    transport: Transport, gateway: FakeSimple, submission: Submission
) -> None:
    with pytest.raises(Rejected, match="one file"):
        await opened(transport, gateway.url).submit(
            replace(submission, panel_key="h3africa"), _ignore
        )


async def test_submit_when_the_population_means_all_then_left_out(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    await opened(transport, gateway.url).submit(replace(one_file, population="mixed"), _ignore)
    assert "population" not in gateway.uploads[0].text


async def test_describe_when_panels_are_configured_then_these(
    transport: Transport, gateway: FakeSimple
) -> None:
    own = {"v6": {"name": "Six", "populations": ["AFR"], "builds": ["hg38"]}}
    described = await opened(transport, gateway.url, panels=own).describe()
    assert [(panel.key, panel.name, panel.builds) for panel in described.panels] == [
        ("v6", "Six", ("hg38",))
    ]
    assert described.dialect == "simple"
    assert [panel.key for panel in panels_of({})] == ["h3africa", "1000g_afr", "agvp"]


async def test_find_when_there_is_a_list_after_all_then_believed_only_where_it_shows_the_name(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    speaker = opened(transport, gateway.url)
    remote_id = await speaker.submit(one_file, _ignore)
    gateway.lists = True
    (found,) = await speaker.find_by_name(one_file.name, datetime.now(UTC))
    assert (found.remote_id, found.state) == (remote_id, RemoteState.WAITING)
    with pytest.raises(SearchInconclusive):
        await speaker.find_by_name("fi-another", datetime.now(UTC))


async def test_status_when_a_proxy_answers_404_then_unavailable_not_missing(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    speaker = opened(transport, gateway.url)
    remote_id = await speaker.submit(one_file, _ignore)

    async def page(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="<html>no</html>", content_type="text/html")

    gateway.misbehave(page)
    with pytest.raises(ServiceUnavailable):
        await speaker.status(remote_id)
    gateway.behave()
    assert (await speaker.status("job-99")).state is RemoteState.MISSING


async def test_cancel_when_there_is_no_such_call_then_said(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    speaker = opened(transport, gateway.url)
    remote_id = await speaker.submit(one_file, _ignore)
    gateway.cancels = False
    with pytest.raises(Rejected, match="no way to cancel"):
        await speaker.cancel(remote_id)
    with pytest.raises(RemoteNotFound):
        await speaker.cancel("job-99")


async def test_download_when_redirected_to_another_host_then_the_token_stays_behind(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    class Elsewhere(RecordingServer):
        def build(self, app: web.Application) -> None:
            async def send(_request: web.Request) -> web.Response:
                return web.Response(body=plain({"imputed.vcf.gz": b"x"}))

            app.router.add_get("/bucket", send)

    async with Elsewhere() as bucket:
        gateway.redirect_to = bucket.url.replace("127.0.0.1", "localhost") + "/bucket"
        speaker = opened(transport, gateway.url)
        remote_id = await speaker.submit(one_file, _ignore)
        gateway.jobs[remote_id]["state"] = "complete"
        (output,) = await speaker.outputs(remote_id)
        sink = MemorySink()
        await speaker.download(output, sink, None, _ignore)
        assert sink.whole() == {"imputed.vcf.gz": b"x"}
        assert GOOD_TOKEN not in str(bucket.requests[0].headers)


async def test_download_when_the_results_are_retired_then_not_found(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    speaker = opened(transport, gateway.url)
    remote_id = await speaker.submit(one_file, _ignore)
    gateway.jobs[remote_id]["state"] = "success"
    (output,) = await speaker.outputs(remote_id)
    with pytest.raises(RemoteNotFound):
        await speaker.download(output, MemorySink(), None, _ignore)


async def test_recognise_when_a_gateway_then_proposed_as_simple(
    transport: Transport, gateway: FakeSimple
) -> None:
    found = await recognise(
        transport,
        gateway.url + "/api/v2/jobs",
        allow_insecure=True,
        credential=Credential(token=GOOD_TOKEN),
    )
    assert found is not None
    assert (found.base_url, found.dialect) == (gateway.url, "simple")
    assert found.api_config == {"dialect": "simple"}
    assert GOOD_TOKEN not in str([request.headers for request in gateway.requests])


async def test_auto_when_a_poll_comes_first_then_found_out_and_remembered(
    transport: Transport, gateway: FakeSimple, one_file: Submission
) -> None:
    remote_id = await opened(transport, gateway.url).submit(one_file, _ignore)
    gateway.requests.clear()
    found = await opened(transport, gateway.url, "auto").status_many([remote_id])
    assert found[remote_id].state is RemoteState.WAITING
    assert not opened(transport, gateway.url, "auto").capabilities.list_jobs
    before = len(gateway.requests)
    await opened(transport, gateway.url, "auto").status(remote_id)
    assert len(gateway.requests) == before + 1


async def test_auto_when_cloudgene_was_seen_then_no_404_makes_it_simple(
    transport: Transport, cloudgene: FakeCloudgene
) -> None:
    speaker = opened(transport, cloudgene.url, "auto")
    await speaker.describe()
    cloudgene.requests.clear()
    assert (await speaker.status("job-20200101-000000-000")).state is RemoteState.GONE
    assert len(cloudgene.requests) == 1
