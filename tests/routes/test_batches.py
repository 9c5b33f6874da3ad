"""One upload for several services over HTTP: all or nothing, and what is seen of it afterwards."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.db.jobs import find_own_job
from app.settings import Settings
from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing
from tests.genotypes.vcf_files import bgzf, record, vcf
from tests.support.api import Answer, Api
from tests.support.batches import batch_form, submit_batch, target
from tests.support.deps import RecordingQueue
from tests.support.jobs import (
    Desk,
    ThreadInspector,
    finish,
    genotypes,
    job_of,
    make_desk,
    stored_paths,
    submit,
    submitted,
)
from tests.support.people import Person


@pytest.fixture
def deps(deps: Deps) -> Deps:
    return replace(deps, inspector=ThreadInspector())


@pytest.fixture
async def desks(deps: Deps, alice: Person) -> list[Desk]:
    return [await make_desk(deps, alice) for _ in range(3)]


@pytest.fixture
def targets(desks: list[Desk]) -> list[dict[str, Any]]:
    return [target(desk) for desk in desks]


async def made(answer: Answer) -> dict[str, Any]:
    assert answer.status == 201, answer.text
    batch: dict[str, Any] = answer.json()
    return batch


async def end(deps: Deps, batch: dict[str, Any], *statuses: str) -> None:
    """End the jobs of a batch; «open» leaves one as it is."""
    for shown, status in zip(batch["jobs"], statuses, strict=True):
        if status != "open":
            job = await find_own_job(deps.pool, UUID(shown["id"]), shown["user_id"])
            assert job is not None
            await finish(deps, job, status)


# Creating


async def test_submit_when_there_are_targets_then_makes_a_job_for_each_over_one_file(
    deps: Deps, client: Api, alice: Person, desks: list[Desk], queue: RecordingQueue
) -> None:
    targets = [
        target(desks[0], population="eur", name="to the first"),
        target(desks[1], phasing=False, options={"r2Filter": 0.3}),
        target(desks[2], build="hg19"),
    ]
    batch = await made(
        await submit_batch(client, alice, targets, name="Kohorte 1.vcf.gz", phasing="eagle")
    )
    assert list(batch) == [
        "id", "user_id", "name", "description", "status", "counts", "job_count", "retry_of", "created_at", "jobs",
    ]  # fmt: skip
    UUID(batch["id"])
    assert (batch["name"], batch["status"], batch["job_count"]) == ("Kohorte 1", "open", 3)
    assert batch["counts"] == {
        "pending": 0, "queued": 3, "running": 0, "completed": 0, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    jobs = batch["jobs"]
    assert [job["service_id"] for job in jobs] == [desk.service.id for desk in desks]
    assert [job["name"] for job in jobs] == ["to the first", "Kohorte 1", "Kohorte 1"]
    assert [job["population"] for job in jobs] == ["eur", "mixed", "mixed"]
    assert [job["phasing_engine"] for job in jobs] == ["eagle", None, "eagle"]
    assert [job["options"] for job in jobs] == [{}, {"r2Filter": "0.3"}, {}]
    assert {job["batch_id"] for job in jobs} == {batch["id"]}
    assert len({job["input_file_id"] for job in jobs}) == 1
    assert len(await stored_paths(deps)) == 1
    accounts = await deps.pool.fetch("select account_id from imputation_jobs")
    for row in accounts:
        assert ("submit_next", (row["account_id"],)) in queue.tasks
    audit = await deps.pool.fetchrow("select * from audit_logs where action = 'batch.submitted'")
    assert audit["resource_id"] == batch["id"]
    assert audit["details"]["job_ids"] == [job["id"] for job in jobs]
    assert await deps.pool.fetchval("select count(*) from notifications") == 3


async def test_submit_when_there_is_one_target_then_is_a_batch_of_one(
    client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    batch = await made(await submit_batch(client, alice, targets[:1]))
    assert len(batch["jobs"]) == 1


async def test_submit_when_targets_are_empty_then_is_a_single_job(
    client: Api, alice: Person, desks: list[Desk]
) -> None:
    answer = await submit(client, alice, desks[0], targets=" ")
    assert answer.status == 201
    assert answer.json()["batch_id"] is None


async def test_submit_when_targets_come_after_the_file_then_they_count(
    client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    form = batch_form("", last={"targets": json.dumps(targets)})
    batch = await made(await client.post("/api/jobs", as_=alice, data=form))
    assert batch["job_count"] == 3


async def test_submit_when_the_file_is_stored_already_then_all_use_it(
    deps: Deps, client: Api, alice: Person, desks: list[Desk], targets: list[dict[str, Any]]
) -> None:
    first = await submitted(deps, client, alice, desks[0])
    fields = {
        "targets": json.dumps(targets),
        "input_file_id": str(first.input_file_id),
        "build": "hg19",
    }
    batch = await made(await client.post("/jobs", as_=alice, data=fields))
    assert {job["input_file_id"] for job in batch["jobs"]} == {first.input_file_id}
    assert len(await stored_paths(deps)) == 1


async def test_submit_when_the_same_panel_is_asked_for_in_two_ways_then_they_are_two_jobs(
    client: Api, alice: Person, desks: list[Desk]
) -> None:
    targets = [target(desks[0], population="eur"), target(desks[0], population="mixed")]
    assert (await made(await submit_batch(client, alice, targets)))["job_count"] == 2


# Refusing


async def test_submit_when_a_credential_is_missing_then_says_what_a_single_job_is_told_and_which(
    deps: Deps, client: Api, alice: Person, desks: list[Desk]
) -> None:
    bare = await make_desk(deps, None, name="H3Africa Imputation Service")
    async with leaves_nothing(deps):
        single = (await submit(client, alice, bare)).json()
        answer = await submit_batch(client, alice, [target(desks[0]), target(bare)])
    told = answer.json()
    assert answer.status == 400
    for name in ("code", "error", "message", "detail", "action", "service_id"):
        assert told[name] == single[name], name
    assert (told["target"], told["service_name"]) == (1, "H3Africa Imputation Service")
    assert told["panel_name"] == bare.panel.name
    assert told["errors"] == [{"field": "targets[1]", "message": single["message"]}]


async def test_submit_when_several_are_refused_then_all_are_told(
    deps: Deps, client: Api, alice: Person, desks: list[Desk]
) -> None:
    bare = await make_desk(deps, None)
    targets = [
        target(desks[0], population="martian"),
        target(desks[1]),
        target(bare),
        {**target(desks[1]), "reference_panel_id": desks[0].panel.id},
        {"service_id": 999, "reference_panel_id": 1},
    ]
    async with leaves_nothing(deps):
        told = (await submit_batch(client, alice, targets)).json()
    assert (told["code"], told["target"]) == ("unknown_population", 0)
    assert [(item["target"], item["code"]) for item in told["refused"]] == [
        (0, "unknown_population"), (2, "no_credentials"), (3, "unknown_panel"), (4, "service_not_found"),
    ]  # fmt: skip
    assert [item["field"] for item in told["errors"]] == [
        "targets[0].population", "targets[2]", "targets[3].reference_panel_id", "targets[4]",
    ]  # fmt: skip
    assert all(item["message"] for item in told["refused"])
    assert told["refused"][1]["service_name"] == bare.service.name
    assert "martian" not in str(told)


async def test_submit_when_service_stands_beside_targets_then_is_refused_in_either_order(
    deps: Deps, client: Api, alice: Person, desks: list[Desk], targets: list[dict[str, Any]]
) -> None:
    async with leaves_nothing(deps):
        for field in ("service_id", "reference_panel_id"):
            for form in (
                batch_form(targets, **{field: str(desks[0].panel.id)}),
                batch_form(targets, last={field: str(desks[0].panel.id)}),
            ):
                answer = await client.post("/jobs", as_=alice, data=form)
                assert (answer.status, answer.json()["code"]) == (400, "targets_and_service")


async def test_submit_when_two_targets_are_the_same_then_is_refused_however_they_are_spelt(
    deps: Deps, client: Api, alice: Person, desks: list[Desk]
) -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {}),
        ({}, {"name": "another name"}),
        ({"population": "EUR"}, {"population": "eur"}),
        ({}, {"population": "mixed"}),
        ({"build": "GRCh37"}, {"build": "hg19"}),
        ({"options": {"a": 1, "b": 2}}, {"options": {"b": "2", "a": "1"}}),
        ({"phasing": True}, {"phasing": "yes"}),
    ]
    async with leaves_nothing(deps):
        for one, other in pairs:
            twice = [target(desks[0], **one), target(desks[1]), target(desks[0], **other)]
            answer = await submit_batch(client, alice, twice)
            assert (answer.status, answer.json()["code"]) == (400, "repeated_target"), (one, other)
            assert answer.json()["target"] == 2


async def test_submit_when_what_sets_two_targets_apart_comes_late_then_it_counts(
    client: Api, alice: Person, desks: list[Desk]
) -> None:
    targets = [target(desks[0], build="hg38"), target(desks[0])]
    form = batch_form(targets, last={"build": "hg19"}, build=None)
    answer = await client.post("/jobs", as_=alice, data=form)
    # Not «twice the same»; the file, which is hg19, does not suit the first.
    assert (answer.json()["code"], answer.json()["target"]) == ("prefix_mismatch", 0)


async def test_submit_when_the_file_does_not_suit_a_target_then_names_it(
    deps: Deps, client: Api, alice: Person, desks: list[Desk]
) -> None:
    unphased = bgzf(vcf(record(genotypes=["0/1", "0/0"])))
    cases = [
        ([target(desks[0]), target(desks[1], build="hg38")], genotypes(), "prefix_mismatch"),
        ([target(desks[0]), target(desks[1], phasing=False)], unphased, "not_phased"),
    ]
    async with leaves_nothing(deps):
        for targets, file, code in cases:
            told = (await submit_batch(client, alice, targets, file)).json()
            assert (told["code"], told["target"]) == (code, 1)
            assert told["service_name"] == desks[1].service.name
            assert told["errors"][0]["field"] == "targets[1].input_file"


class TestQuota:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, max_open_jobs_per_user=4)

    async def test_submit_when_not_all_jobs_may_be_open_then_none_is_made(
        self,
        deps: Deps,
        client: Api,
        alice: Person,
        desks: list[Desk],
        targets: list[dict[str, Any]],
    ) -> None:
        await submitted(deps, client, alice, desks[0])
        await submitted(deps, client, alice, desks[0])
        async with leaves_nothing(deps):
            answer = await submit_batch(client, alice, targets)
            assert (answer.status, answer.json()["code"]) == (403, "job_quota")
            assert "target" not in answer.json()
        assert (await submit_batch(client, alice, targets[:2])).status == 201
        assert (await submit_batch(client, alice, targets[:1])).status == 403

    async def test_submit_when_batches_race_then_the_quota_holds_and_each_is_whole_or_nothing(
        self, deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
    ) -> None:
        answers = await asyncio.gather(*(submit_batch(client, alice, targets) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [201, 403, 403, 403, 403]
        assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 3
        assert await deps.pool.fetchval("select count(*) from batches") == 1
        assert len(await stored_paths(deps)) == 1


# The same request again


async def test_submit_when_sent_at_once_with_a_key_then_is_one_batch(
    deps: Deps, client: Api, alice: Person, targets: list[dict[str, Any]]
) -> None:
    key = {"Idempotency-Key": "k"}
    answers = await asyncio.gather(
        *(submit_batch(client, alice, targets, headers=key) for _ in range(5))
    )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 3
    assert await deps.pool.fetchval("select count(*) from batches") == 1
    await deps.pool.execute("delete from user_service_credentials")
    assert (await submit_batch(client, alice, targets, headers=key)).body == answers[0].body
    other = await submit_batch(client, alice, targets[:2], headers=key)
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")


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
