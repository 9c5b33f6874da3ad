"""Submitting a job over HTTP: what is made, under which names and credentials, and once however often it is sent."""

import asyncio
import re
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest

from app.usecases.credentials import Secret, seal_secret, shared_context
from app.usecases.deps import Deps
from tests.support.api import Answer, Api
from tests.support.deps import Clock, RecordingQueue
from tests.support.jobs import (
    Desk,
    finish,
    genotypes,
    job_form,
    job_of,
    make_desk,
    stored_paths,
    submit,
    submitted,
)
from tests.support.people import Person


async def test_submit_when_all_is_well_then_makes_a_queued_job(
    deps: Deps, client: Api, alice: Person, desk: Desk, queue: RecordingQueue
) -> None:
    answer = await submit(
        client, alice, desk, name="Kohorte 1.vcf.gz", population="EUR", description="two\nlines"
    )
    assert answer.status == 201, answer.text
    job = answer.json()
    assert job["status"] == "queued"
    assert job["progress_percentage"] == 0
    assert job["name"] == "Kohorte 1"
    assert job["description"] == "two\nlines"
    assert job["phasing"] is True
    assert job["phasing_engine"] is None
    assert (job["build"], job["population"], job["input_format"]) == ("hg19", "eur", "vcf")
    assert job["input_file_name"] == "Kohorte 1.vcf.gz"
    assert job["created_at"].endswith("Z")
    assert [file["name"] for file in job["input_files"]] == ["Kohorte 1.vcf.gz"]
    for empty in (
        "results_file_id",
        "external_job_id",
        "error_message",
        "started_at",
        "completed_at",
    ):
        assert job[empty] is None
    assert ("submit_next", ((await job_of(deps, answer)).account_id,)) in queue.tasks


async def test_submit_when_done_then_job_has_exactly_the_promised_fields(
    client: Api, alice: Person, desk: Desk
) -> None:
    job = (await submit(client, alice, desk)).json()
    promised = (
        "id user_id name description status stage hold_reason progress_percentage service_id reference_panel_id"
        " panel_key panel_name panel_version input_format build phasing phasing_engine population options input_file_id input_file_name input_files"
        " results_file_id results_held external_job_id error_code error_message error_action queue_position retry_of batch_id warnings created_at updated_at"
        " started_at completed_at execution_time_seconds"
    )
    assert list(job) == promised.split()


async def test_submit_when_the_panel_changes_later_then_the_job_keeps_what_it_was_submitted_with(
    client: Api, alice: Person, deps: Deps
) -> None:
    desk = await make_desk(deps, alice, {"version": "1.0", "key": "p", "name": "Then"})
    job = (await submit(client, alice, desk)).json()
    await deps.pool.execute(
        "update reference_panels set version = '2.0', key = 'q', name = 'Now', is_active = false"
    )
    for _ in range(2):
        shown = (await client.get(f"/jobs/{job['id']}", as_=alice)).json()
        assert [shown[f"panel_{name}"] for name in ("key", "name", "version")] == ["p", "Then", "1.0"]  # fmt: skip
        await deps.pool.execute("delete from reference_panels")


