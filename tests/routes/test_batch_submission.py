"""One upload for several services over HTTP: all jobs are made, or none is and all that is wrong is told."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.settings import Settings
from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing
from tests.genotypes.vcf_files import bgzf, record, vcf
from tests.support.api import Api
from tests.support.batches import batch_form, made, submit_batch, target
from tests.support.deps import RecordingQueue
from tests.support.jobs import Desk, genotypes, make_desk, stored_paths, submit, submitted
from tests.support.people import Person

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
