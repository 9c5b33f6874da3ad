"""The list of jobs over plain HTTP: filters, order, pages, and many jobs handled at once."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from app.core.models import Job
from app.usecases.deps import Deps
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, complete, finish, make_desk, submitted
from tests.support.people import Person

ROW = re.compile(r'data-job="([0-9a-f-]+)"')


def shown(answer: Answer) -> list[str]:
    """Give the names of the jobs on a page, in order."""
    assert answer.status == 200, answer.text
    return re.findall(r'class="job-link break" href="[^"]+">([^<]+)</a>', answer.text)


def counts(answer: Answer) -> dict[str, str]:
    """Give the tabs with their counts."""
    return dict(re.findall(r'">(\w+) <span class="count num">([^<]+)<', answer.text))


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    return await make_desk(deps, alice)


@pytest.fixture
async def three(deps: Deps, client: Api, alice: Person, desk: Desk) -> list[Job]:
    """A completed, a failed and an open job, from old to new."""
    made = [
        await submitted(deps, client, alice, desk, name=name) for name in ("Beta", "alpha", "Gamma")
    ]
    now = deps.now()
    for place, job in enumerate(made):
        await deps.pool.execute(
            "update imputation_jobs set created_at = $2, started_at = $2 where id = $1",
            job.id,
            now - timedelta(days=3 - place),
        )
    return [await complete(deps, made[0]), await finish(deps, made[1]), made[2]]


@pytest.mark.usefixtures("three")
async def test_list_when_ordered_then_each_order_is_its_own(client: Api, alice: Person) -> None:
    for sort, names in {
        "": ["Gamma", "alpha", "Beta"],
        "oldest": ["Beta", "alpha", "Gamma"],
        "name": ["alpha", "Beta", "Gamma"],
        "status": ["Gamma", "Beta", "alpha"],
        "duration": ["Beta", "alpha", "Gamma"],
        "nonsense": ["Gamma", "alpha", "Beta"],
    }.items():
        assert shown(await client.get(f"/ui/jobs?sort={sort}", as_=alice)) == names, sort


async def test_list_when_filtered_then_tabs_count_what_the_rest_of_the_filter_means(
    client: Api, alice: Person, three: list[Job]
) -> None:
    page = await client.get("/ui/jobs?status=failed", as_=alice)
    assert shown(page) == ["alpha"]
    assert counts(page) == {
        "All": "3", "Queued": "1", "Running": "0", "Completed": "1", "Failed": "1", "Cancelled": "0",
    }  # fmt: skip

    page = await client.get("/ui/jobs?q=BET", as_=alice)
    assert (shown(page), counts(page)["All"]) == (["Beta"], "1")
    assert shown(await client.get(f"/ui/jobs?q={three[2].id}", as_=alice)) == ["Gamma"]
    assert shown(await client.get("/ui/jobs?status=queued,failed", as_=alice)) == ["Gamma", "alpha"]
    assert shown(await client.get("/ui/jobs?service_id=999999", as_=alice)) == []
    day = f"{three[1].created_at:%Y-%m-%d}"
    assert shown(await client.get(f"/ui/jobs?since={day}&until={day}", as_=alice)) == ["alpha"]


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense", "service_id=x", "service_id=99999999999999999999", "since=never", "until=0001-01-01",
        "since=9999-12-31", "limit=0", "limit=-1", "offset=x", "offset=2", "sort=;", "offset=999999", "group=1",
    ],
)  # fmt: skip
async def test_list_when_the_address_is_nonsense_then_it_is_left_out(
    client: Api, alice: Person, three: list[Job], query: str
) -> None:
    assert len(shown(await client.get(f"/ui/jobs?{query}", as_=alice))) > 0, len(three)


@pytest.mark.usefixtures("three")
async def test_list_when_paged_then_each_job_is_on_one_page(client: Api, alice: Person) -> None:
    first = await client.get("/ui/jobs?limit=2&q=a", as_=alice)
    assert 'rel="next" href="/ui/jobs?q=a&amp;limit=2&amp;offset=2"' in first.text
    second = await client.get("/ui/jobs?limit=2&offset=2&q=a", as_=alice)

    assert [*shown(first), *shown(second)] == ["Gamma", "alpha", "Beta"]


async def test_list_when_there_is_nothing_then_says_what_to_do(
    client: Api, alice: Person, bob: Person, three: list[Job]
) -> None:
    assert "Submit your first job" in (await client.get("/ui/jobs", as_=bob)).text
    page = await client.get("/ui/jobs?q=nothing-like-it", as_=alice)
    assert "Clear filters" in page.text
    assert str(three[0].id) not in (await client.get("/ui/jobs", as_=bob)).text


async def test_part_when_asked_by_a_page_then_is_no_whole_page(
    client: Api, alice: Person, three: list[Job]
) -> None:
    htmx = {"HX-Request": "true"}
    part = await client.get("/ui/jobs?status=failed", as_=alice, headers=htmx)
    assert "<html" not in part.text
    assert shown(part) == ["alpha"]
    row = await client.get(f"/ui/jobs/{three[1].id}/row", as_=alice, headers=htmx)
    assert row.text.strip().startswith("<tr")
    tabs = await client.get("/ui/jobs/tabs?status=failed", as_=alice, headers=htmx)
    assert counts(tabs)["All"] == "3"


async def test_row_when_it_is_another_users_then_there_is_none(
    client: Api, bob: Person, three: list[Job]
) -> None:
    assert (await client.get(f"/ui/jobs/{three[0].id}/row", as_=bob)).status == 404


async def bulk(client: Api, who: Person, act: str, *ids: UUID | str, **fields: str) -> Answer:
    data = [("act", act), *(("job", str(item)) for item in ids), *fields.items()]
    return await client.post("/ui/jobs/bulk", as_=who, data=data)


async def left(deps: Deps) -> set[str]:
    rows = await deps.pool.fetch("select name from imputation_jobs")
    return {row["name"] for row in rows}


async def test_delete_when_not_confirmed_then_shows_what_would_happen_and_does_nothing(
    deps: Deps, client: Api, alice: Person, three: list[Job]
) -> None:
    page = await bulk(client, alice, "delete", *(job.id for job in three), back="/ui/jobs?q=a")

    assert page.status == 200
    assert "Delete these 2 jobs?" in page.text
    assert "Left as it is" in page.text
    assert 'href="/ui/jobs?q=a"' in page.text
    assert await left(deps) == {"Beta", "alpha", "Gamma"}


async def test_delete_when_confirmed_then_reports_each_job(
    deps: Deps, client: Api, alice: Person, three: list[Job]
) -> None:
    ids: list[UUID | str] = [*(job.id for job in three), three[0].id, uuid4(), "nonsense"]
    page = await bulk(client, alice, "delete", *ids, confirmed="1")

    assert "2 jobs are deleted." in page.text
    assert "2 jobs were refused" in page.text
    assert "Cancel it before you delete it." in page.text
    assert await left(deps) == {"Gamma"}


async def test_cancel_when_confirmed_then_open_jobs_end(
    deps: Deps, client: Api, alice: Person, three: list[Job]
) -> None:
    page = await bulk(client, alice, "cancel", three[2].id, three[0].id, confirmed="1")

    assert "1 job is being cancelled." in page.text
    status = "select status from imputation_jobs where id = $1"
    assert await deps.pool.fetchval(status, three[2].id) == "cancelled"
    assert await deps.pool.fetchval(status, three[0].id) == "completed"


async def test_retry_when_pressed_then_new_jobs_are_made_at_once(
    deps: Deps, client: Api, alice: Person, three: list[Job]
) -> None:
    page = await bulk(client, alice, "retry", three[1].id)

    assert "1 job is tried again as a new job." in page.text
    found = await deps.pool.fetch("select id from imputation_jobs where retry_of = $1", three[1].id)
    assert len(found) == 1
    assert f"/ui/jobs/{found[0]['id']}" in page.text


@pytest.mark.parametrize("act", ["delete", "cancel", "retry"])
async def test_bulk_when_the_jobs_are_another_users_then_nothing_happens(
    deps: Deps, client: Api, bob: Person, three: list[Job], act: str
) -> None:
    page = await bulk(client, bob, act, *(job.id for job in three), confirmed="1")

    assert "3 jobs were refused" in page.text
    assert "alpha" not in page.text
    statuses = await deps.pool.fetch("select status from imputation_jobs")
    assert sorted(row["status"] for row in statuses) == ["completed", "failed", "queued"]


async def test_bulk_when_nothing_is_chosen_or_asked_then_says_so(
    client: Api, alice: Person
) -> None:
    assert "No job chosen" in (await bulk(client, alice, "delete")).text
    assert (await bulk(client, alice, "nonsense")).status == 400
    evil = await bulk(client, alice, "delete", back="https://evil.test/")
    assert "evil.test" not in evil.text


async def test_api_when_sorted_and_ended_by_a_time_then_follows(
    client: Api, alice: Person, three: list[Job]
) -> None:
    answer = await client.get("/jobs?sort=name", as_=alice)
    assert [job["name"] for job in answer.json()] == ["alpha", "Beta", "Gamma"]
    until = (three[2].created_at - timedelta(days=1, hours=12)).isoformat().replace("+00:00", "Z")
    answer = await client.get("/jobs", params={"until": until, "sort": "oldest"}, as_=alice)
    assert [job["name"] for job in answer.json()] == ["Beta", "alpha"]
    assert answer.headers["X-Total-Count"] == "2"
    assert (await client.get("/jobs?sort=nonsense", as_=alice)).status == 400


async def test_list_when_batches_are_grouped_then_their_jobs_stand_together(
    deps: Deps, client: Api, alice: Person, three: list[Job]
) -> None:
    batch = await deps.pool.fetchval(
        "insert into batches (user_id, name) values ($1, 'Both') returning id", alice.id
    )
    await deps.pool.execute(
        "update imputation_jobs set batch_id = $1 where id = any($2::uuid[])",
        batch,
        [three[0].id, three[2].id],
    )
    page = await client.get("/ui/jobs?group=on", as_=alice)

    assert shown(page) == ["Gamma", "Beta", "alpha"]
    assert "2 jobs on this page" in page.text
    assert page.text.count(f"/ui/batches/{batch}") == 3


async def test_filter_when_services_are_offered_then_only_those_with_jobs_and_the_chosen_one(
    client: Api, deps: Deps, alice: Person, bob: Person
) -> None:
    desk = await make_desk(deps, alice)
    other = await make_desk(deps, bob)
    await submitted(deps, client, alice, desk)
    choice = '<option value="{}"'

    page = (await client.get("/ui/jobs", as_=alice)).text
    assert choice.format(desk.service.id) in page
    assert choice.format(other.service.id) not in page

    page = (await client.get(f"/ui/jobs?service_id={other.service.id}", as_=alice)).text
    assert f"{choice.format(other.service.id)} selected" in page
