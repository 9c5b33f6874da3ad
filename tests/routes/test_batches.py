"""Batches over HTTP, once they are made: looked at, stopped, tried again and deleted, whole or job by job."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing
from tests.support.api import Api
from tests.support.batches import end, made, submit_batch, target
from tests.support.jobs import Desk, job_of, make_desk, stored_paths, submitted
from tests.support.people import Person

# Looking


async def test_batch_when_its_jobs_move_then_it_follows(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await end(deps, batch, "completed", "failed", "open")
    shown = (await client.get(f"/batches/{batch['id']}", as_=alice)).json()
    assert (shown["status"], shown["counts"]["queued"]) == ("open", 1)
    assert [job["id"] for job in shown["jobs"]] == [job["id"] for job in batch["jobs"]]
    await end(deps, batch, "completed", "failed", "cancelled")
    shown = (await client.get(f"/batches/{batch['id']}", as_=alice)).json()
    assert shown["status"] == "mixed"
    (listed,) = (await client.get("/batches", as_=alice)).json()
    assert listed == {name: value for name, value in shown.items() if name != "jobs"}


async def test_batches_when_listed_then_pages_and_filters_work(
    deps: Deps, client: Api, alice: Person, bob: Person, targets: list[dict[str, Any]]
) -> None:
    ends = {
        "open": ("open", "completed"),
        "completed": ("completed", "completed"),
        "failed": ("failed", "cancelled"),
        "mixed": ("completed", "cancelled"),
        "cancelled": ("cancelled", "cancelled"),
    }
    ids = {}
    for name, statuses in ends.items():
        batch = await made(
            await submit_batch(
                client, alice, targets[:2], name=f"50%_{name}", description="my words"
            )
        )
        await end(deps, batch, *statuses)
        ids[name] = batch["id"]

    async def names(query: str) -> list[str]:
        answer = await client.get(f"/batches?{query}", as_=alice)
        assert answer.status == 200, answer.text
        found = answer.json()
        if "limit" not in query:
            assert answer.headers["X-Total-Count"] == str(len(found))
        return [item["name"].removeprefix("50%_") for item in found]

    assert await names("") == list(reversed(ends))
    for status in ends:
        assert await names(f"status={status}") == [status]
    assert await names("status=open,MIXED") == ["mixed", "open"]
    assert await names("q=50%25_mix") == ["mixed"]
    assert await names("q=50%25%25") == []
    assert await names("q=words&limit=2&offset=1") == ["mixed", "failed"]
    assert await names(f"q={ids['failed']}") == ["failed"]
    answer = await client.get("/batches?limit=2", as_=alice)
    assert answer.headers["X-Total-Count"] == "5"
    assert 'rel="next"' in answer.headers["Link"]
    assert (await client.get("/batches?status=queued", as_=alice)).status == 400
    assert (await client.get("/batches", as_=bob)).json() == []


async def test_jobs_when_listed_by_batch_then_only_its_jobs_are_there(
    deps: Deps,
    client: Api,
    alice: Person,
    bob: Person,
    desks: list[Desk],
    targets: list[dict[str, Any]],
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await submitted(deps, client, alice, desks[0])
    answer = await client.get(f"/jobs?batch_id={batch['id']}", as_=alice)
    assert answer.headers["X-Total-Count"] == "3"
    assert {job["id"] for job in answer.json()} == {job["id"] for job in batch["jobs"]}
    assert (await client.get(f"/jobs?batch_id={batch['id']}", as_=bob)).json() == []
    assert (await client.get(f"/jobs?batch_id={uuid4()}", as_=alice)).json() == []
    assert len((await client.get("/jobs?batch_id=", as_=alice)).json()) == 4
    for wrong in (
        "1",
        batch["id"][:-1],
        f"urn:uuid:{batch['id']}",
        batch["id"].replace("-", ""),
        "%00",
    ):
        assert (await client.get(f"/jobs?batch_id={wrong}", as_=alice)).status == 400, wrong


async def test_batch_when_it_is_anothers_then_there_is_none(
    client: Api, alice: Person, bob: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    assert (await client.get(f"/batches/{batch['id']}", as_=bob)).status == 404
    assert (await client.get(f"/batches/{uuid4()}", as_=alice)).status == 404


# Each job lives its own life


async def test_job_when_it_is_tried_again_alone_then_does_not_join_the_batch(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await end(deps, batch, "failed", "completed", "completed")
    again = await client.post(f"/jobs/{batch['jobs'][0]['id']}/retry", as_=alice)
    assert again.status == 201
    assert again.json()["batch_id"] is None
    assert (await job_of(deps, again)).retry_of == UUID(batch["jobs"][0]["id"])
    shown = (await client.get(f"/batches/{batch['id']}", as_=alice)).json()
    assert shown["job_count"] == 3


async def test_job_when_it_is_deleted_alone_then_the_others_keep_the_file_and_the_last_ends_the_batch(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await end(deps, batch, "failed", "completed", "cancelled")
    path = f"/batches/{batch['id']}"
    first, *others = [f"/jobs/{job['id']}" for job in batch["jobs"]]
    assert (await client.delete(first, as_=alice)).status == 204
    assert len(await stored_paths(deps)) == 1
    assert (await client.get(path, as_=alice)).json()["job_count"] == 2
    answers = await asyncio.gather(*(client.delete(job, as_=alice) for job in others))
    assert [answer.status for answer in answers] == [204, 204]
    assert (await client.get(path, as_=alice)).status == 404
    assert await stored_paths(deps) == []


# Cancelling


async def test_cancel_when_some_jobs_are_open_then_those_are_stopped(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await end(deps, batch, "completed", "open", "open")
    path = f"/batches/{batch['id']}"
    answer = await client.post(f"{path}/cancel", as_=alice)
    assert answer.status == 202
    assert answer.json() == {
        "message": "Batch cancellation initiated",
        "batch_id": batch["id"],
        "job_ids": [job["id"] for job in batch["jobs"][1:]],
    }
    shown = (await client.get(path, as_=alice)).json()
    assert (shown["status"], shown["counts"]["cancelled"]) == ("mixed", 2)
    again = await client.post(f"{path}/cancel", as_=alice)
    assert (again.status, again.json()["code"]) == (409, "batch_is_final")
    audit = await deps.pool.fetchrow(
        "select * from audit_logs where action = 'batch.cancel_requested'"
    )
    assert audit["details"]["job_ids"] == answer.json()["job_ids"]


async def test_cancel_when_sent_many_times_at_once_then_each_job_is_stopped_once(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    answers = await asyncio.gather(
        *(client.post(f"/batches/{batch['id']}/cancel", as_=alice) for _ in range(6))
    )
    assert {answer.status for answer in answers} <= {202, 409}
    assert (await client.get(f"/batches/{batch['id']}", as_=alice)).json()["status"] == "cancelled"
    told = "select count(*) from job_status_updates where status = 'cancelled'"
    assert await deps.pool.fetchval(told) == 3


# Trying again


async def test_retry_when_some_failed_then_those_make_a_new_batch_and_open_ones_go_on(
    deps: Deps, client: Api, alice: Person, desks: list[Desk], targets: list[dict[str, Any]]
) -> None:
    desk = await make_desk(deps, alice)
    batch = await made(
        await submit_batch(client, alice, [*targets, target(desk, name="fourth")], description="d")
    )
    await end(deps, batch, "completed", "failed", "open", "cancelled")
    answer = await client.post(f"/batches/{batch['id']}/retry", as_=alice)
    again = await made(answer)
    assert (again["retry_of"], again["name"], again["status"]) == (
        batch["id"],
        batch["name"],
        "open",
    )
    former = [batch["jobs"][1], batch["jobs"][3]]
    assert [job["retry_of"] for job in again["jobs"]] == [job["id"] for job in former]
    for name in (
        "service_id",
        "reference_panel_id",
        "name",
        "description",
        "build",
        "population",
        "input_file_id",
    ):
        assert [job[name] for job in again["jobs"]] == [job[name] for job in former], name
    assert {job["batch_id"] for job in again["jobs"]} == {again["id"]}
    assert len(await stored_paths(deps)) == 1
    shown = (await client.get(f"/batches/{batch['id']}", as_=alice)).json()
    assert (shown["status"], shown["job_count"]) == ("open", 4)
    audit = await deps.pool.fetchrow("select * from audit_logs where action = 'batch.retried'")
    assert audit["details"]["retry_of"] == batch["id"]


async def test_retry_when_nothing_failed_then_says_so(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    for statuses in (("open",) * 3, ("completed", "completed", "open"), ("completed",) * 3):
        await end(deps, batch, *statuses)
        answer = await client.post(f"/batches/{batch['id']}/retry", as_=alice)
        assert (answer.status, answer.json()["code"]) == (409, "nothing_to_retry")


async def test_retry_when_one_job_cannot_be_tried_then_none_is_and_it_is_named(
    deps: Deps, client: Api, alice: Person, desks: list[Desk], targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await end(deps, batch, "completed", "failed", "failed")
    await deps.pool.execute(
        "delete from user_service_credentials where service_id = $1", desks[2].service.id
    )
    async with leaves_nothing(deps):
        answer = await client.post(f"/batches/{batch['id']}/retry", as_=alice)
    told = answer.json()
    assert (answer.status, told["code"], told["target"]) == (400, "no_credentials", 2)
    assert (told["job_id"], told["service_id"]) == (batch["jobs"][2]["id"], desks[2].service.id)
    assert told["errors"][0]["field"] == "jobs[2]"


async def test_retry_when_sent_at_once_with_a_key_then_is_one_batch(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    await end(deps, batch, "failed", "failed", "failed")
    answers = await asyncio.gather(
        *(
            client.post(
                f"/batches/{batch['id']}/retry", as_=alice, headers={"Idempotency-Key": "r"}
            )
            for _ in range(5)
        )
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await deps.pool.fetchval("select count(*) from batches") == 2


# Deleting


async def test_delete_when_all_have_ended_then_batch_jobs_and_file_are_gone(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets))
    path = f"/batches/{batch['id']}"
    await end(deps, batch, "completed", "failed", "open")
    answer = await client.delete(path, as_=alice)
    assert (answer.status, answer.json()["code"]) == (409, "batch_is_open")
    assert len(await stored_paths(deps)) == 1
    await end(deps, batch, "completed", "failed", "cancelled")
    again = await made(await client.post(f"{path}/retry", as_=alice))
    assert (await client.delete(path, as_=alice)).status == 204
    assert (await client.get(path, as_=alice)).status == 404
    assert (await client.get(f"/jobs/{batch['jobs'][0]['id']}", as_=alice)).status == 404
    # What was tried again has the file still, and forgets where it came from.
    assert len(await stored_paths(deps)) == 1
    shown = (await client.get(f"/batches/{again['id']}", as_=alice)).json()
    assert shown["retry_of"] is None
    await end(deps, again, "failed", "failed")
    assert (await client.delete(f"/batches/{again['id']}", as_=alice)).status == 204
    assert await stored_paths(deps) == []
    assert (
        await deps.pool.fetchval("select count(*) from audit_logs where action = 'batch.deleted'")
        == 2
    )


async def test_delete_when_all_acts_come_at_once_then_nothing_breaks(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    for _ in range(3):
        batch = await made(await submit_batch(client, alice, targets))
        await end(deps, batch, "completed", "failed", "cancelled")
        path = f"/batches/{batch['id']}"
        answers = await asyncio.gather(
            client.delete(path, as_=alice),
            client.post(f"{path}/retry", as_=alice),
            *(client.delete(f"/jobs/{job['id']}", as_=alice) for job in batch["jobs"]),
            client.post(f"{path}/retry", as_=alice),
            client.delete(path, as_=alice),
            client.post(f"{path}/cancel", as_=alice),
        )
        assert {answer.status for answer in answers} <= {201, 204, 404, 409}, [
            answer.text for answer in answers
        ]
        assert (await client.get(path, as_=alice)).status == 404


async def test_user_when_removed_then_batches_and_jobs_go_too(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    await made(await submit_batch(client, alice, targets))
    await deps.pool.execute("delete from users where id = $1", alice.id)
    assert await deps.pool.fetchval("select count(*) from batches") == 0
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 0
