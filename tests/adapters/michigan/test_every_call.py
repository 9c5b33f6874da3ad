"""What holds of every call, whichever it is: where it may go, and what a bad server is taken for."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime

import pytest

from app.adapters.base import DoubtfulSubmission, ServiceUnavailable, Submission, UntrustedAddress
from app.adapters.michigan.adapter import MichiganAdapter
from app.adapters.transport import Transport
from tests.adapters.conftest import ignore, michigan
from tests.fakes.cloudgene import GOOD_TOKEN, SUBMIT, FakeCloudgene
from tests.fakes.recording import (
    GARBAGE,
    HTML_200,
    HTML_502,
    NOTHING,
    Behaviour,
    RecordingServer,
    answer,
    endless,
    half_an_answer,
    redirect,
    reset,
    silent,
)


async def test_submit_when_redirected_to_another_host_then_neither_token_nor_genotypes_travel(
    transport: Transport, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    async with RecordingServer() as other:
        cloudgene.misbehave(redirect(f"http://localhost:{other.port}/x", 307), SUBMIT)
        with pytest.raises(DoubtfulSubmission):
            await michigan(transport, cloudgene.url).submit(submission, ignore)
        cloudgene.misbehave(redirect(f"http://localhost:{other.port}/x", 307))
        for call in _calls(michigan(transport, cloudgene.url)):
            with pytest.raises(ServiceUnavailable, match="redirects to localhost"):
                await call()
        assert other.requests == []


def _calls(
    adapter: MichiganAdapter, submission: Submission | None = None
) -> list[Callable[[], Coroutine[object, object, object]]]:
    submit = [lambda: adapter.submit(submission, ignore)] if submission else []
    return [
        *submit,
        adapter.verify_credential,
        adapter.describe,
        adapter.health,
        adapter.count_active,
        lambda: adapter.status("job-1"),
        lambda: adapter.status_many(["job-1"]),
        lambda: adapter.find_by_name("x", datetime.now(UTC)),
        lambda: adapter.outputs("job-1"),
        lambda: adapter.cancel("job-1"),
        lambda: adapter.restart("job-1"),
    ]


@pytest.mark.parametrize(
    "behaviour",
    [
        HTML_502,
        HTML_200,
        GARBAGE,
        NOTHING,
        endless,
        reset,
        half_an_answer,
        silent,
        answer(200, "[1]"),
        answer(404, "<h1>nginx</h1>"),
        answer(200, "{}"),
    ],
)
async def test_every_call_when_the_remote_is_bad_then_unavailable_and_nothing_else(
    hasty: Transport, cloudgene: FakeCloudgene, behaviour: Behaviour
) -> None:
    cloudgene.misbehave(behaviour)
    calls = _calls(michigan(hasty, cloudgene.url))
    async with asyncio.timeout(10):
        ends = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    for end in ends:
        assert isinstance(end, ServiceUnavailable)
        assert GOOD_TOKEN not in end.reason
        assert "api/v2" not in end.reason
    assert not any(request.method == "HEAD" for request in cloudgene.requests)


async def test_every_call_when_http_is_not_allowed_then_nothing_is_sent(
    transport: Transport, cloudgene: FakeCloudgene, submission: Submission
) -> None:
    adapter = michigan(transport, cloudgene.url, allow_insecure=False)
    for call in _calls(adapter, submission):
        with pytest.raises(UntrustedAddress, match="https only"):
            await call()
    assert cloudgene.requests == []


async def test_every_call_when_loopback_is_not_allowed_then_nothing_is_sent(
    cloudgene: FakeCloudgene, submission: Submission
) -> None:
    async with Transport(user_agent="t") as strict:
        adapter = michigan(strict, cloudgene.url)
        for call in _calls(adapter, submission):
            with pytest.raises(UntrustedAddress, match="private or otherwise reserved"):
                await call()
    assert cloudgene.requests == []
