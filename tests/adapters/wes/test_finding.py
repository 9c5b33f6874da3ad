"""Finding a run whose id was lost, per kind of server; and the list's many shapes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.base import (
    CredentialRejected,
    SearchInconclusive,
    ServiceUnavailable,
    Submission,
)
from app.adapters.wes import listing
from tests.adapters.wes.conftest import SAPPORO, STARTER_KIT, WESKIT, Open
from tests.fakes.recording import HTML_502, answer
from tests.fakes.wes import FakeWes
from tests.fakes.wes_starter_kit import FakeStarterKit
from tests.fakes.wes_weskit import FakeWeskit

Job = Callable[..., Submission]
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def ignore(_count: int) -> None:
    pass


async def test_find_when_sapporo_then_by_its_tag_filter(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO, tags={"mine": "{job_id}"})
    ids = [await adapter.submit(job(f"fi-{n}"), ignore) for n in range(30)]
    (found,) = await adapter.find_by_name("fi-7", NOW)
    assert found.remote_id == ids[7]
    assert found.submitted_at is not None
    (asked,) = sapporo.seen("/runs", "GET")
    assert "tags=mine%3Afi-7" in asked.target
    assert await adapter.find_by_name("fi-77", NOW) == []


async def test_find_when_no_tag_is_configured_then_by_the_parameters(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO, tags={})
    run_id = await adapter.submit(job("fi-7"), ignore)
    (found,) = await adapter.find_by_name("fi-7", NOW)
    assert found.remote_id == run_id
    assert await adapter.find_by_name("fi", NOW) == []


@pytest.mark.parametrize("dialect", ["toil", "wes-service", "generic"])
async def test_find_when_the_list_shows_no_tags_then_each_run_is_read(
    sapporo: FakeWes, at: Open, job: Job, dialect: str
) -> None:
    sapporo.shows_tags, sapporo.list_key = False, "workflows"
    adapter = at(sapporo.url, SAPPORO, dialect=dialect)
    ids = [await adapter.submit(job(f"fi-{n}"), ignore) for n in range(25)]
    (found,) = await adapter.find_by_name("fi-3", NOW)
    assert found.remote_id == ids[3]
    assert await adapter.find_by_name("fi-33", NOW) == []
    sapporo.misbehave(HTML_502, f"/runs/{ids[9]}")
    assert await adapter.find_by_name("fi-3", NOW)
    with pytest.raises(SearchInconclusive):
        await adapter.find_by_name("fi-33", NOW)


async def test_find_when_two_were_made_then_both_newest_first(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    first, second = [await adapter.submit(job("fi-7"), ignore) for _ in range(2)]
    sapporo.runs[first].start_time = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    assert [item.remote_id for item in await adapter.find_by_name("fi-7", NOW)] == [second, first]
    sapporo.runs[first].start_time = ""
    assert [item.remote_id for item in await adapter.find_by_name("fi-7", NOW)] == [first, second]


async def test_find_when_there_are_too_many_runs_to_read_then_inconclusive(
    sapporo: FakeWes, at: Open, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    sapporo.shows_tags = False
    adapter = at(sapporo.url, SAPPORO, dialect="toil")
    for number in range(5):
        await adapter.submit(job(f"fi-{number}"), ignore)
    monkeypatch.setattr(listing, "MAX_DETAILS", 3)
    with pytest.raises(SearchInconclusive):
        await adapter.find_by_name("fi-99", NOW)


async def test_find_when_weskit_then_by_its_own_list_also_while_the_run_goes_on(
    weskit: FakeWeskit, at: Open, job: Job
) -> None:
    adapter = at(weskit.url, WESKIT)
    run_id = await adapter.submit(job("fi-7"), ignore)
    (found,) = await adapter.find_by_name("fi-7", datetime.now(UTC))
    assert found.remote_id == run_id
    assert found.submitted_at is None
    assert await adapter.find_by_name("fi-8", NOW) == []
    weskit.misbehave(HTML_502, "/weskit")
    with pytest.raises(ServiceUnavailable):
        await adapter.find_by_name("fi-8", NOW)
    weskit.behave()
    weskit.misbehave(answer(404, b"{}"), "/weskit")
    with pytest.raises(SearchInconclusive):
        await adapter.find_by_name("fi-7", NOW)


async def test_find_when_starter_kit_then_what_is_listed_and_else_inconclusive(
    starter_kit: FakeStarterKit, at: Open, job: Job
) -> None:
    adapter = at(starter_kit.url, STARTER_KIT)
    run_id = await adapter.submit(job("fi-7"), ignore)
    with pytest.raises(SearchInconclusive):
        await adapter.find_by_name("fi-7", NOW)
    starter_kit.has_history.add(run_id)
    starter_kit.runs[run_id].state, starter_kit.runs[run_id].fetched = "COMPLETE", True
    (found,) = await adapter.find_by_name("fi-7", NOW)
    assert found.remote_id == run_id
    assert adapter.capabilities.list_jobs is False


async def test_find_when_galaxy_then_inconclusive_without_a_call(
    sapporo: FakeWes, at: Open
) -> None:
    with pytest.raises(SearchInconclusive):
        await at(sapporo.url, SAPPORO, dialect="galaxy").find_by_name("fi-7", NOW)
    assert not sapporo.requests


def page(**said: object) -> str:
    return json.dumps(said)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (page(runs=[]), 0),
        (page(runs=None), 0),
        (page(workflows=[{"run_id": "a", "state": "RUNNING"}], next_page_token=None), 1),
        (page(runs=[{"run_id": "a"}], next_page_token="same"), 1),
        (page(runs=[], next_page_token="more"), 0),
        (page(runs=[{"run_id": "../x"}, {"run_id": 7}, "x", {"state": "RUNNING"}], next_page_token=""), 0),
    ],
)  # fmt: skip
async def test_list_when_its_end_is_odd_then_it_ends(
    sapporo: FakeWes, at: Open, body: str, count: int
) -> None:
    sapporo.misbehave(answer(200, body), "/runs", "GET")
    found = await listing.read(at(sapporo.url, SAPPORO)._client)
    assert len(found.rows) == count
    assert len(sapporo.seen("/runs")) <= 2


@pytest.mark.parametrize("body", ["[]", page(detail="x"), "<html></html>", "", page(workflow=[])])
async def test_list_when_it_is_none_then_unavailable(sapporo: FakeWes, at: Open, body: str) -> None:
    sapporo.misbehave(answer(200, body), "/runs", "GET")
    with pytest.raises(ServiceUnavailable):
        await listing.read(at(sapporo.url, SAPPORO)._client)


async def test_list_when_tokens_never_end_then_a_number_of_pages_does(
    sapporo: FakeWes, at: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 5)
    count = iter(range(1000))

    async def endless_pages(request: object) -> object:
        number = next(count)
        return await answer(
            200, page(runs=[{"run_id": f"r{number}"}], next_page_token=f"t{number}")
        )(request)  # type: ignore[arg-type] # it is one

    sapporo.misbehave(endless_pages, "/runs", "GET")  # type: ignore[arg-type] # it is one
    found = await listing.read(at(sapporo.url, SAPPORO)._client)
    assert (len(found.rows), found.whole) == (5, False)


async def test_list_when_a_token_died_then_once_more_from_the_start(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    adapter = at(sapporo.url, SAPPORO)
    for number in range(12):
        await adapter.submit(job(f"fi-{number}"), ignore)
    sapporo.requests.clear()
    sapporo.most_per_page = 5
    tried: list[int] = []

    async def die_once(request: object) -> object:
        tried.append(1)
        return await answer(400, b'{"msg":"Invalid page token"}')(request)  # type: ignore[arg-type] # it is one

    sapporo.misbehave(die_once, "/runs", "GET", times=1)  # type: ignore[arg-type] # it is one
    found = await listing.read(adapter._client)
    assert len(found.rows) == 12
    assert tried == [1]


async def test_find_when_the_credential_is_refused_then_said_so(
    sapporo: FakeWes, at: Open, job: Job
) -> None:
    sapporo.tokens = {"another"}
    with pytest.raises(CredentialRejected):
        await at(sapporo.url, SAPPORO).find_by_name("fi-7", NOW)