async def test_submit_when_done_then_tells_by_updates_notice_and_audit(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    job = (await submit(client, alice, desk)).json()
    updates = (await client.get(f"/jobs/{job['id']}/status-updates", as_=alice)).json()
    assert [(item["status"], item["message"], item["progress_percentage"]) for item in updates] == [
        ("queued", "Job queued for processing", 0),
        ("pending", "Job created", 0),
    ]
    assert set(updates[0]) == {
        "id",
        "job_id",
        "status",
        "stage",
        "progress_percentage",
        "message",
        "timestamp",
    }
    assert await deps.pool.fetchval("select type from notifications") == "job_queued"
    row = await deps.pool.fetchrow("select * from audit_logs where action = 'job.submitted'")
    assert row["user_id"] == alice.id
    assert row["resource_id"] == job["id"]
    assert row["address"] == "127.0.0.1"


async def test_submit_when_done_then_the_engine_has_all_it_needs(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    job = await submitted(deps, client, alice, desk, name="a.vcf.gz", options='{"r2Filter": 0.3}')
    assert job.next_action == "submit"
    assert job.next_action_at is not None
    assert job.panel_key == desk.panel.key
    assert job.options == {"r2Filter": "0.3"}
    assert job.remote_name.startswith("fi-")
    UUID(job.remote_name[3:])
    password = deps.vault.open(job.archive_secret, job.archive_secret_key_id, "archive", job.id)
    assert password.startswith("fi-")
    assert len(password) == 27
    assert password[3:].isalnum()
    account = await deps.pool.fetchrow(
        "select * from service_accounts where id = $1", job.account_id
    )
    assert (account["service_id"], account["user_id"]) == (desk.service.id, alice.id)
    placed = await deps.pool.fetchrow("select * from job_files where job_id = $1", job.id)
    assert (placed["role"], placed["name"], placed["position"]) == ("input", "a.vcf.gz", 0)


async def test_submit_when_two_jobs_of_one_user_then_they_share_the_account(
    deps: Deps, client: Api, alice: Person, bob: Person, desk: Desk
) -> None:
    jobs = [await submitted(deps, client, alice, desk) for _ in range(2)]
    assert jobs[0].account_id == jobs[1].account_id
    assert jobs[0].remote_name != jobs[1].remote_name


@pytest.mark.parametrize("kind", ["none", "token"])
async def test_submit_when_no_own_credential_is_used_then_the_account_is_the_shared_one(
    deps: Deps, client: Api, alice: Person, kind: str
) -> None:
    desk = await make_desk(deps, None, credential_kind=kind, credential_policy="shared")
    if kind == "token":
        context = shared_context(desk.service.id, desk.service.base_url)
        sealed, key_id = seal_secret(deps, Secret(token="shared"), context)
        await deps.pool.execute(
            "update services set shared_secret = $1, shared_secret_key_id = $2", sealed, key_id
        )
    jobs = [await submitted(deps, client, alice, desk) for _ in range(2)]
    users = await deps.pool.fetch("select user_id from service_accounts")
    assert [row["user_id"] for row in users] == [None]
    assert jobs[0].account_id == jobs[1].account_id


async def test_submit_when_several_files_come_then_they_make_one_job(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    files = [genotypes("20"), genotypes("21"), genotypes("X")]
    job = await job_of(deps, await submit(client, alice, desk, *files))
    shown = (await client.get(f"/jobs/{job.id}", as_=alice)).json()
    assert len(shown["input_files"]) == 3
    assert shown["input_file_id"] == shown["input_files"][0]["id"]
    names = await deps.pool.fetch("select name from job_files order by position")
    assert [row["name"] for row in names] == ["chr20.vcf.gz", "chr20-2.vcf.gz", "chr20-3.vcf.gz"]


async def test_submit_when_fields_come_after_the_file_then_they_count(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    last = {
        "service_id": str(desk.service.id),
        "reference_panel_id": str(desk.panel.id),
        "build": "hg19",
        "phasing": "false",
        "name": "late",
    }
    form = job_form(desk, last=last, service_id=None, reference_panel_id=None, build=None)
    answer = await client.post("/api/jobs", as_=alice, data=form)
    assert answer.status == 201, answer.text
    assert (answer.json()["name"], answer.json()["phasing"]) == ("late", False)


LIVE_FORM = {
    "phasings": ["eagle", "beagle", "no_phasing"],
    "modes": ["imputation", "qc_only"],
    "options": [],
}


async def test_submit_when_a_mode_is_asked_for_then_it_is_spelt_as_the_service_spells_it(
    deps: Deps, client: Api, alice: Person
) -> None:
    desk = await make_desk(deps, alice, live_form=LIVE_FORM)
    job = await submitted(deps, client, alice, desk, options='{"mode": "QC-only"}')
    assert job.options == {"mode": "qc_only"}


HOSTILE_NAMES = [
    ("../../../etc/cron.d/x.vcf.gz", "x.vcf.gz", "x.vcf.gz"),
    ("a\x00b%0D%0AX-Evil: 1.vcf.gz", "ab X-Evil: 1.vcf.gz", "ab_X-Evil_1.vcf.gz"),
    ("🧬 $(rm -rf ~).vcf.gz", "🧬 $(rm -rf ~).vcf.gz", "rm_-rf.vcf.gz"),
    ("n" * 10_000 + ".vcf.gz", "n" * 173 + ".vcf.gz", "n" * 100 + ".vcf.gz"),
    ("\r\nContent-Type: text/html", "input.vcf.gz", "input.vcf.gz"),
]


async def test_submit_when_the_file_name_is_hostile_then_it_is_only_a_name(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    fields = {
        "service_id": desk.service.id,
        "reference_panel_id": desk.panel.id,
        "build": "hg19",
    }
    for raw, shown, travels in HOSTILE_NAMES:
        parts = [
            f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = f'--B\r\nContent-Disposition: form-data; name="input_file"; filename="{raw}"\r\n\r\n'
        body = "".join([*parts, head]).encode() + genotypes() + b"\r\n--B--\r\n"
        answer = await client.post(
            "/jobs",
            as_=alice,
            data=body,
            headers={"Content-Type": "multipart/form-data; boundary=B"},
        )
        assert answer.status == 201, answer.text
        job = answer.json()
        assert job["input_file_name"] == shown
        placed = "select name from job_files where job_id = $1"
        assert await deps.pool.fetchval(placed, UUID(job["id"])) == travels
    assert all(re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{32}", path) for path in await stored_paths(deps))


async def test_submit_when_a_stored_file_is_named_then_uses_it(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    first = (await submit(client, alice, desk)).json()
    form = aiohttp.FormData()
    form.add_field("service_id", str(desk.service.id))
    form.add_field("reference_panel_id", str(desk.panel.id))
    form.add_field("build", "hg19")
    form.add_field("input_file_id", str(first["input_file_id"]))
    answer = await client.post("/jobs", as_=alice, data=form)
    assert answer.status == 201, answer.text
    assert answer.json()["input_file_id"] == first["input_file_id"]
    assert len(await stored_paths(deps)) == 1


class TestRepeats:
    async def test_submit_when_repeated_with_its_key_then_is_one_job(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        headers = {"Idempotency-Key": "k1"}
        first = await client.post("/jobs", as_=alice, data=job_form(desk), headers=headers)
        # What would be refused by now was answered before.
        await deps.pool.execute("delete from user_service_credentials")
        again = await client.post("/jobs", as_=alice, data=job_form(desk), headers=headers)
        assert (first.status, again.status) == (201, 201)
        assert again.json() == first.json()
        assert again.headers["Idempotency-Replayed"] == "true"
        assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 1
        assert len(await stored_paths(deps)) == 1

    async def test_submit_when_the_key_stood_on_another_request_then_refuses(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        headers = {"Idempotency-Key": "k1"}
        await client.post("/jobs", as_=alice, data=job_form(desk), headers=headers)
        for other in (job_form(desk, phasing="false"), job_form(desk, genotypes(records=4))):
            answer = await client.post("/jobs", as_=alice, data=other, headers=headers)
            assert answer.status == 422
        assert len(await stored_paths(deps)) == 1

    async def test_submit_when_sent_twice_at_once_then_is_one_job(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        async def send() -> Answer:
            return await client.post(
                "/jobs", as_=alice, data=job_form(desk), headers={"Idempotency-Key": "k2"}
            )

        answers = await asyncio.gather(*(send() for _ in range(4)))
        assert {answer.status for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 1
        assert len(await stored_paths(deps)) == 1

    async def test_submit_when_sent_twice_without_key_then_is_two_jobs(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        for _ in range(2):
            await submitted(deps, client, alice, desk)
        assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 2


async def test_submit_when_credential_expires_in_the_future_then_is_taken(
    deps: Deps, client: Api, alice: Person, desk: Desk, clock: Clock
) -> None:
    await deps.pool.execute(
        "update user_service_credentials set expires_at = now() + interval '1 hour'"
    )
    assert (await submit(client, alice, desk)).status == 201
    clock.move(hours=2)
    assert (await submit(client, alice, desk)).json()["code"] == "credential_expired"


async def test_submit_when_the_credential_ends_before_the_job_probably_does_then_is_taken_with_a_warning(
    deps: Deps, client: Api, alice: Person, desk: Desk, clock: Clock
) -> None:
    ends = "update user_service_credentials set expires_at = $1"
    await deps.pool.execute(ends, clock() + timedelta(days=3))
    quick = [await submitted(deps, client, alice, desk) for _ in range(10)]
    assert [job.warnings for job in quick] == [[]] * 10, "two days is what nobody knows better"
    for job in quick:
        begun = deps.now() - timedelta(days=4)
        await finish(deps, job, "completed", submitted_at=begun)
    answer = await submit(client, alice, desk)
    assert answer.status == 201
    job = answer.json()
    [warning] = job["warnings"]
    day = clock() + timedelta(days=3)
    assert warning.startswith(
        f"Your credential for {desk.service.name} ends on {day.day} {day:%B %Y}, "
    )
    assert "renew it" in warning
    assert job["status"] == "queued"
    shown = (await client.get(f"/jobs/{job['id']}", as_=alice)).json()
    assert shown["warnings"] == [warning]
    updates = (await client.get(f"/jobs/{job['id']}/status-updates", as_=alice)).json()
    assert [item["message"] for item in updates].count(warning) == 1
    await finish(deps, await job_of(deps, answer))
    again = await client.post(f"/jobs/{job['id']}/retry", as_=alice)
    assert again.json()["warnings"] == [warning]
    await deps.pool.execute(ends, clock() + timedelta(days=5))
    assert (await submit(client, alice, desk)).json()["warnings"] == []


async def test_submit_when_jobs_were_slow_long_ago_or_did_not_complete_then_that_does_not_count(
    deps: Deps, client: Api, alice: Person, desk: Desk, clock: Clock
) -> None:
    await deps.pool.execute(
        "update user_service_credentials set expires_at = $1", clock() + timedelta(days=3)
    )
    begun = deps.now() - timedelta(days=60)
    old, failed, *others = [await submitted(deps, client, alice, desk) for _ in range(22)]
    await finish(deps, old, "completed", submitted_at=begun, completed_at=deps.now() - timedelta(days=31))  # fmt: skip
    await finish(deps, failed, submitted_at=begun)
    slow, *quick = others
    await finish(deps, slow, "completed", submitted_at=begun)  # one of twenty
    for job in quick:
        await finish(deps, job, "completed", submitted_at=deps.now() - timedelta(hours=1))
    assert (await submit(client, alice, desk)).json()["warnings"] == []


async def test_submit_when_the_service_needs_no_credential_then_asks_for_none(
    deps: Deps, client: Api, alice: Person
) -> None:
    desk = await make_desk(deps, None, credential_kind="none")
    answer = await submit(client, alice, desk)
    assert answer.status == 201, answer.text
    assert answer.json()["warnings"] == []
    body = {"service_id": desk.service.id, "api_token": "a-token"}
    refused = await client.post("/users/me/service-credentials", as_=alice, json=body)
    assert (refused.status, refused.json()["code"]) == (400, "no_credential_needed")
    assert await deps.pool.fetchval("select count(*) from user_service_credentials") == 0
