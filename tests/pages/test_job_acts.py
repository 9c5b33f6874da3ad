"""What is done with a job at its page, pressed once, twice, and too late."""

import asyncio

import pytest

from app.core.models import Job
from app.usecases.deps import Deps
from tests.support.api import Answer, Api
from tests.support.jobs import Desk, finish, make_desk, submitted
from tests.support.people import Person


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    return await make_desk(deps, alice)


@pytest.fixture
async def job(deps: Deps, client: Api, alice: Person, desk: Desk) -> Job:
    return await submitted(deps, client, alice, desk)


def goal(answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return answer.headers["Location"]


async def jobs_of(deps: Deps, person: Person) -> int:
    return int(
        await deps.pool.fetchval(
            "select count(*) from imputation_jobs where user_id = $1", person.id
        )
    )


async def test_cancel_when_pressed_in_two_tabs_then_the_second_is_told_calmly(
    client: Api, alice: Person, job: Job
) -> None:
    at = f"/ui/jobs/{job.id}"
    asked = await client.get(f"{at}/cancel", as_=alice)
    assert "data-dialog-body" in asked.text
    assert f'action="{at}/cancel"' in asked.text

    assert goal(await client.post(f"{at}/cancel", as_=alice)) == f"{at}?done=job-cancelling"
    second = goal(await client.post(f"{at}/cancel", as_=alice))
    assert second == f"{at}?done=job-ended"
    assert "already ended" in (await client.get(second, as_=alice)).text
    assert goal(await client.get(f"{at}/cancel", as_=alice)) == f"{at}?done=job-ended"


async def test_delete_when_pressed_in_two_tabs_then_the_second_is_told_calmly(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    at = f"/ui/jobs/{job.id}"
    refused = await client.post(f"{at}/delete", as_=alice)
    assert refused.status == 409
    assert "has not ended yet" in refused.text

    await finish(deps, job)
    assert "for good" in (await client.get(f"{at}/delete", as_=alice)).text
    assert goal(await client.post(f"{at}/delete", as_=alice)) == "/ui/jobs?done=job-deleted"
    second = await client.post(f"{at}/delete", as_=alice)
    assert second.status == 404
    assert "not here any more" in second.text


async def test_retry_when_pressed_in_two_tabs_then_there_is_one_new_job(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await finish(deps, job)
    at = f"/ui/jobs/{job.id}"
    assert 'name="known" value="0"' in (await client.get(f"{at}/retry", as_=alice)).text

    at_once = await asyncio.gather(
        *(client.post(f"{at}/retry", as_=alice, data={"known": "0"}) for _ in range(4))
    )
    later = await client.post(f"{at}/retry", as_=alice, data={"known": "0"})
    goals = [goal(answer).partition("?") for answer in (*at_once, later)]
    assert len({path for path, _, _ in goals}) == 1
    assert [done for _, _, done in goals].count("done=job-retried") == 1
    assert await jobs_of(deps, alice) == 2

    new = goals[0][0]
    assert f'href="/ui/jobs/{job.id}"' in (await client.get(new, as_=alice)).text
    assert f'href="{new}"' in (await client.get(at, as_=alice)).text
    wanted = goal(await client.post(f"{at}/retry", as_=alice, data={"known": "1"}))
    assert wanted.endswith("job-retried"), "one that is wanted is made"
    assert await jobs_of(deps, alice) == 3


async def test_retry_when_the_former_retry_was_deleted_then_makes_another(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await finish(deps, job)
    at = f"/ui/jobs/{job.id}/retry"
    for _ in range(3):
        new = goal(await client.post(at, as_=alice, data={"known": "0"})).partition("?")[0]
        await client.post(f"{new}/cancel", as_=alice)
        assert goal(await client.post(f"{new}/delete", as_=alice)).startswith("/ui/jobs?")
    assert await jobs_of(deps, alice) == 1


async def test_retry_when_the_input_is_gone_then_says_what_to_do(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await finish(deps, job)
    await deps.pool.execute("delete from files where kind = 'input'")
    answer = await client.post(f"/ui/jobs/{job.id}/retry", as_=alice, data={"known": "x"})
    assert answer.status == 409
    assert "no longer stored" in answer.text
    assert f"/ui/jobs/new?from={job.id}" in answer.text


async def test_decision_when_none_is_waited_for_then_says_so(
    client: Api, alice: Person, job: Job
) -> None:
    at = f"/ui/jobs/{job.id}"
    for act in ("adopt", "resubmit"):
        assert goal(await client.get(f"{at}/{act}", as_=alice)) == f"{at}?done=job-decided"
        posted = await client.post(f"{at}/{act}", as_=alice, data={"external_job_id": "run-1"})
        assert goal(posted) == f"{at}?done=job-decided"


async def test_adopt_when_the_id_cannot_be_one_then_the_form_says_so_and_keeps_it(
    client: Api, deps: Deps, alice: Person, job: Job
) -> None:
    await deps.pool.execute(
        "update imputation_jobs set stage = 'decision_needed' where id = $1", job.id
    )
    at = f"/ui/jobs/{job.id}"
    assert job.remote_name in (await client.get(f"{at}/adopt", as_=alice)).text
    for wrong in ("../admin", "", "a" * 300):
        answer = await client.post(f"{at}/adopt", as_=alice, data={"external_job_id": wrong})
        assert answer.status == 400, wrong
        assert 'aria-invalid="true"' in answer.text
    assert goal(await client.post(f"{at}/resubmit", as_=alice)) == f"{at}?done=job-resubmitted"


@pytest.mark.parametrize("act", ["cancel", "delete", "retry", "adopt", "resubmit"])
async def test_acts_when_they_are_another_persons_then_nothing_happens(
    client: Api, deps: Deps, job: Job, bob: Person, act: str
) -> None:
    answer = await client.post(
        f"/ui/jobs/{job.id}/{act}", as_=bob, data={"external_job_id": "r", "known": "0"}
    )
    assert answer.status == 404
    status = await deps.pool.fetchval("select status from imputation_jobs where id = $1", job.id)
    assert status == "queued"
