"""Landing and dashboard over plain HTTP."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.core.models import Job
from app.usecases.deps import Deps
from tests import factories
from tests.support.api import Api
from tests.support.jobs import Desk, complete, finish, make_desk, submitted
from tests.support.people import Person


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    return await make_desk(deps, alice, name="Northern Server")


@pytest.fixture
async def job(deps: Deps, client: Api, alice: Person, desk: Desk) -> Job:
    return await submitted(deps, client, alice, desk, name="My cohort")


async def write(deps: Deps, job: Job, **columns: Any) -> None:
    settings = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await deps.pool.execute(
        f"update imputation_jobs set {settings} where id = $1", job.id, *columns.values()
    )


async def test_landing_when_nobody_is_signed_in_then_says_what_this_is_and_how_services_are(
    deps: Deps, client: Api
) -> None:
    await factories.make_service(
        deps, name="Northern Server", health="up", base_url="https://secret.example.org"
    )
    await factories.make_service(deps, name="Hidden Server", is_active=False)
    page = await client.get("/ui/")

    assert page.status == 200
    for text in ('id="how"', "Northern Server", "/ui/sign-in", "/docs", "It resumes"):
        assert text in page.text, text
    assert "Hidden Server" not in page.text
    assert "secret.example.org" not in page.text
    assert "/ui/register" not in page.text  # registration is closed by itself


async def test_dashboard_when_new_then_shows_three_steps(client: Api, bob: Person) -> None:
    page = await client.get("/ui/", as_=bob)

    assert page.text.count('data-state="now"') == 1
    assert page.text.count('data-state="later"') == 2
    assert "Add a credential" in page.text


async def test_steps_when_taken_then_are_ticked_and_go_with_the_first_results(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    page = await client.get("/ui/", as_=alice)
    assert page.text.count('data-state="done"') == 1
    job = await submitted(deps, client, alice, desk)
    page = await client.get("/ui/", as_=alice)
    assert page.text.count('data-state="done"') == 2
    await complete(deps, job)
    page = await client.get("/ui/", as_=alice)
    assert "Three steps" not in page.text
    assert "Finished lately" in page.text


async def test_dashboard_when_jobs_run_then_shows_how_far_and_which_place(
    deps: Deps, client: Api, alice: Person, bob: Person, job: Job
) -> None:
    await write(deps, job, stage="remote_queue", queue_position=7, progress_percentage=12)
    page = await client.get("/ui/dashboard", as_=alice, headers={"HX-Request": "true"})

    assert "<html" not in page.text
    for text in ("My cohort", "Place 7 in the queue", 'value="12"', "Northern Server"):
        assert text in page.text, text
    assert "My cohort" not in (await client.get("/ui/", as_=bob)).text


@pytest.mark.parametrize(
    ("stage", "says", "leads_to"),
    [
        ("credential_needed", "waits for a credential", "/ui/settings/service-credentials/new?service="),
        ("decision_needed", "waits for your decision", "/ui/jobs/"),
        ("waiting_too_long", "waiting for long", "/ui/jobs/"),
        ("results_blocked", "results blocked", "/ui/jobs/"),
    ],
)  # fmt: skip
async def test_need_when_a_job_is_held_then_says_what_to_do(
    deps: Deps, client: Api, alice: Person, job: Job, stage: str, says: str, leads_to: str
) -> None:
    assert "Needs you" not in (await client.get("/ui/", as_=alice)).text
    await write(deps, job, stage=stage, hold_reason="The reason as it was told")
    page = await client.get("/ui/", as_=alice)

    needs = page.text.partition("Needs you")[2].partition("Going on now")[0]
    for text in (says, leads_to, "The reason as it was told"):
        assert text in needs, text


@pytest.mark.parametrize(
    ("column", "days", "says"),
    [
        ("expires_at", -1, "has expired"),
        ("expires_at", 3, "expires in 3 days"),
        ("rejected_at", -1, "no longer takes your credential"),
        ("expires_at", 30, ""),
    ],
)
@pytest.mark.usefixtures("desk")
async def test_need_when_a_credential_ails_then_says_so(
    deps: Deps, client: Api, alice: Person, column: str, days: int, says: str
) -> None:
    await deps.pool.execute(
        f"update user_service_credentials set {column} = $1", deps.now() + timedelta(days=days)
    )
    page = await client.get("/ui/", as_=alice)

    assert ("Needs you" in page.text) == bool(says)
    assert says in page.text


async def test_need_when_a_job_failed_then_stays_until_it_was_seen(
    deps: Deps, client: Api, alice: Person, bob: Person, job: Job
) -> None:
    await finish(deps, job, "failed", error_message="The file has no samples")
    await deps.pool.execute(
        "insert into notifications (user_id, job_id, dedup_key, type, title, message, channels)"
        " values ($1, $2, 'k', 'job_failed', 't', 'm', '{web}')",
        alice.id,
        job.id,
    )
    seen = {"data": {"job": str(job.id)}}
    page = await client.get("/ui/", as_=alice)
    assert "My cohort failed" in page.text
    assert "The file has no samples" in page.text

    assert (await client.post("/ui/dashboard/seen", as_=bob, **seen)).status == 303
    assert "My cohort failed" in (await client.get("/ui/", as_=alice)).text
    assert (await client.post("/ui/dashboard/seen", as_=alice, data={"job": "x"})).status == 303
    assert (await client.post("/ui/dashboard/seen", as_=alice, **seen)).status == 303
    assert "My cohort failed" not in (await client.get("/ui/", as_=alice)).text


async def test_needs_when_many_are_alike_then_are_one(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    jobs = [await submitted(deps, client, alice, desk, name=f"Cohort {n}") for n in range(5)]
    await deps.pool.execute("update imputation_jobs set stage = 'credential_needed'")
    page = await client.get("/ui/", as_=alice)
    assert "5 jobs wait for a credential" in page.text

    await deps.pool.execute(
        "update user_service_credentials set expires_at = $1", deps.now() - timedelta(days=1)
    )
    page = await client.get("/ui/", as_=alice)
    assert "5 jobs wait for a new one." in page.text
    assert page.text.count('class="need"') == 1

    for job in jobs:
        await finish(deps, job, "failed")
    await deps.pool.execute(
        "insert into notifications (user_id, job_id, dedup_key, type, title, message, channels)"
        " select user_id, id, id::text, 'job_failed', 't', 'm', '{web}' from imputation_jobs"
    )
    page = await client.get("/ui/", as_=alice)
    assert "2 more failed lately" in page.text
    assert page.text.count('class="need"') == 5


async def test_need_when_results_are_deleted_soon_then_says_when(
    deps: Deps, client: Api, alice: Person, job: Job
) -> None:
    done = await complete(deps, job)
    expires = "update files set expires_at = $2 where id = $1"
    await deps.pool.execute(expires, done.results_file_id, deps.now() + timedelta(days=60))
    assert "Needs you" not in (await client.get("/ui/", as_=alice)).text
    await deps.pool.execute(expires, done.results_file_id, deps.now() + timedelta(days=5))
    page = await client.get("/ui/", as_=alice)

    assert "Results of My cohort are deleted in 5 days" in page.text


async def test_batch_when_shown_then_jobs_stand_side_by_side_and_act_together(
    deps: Deps, client: Api, alice: Person, bob: Person, desk: Desk
) -> None:
    jobs = [await submitted(deps, client, alice, desk, name=f"Target {n}") for n in range(3)]
    batch = await deps.pool.fetchval(
        "insert into batches (user_id, name) values ($1, 'Both panels') returning id", alice.id
    )
    await deps.pool.execute("update imputation_jobs set batch_id = $1", batch)
    path = f"/ui/batches/{batch}"
    page = await client.get(path, as_=alice)
    assert page.text.count("data-status=") == 3
    assert "Cancel all" in page.text
    assert "Compare" not in page.text
    for other in (path, f"{path}/cancel", f"{path}/retry", f"{path}/delete"):
        assert (await client.get(other, as_=bob)).status == 404
    assert (await client.post(f"{path}/cancel", as_=bob)).status == 404
    assert (await client.get(f"/ui/batches/{uuid4()}", as_=alice)).status == 404

    await complete(deps, jobs[0])
    await complete(deps, jobs[1])
    page = await client.get(path, as_=alice)
    assert f"{path}/compare" in page.text
    refused = await client.post(f"{path}/delete", as_=alice)
    assert refused.status == 409
    assert "Cancel it before you delete it." in refused.text

    assert "1 job is stopped" in (await client.get(f"{path}/cancel", as_=alice)).text
    done = await client.post(f"{path}/cancel", as_=alice)
    assert (done.status, done.headers["Location"]) == (303, f"{path}?done=batch-cancelling")
    assert (await client.post(f"{path}/cancel", as_=alice)).status == 409

    made = await client.post(f"{path}/retry", as_=alice)
    assert made.status == 303
    again = await client.get(made.headers["Location"], as_=alice)
    assert again.text.count("data-status=") == 1
    assert "A new batch is on its way" in again.text

    gone = await client.post(f"{path}/delete", as_=alice)
    assert gone.headers["Location"] == "/ui/jobs?done=batch-deleted"
    assert (await client.get(path, as_=alice)).status == 404


async def test_services_when_there_are_very_many_then_the_worst_stand_first_and_all_are_counted(
    client: Api, deps: Deps, alice: Person, admin: Person
) -> None:
    await deps.pool.execute(
        "insert into services (slug, name, api_type, base_url, health)"
        " select 's' || n, 'Service ' || lpad(n::text, 3, '0'), 'michigan', 'https://s' || n || '.example', 'up'"
        " from generate_series(1, 600) n"
    )
    await deps.pool.execute("update services set health = 'down' where slug = 's599'")
    await deps.pool.execute("update services set maintenance = true where slug = 's598'")
    await deps.pool.execute("update services set is_active = false where slug = 's1'")

    board = (await client.get("/ui/", as_=alice)).text
    assert board.index("Service 599") < board.index("Service 598") < board.index("Service 002")
    assert "1 down, 1 maintenance, 597 up" in board
    assert '<a href="/ui/services">All 599</a>' in board
    assert "Service 001" not in board

    overview = (await client.get("/ui/admin/", as_=admin)).text
    assert overview.index("Service 599") < overview.index("Service 598")
    assert "1 down, 1 maintenance, 597 up, 1 switched off" in overview
    assert "597 of 599" in overview
    assert '<a href="/ui/admin/services">All 600</a>' in overview
