"""Notices over HTTP: a page of one's own, and marking them as read."""

import pytest

from app.core.notices import NoticeEvent
from app.usecases.deps import Deps
from app.usecases.notices import announce
from tests.support.api import Api
from tests.support.notices import add_job, add_service, get_job
from tests.support.people import Person


@pytest.fixture
async def told(deps: Deps, alice: Person) -> list[str]:
    """Alice was told three things; give their types, newest first."""
    service = await add_service(deps.pool)
    events = [NoticeEvent.JOB_QUEUED, NoticeEvent.JOB_RUNNING, NoticeEvent.JOB_COMPLETED]
    job = await get_job(deps.pool, await add_job(deps.pool, alice.id, service))
    async with deps.pool.acquire() as conn:
        for event in events:
            await announce(conn, job, event, settings=deps.settings, now=deps.now())
    return [str(event) for event in reversed(events)]


async def test_list_when_asked_then_it_is_a_bare_array_newest_first(
    client: Api, alice: Person, told: list[str]
) -> None:
    answer = await client.get("/notifications?limit=2", as_=alice)
    assert answer.status == 200
    assert answer.headers["X-Total-Count"] == "3"
    assert 'rel="next"' in answer.headers["Link"]
    items = answer.json()
    assert [item["type"] for item in items] == told[:2]
    assert set(items[0]) == {
        "id", "type", "title", "message", "data", "channels", "is_read", "created_at",
    }  # fmt: skip
    assert set(items[0]["data"]) == {"job_id", "job_name", "results_url", "action_url"}
    assert items[0]["created_at"].endswith("Z")
    rest = await client.get("/api/notifications?limit=2&offset=2", as_=alice)
    assert [item["type"] for item in rest.json()] == told[2:]


async def test_read_when_marked_then_the_filter_and_the_count_follow(
    client: Api, alice: Person, told: list[str]
) -> None:
    first = (await client.get("/notifications", as_=alice)).json()[0]
    assert first["is_read"] is False
    for _ in range(2):
        answer = await client.post(f"/notifications/{first['id']}/read", as_=alice)
        assert (answer.status, answer.json()["is_read"]) == (200, True)
    unread = await client.get("/notifications?unread=true", as_=alice)
    assert [item["type"] for item in unread.json()] == told[1:]
    assert unread.headers["X-Total-Count"] == "2"
    read = await client.get("/notifications?unread=false", as_=alice)
    assert [item["type"] for item in read.json()] == told[:1]
    everything = await client.post("/notifications/read-all", as_=alice)
    assert everything.json()["updated"] == 2
    again = await client.post("/notifications/read-all", as_=alice)
    assert again.json()["updated"] == 0
    assert (await client.get("/notifications?unread=true", as_=alice)).json() == []


async def test_notifications_when_they_are_anothers_then_they_do_not_exist(
    client: Api, alice: Person, charlie: Person, told: list[str]
) -> None:
    first = (await client.get("/notifications", as_=alice)).json()[0]
    assert (await client.get("/notifications", as_=charlie)).json() == []
    refused = await client.post(f"/notifications/{first['id']}/read", as_=charlie)
    assert refused.status == 404
    assert (await client.post("/notifications/read-all", as_=charlie)).json()["updated"] == 0
    unread = await client.get("/notifications?unread=true", as_=alice)
    assert unread.headers["X-Total-Count"] == "3"


async def test_notifications_when_nobody_is_signed_in_then_refused(client: Api) -> None:
    for method, path in (
        ("GET", "/notifications"),
        ("POST", "/notifications/1/read"),
        ("POST", "/notifications/read-all"),
    ):
        assert (await client.request(method, path)).status == 401


async def test_list_when_query_is_wrong_then_the_parameter_is_named(
    client: Api, alice: Person
) -> None:
    for query in ("unread=maybe", "limit=0", "limit=501", "offset=-1"):
        answer = await client.get(f"/notifications?{query}", as_=alice)
        assert answer.status == 400, query
        assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_read_when_there_is_no_such_notice_then_404(client: Api, alice: Person) -> None:
    for number in ("0", "9" * 18):
        assert (await client.post(f"/notifications/{number}/read", as_=alice)).status == 404
