"""Submitting a job over HTTP: what is made, and what is refused before anything is."""

import asyncio
import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from app.settings import Settings
from app.usecases.credentials import Secret, seal_secret, shared_context
from app.usecases.deps import Deps
from tests.genotypes.vcf_files import bgzf, header, plain_gzip, record, vcf
from tests.support.api import Answer, Api
from tests.support.deps import Clock, RecordingQueue
from tests.support.jobs import (
    Desk,
    ThreadInspector,
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


@pytest.fixture
def deps(deps: Deps) -> Deps:
    return replace(deps, inspector=ThreadInspector())


@pytest.fixture
async def desk(deps: Deps, alice: Person) -> Desk:
    return await make_desk(deps, alice)


async def nothing_is_left(deps: Deps) -> None:
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 0
    assert await deps.pool.fetchval("select count(*) from files") == 0
    assert await stored_paths(deps) == []


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
        " panel_key panel_name input_format build phasing phasing_engine population options input_file_id input_file_name input_files"
        " results_file_id results_held external_job_id error_code error_message error_action queue_position retry_of batch_id created_at updated_at"
        " started_at completed_at execution_time_seconds"
    )
    assert list(job) == promised.split()


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


async def test_submit_when_fields_after_the_file_are_wrong_then_nothing_is_left(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    form = job_form(desk, last={"population": "martian"})
    answer = await client.post("/jobs", as_=alice, data=form)
    assert answer.status == 400
    assert answer.json()["code"] == "unknown_population"
    await nothing_is_left(deps)


async def test_submit_when_no_credential_is_stored_then_says_exactly_what_to_do(
    deps: Deps, client: Api, alice: Person
) -> None:
    desk = await make_desk(deps, None, name="H3Africa Imputation Service")
    answer = await submit(client, alice, desk)
    assert answer.status == 400
    told = answer.json()
    assert told["error"] == "no_credentials"
    assert told["message"] == (
        "You must configure your H3Africa Imputation Service API credentials before submitting jobs"
    )
    assert told["action"] == "Go to Settings → Service Credentials"
    assert told["service_id"] == desk.service.id
    await nothing_is_left(deps)


@pytest.mark.parametrize(
    ("column", "code"),
    [("rejected_at", "credential_rejected"), ("expires_at", "credential_expired")],
)
async def test_submit_when_the_credential_is_known_to_be_useless_then_refuses(
    deps: Deps, client: Api, alice: Person, desk: Desk, column: str, code: str
) -> None:
    await deps.pool.execute(
        f"update user_service_credentials set {column} = now() - interval '1 hour'"
    )
    answer = await submit(client, alice, desk)
    assert (answer.status, answer.json()["code"]) == (400, code)
    assert "Settings" in answer.json()["action"]


REFUSALS: list[tuple[str, dict[str, Any], int, str]] = [
    ("unknown service", {"service_id": "999"}, 404, "service_not_found"),
    ("no service", {"service_id": None}, 400, "missing_field"),
    ("service in words", {"service_id": "michigan"}, 400, "invalid_field"),
    ("huge service id", {"service_id": "9" * 30}, 400, "invalid_field"),
    ("no panel", {"reference_panel_id": None}, 400, "missing_field"),
    ("unknown panel", {"reference_panel_id": "999"}, 400, "unknown_panel"),
    ("unknown build", {"build": "hg17"}, 400, "unknown_build"),
    ("unknown population", {"population": "martian"}, 400, "unknown_population"),
    ("unknown format", {"input_format": "plink"}, 400, "unknown_format"),
    ("phasing in words", {"phasing": "yes please"}, 400, "unknown_phasing"),
    ("options no object", {"options": "[1]"}, 400, "invalid_options"),
    ("options no JSON", {"options": "{r2: 1}"}, 400, "invalid_options"),
    ("nested options", {"options": '{"a": {"b": 1}}'}, 400, "invalid_options"),
    ("option with a bad name", {"options": '{"a b": 1}'}, 400, "invalid_options"),
    ("deep options", {"options": "[" * 50_000}, 400, "invalid_options"),
    ("long name", {"last": {"name": "x" * 300}}, 400, "invalid_field"),
    ("unknown field", {"fasing": "true"}, 400, "unknown_field"),
    ("field twice", {"last": {"build": "hg19"}}, 400, "repeated_field"),
    ("NUL in a field", {"description": "a\0b"}, 400, "not_text"),
    ("file id in words", {"input_file_id": "one"}, 400, "invalid_field"),
    ("file id of nobody", {"input_file_id": "12345"}, 404, "not_found"),
]


async def test_submit_when_something_is_wrong_then_says_what_and_leaves_nothing(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    for what, fields, status, code in REFUSALS:
        answer = await submit(client, alice, desk, **fields)
        assert (answer.status, answer.json()["code"]) == (status, code), (what, answer.text)
        assert "martian" not in answer.text
        await nothing_is_left(deps)


async def test_submit_when_the_panel_is_of_another_service_then_names_the_own_ones(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    other = await make_desk(deps, alice, panel={"name": "Somebody Else's"})
    answer = await submit(client, alice, replace(desk, panel=other.panel))
    assert (answer.status, answer.json()["code"]) == (400, "unknown_panel")
    assert f"{desk.panel.id} ({desk.panel.name})" in answer.json()["action"]
    assert "Somebody Else" not in answer.text


async def test_submit_when_service_or_panel_is_off_then_refuses(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    await deps.pool.execute("update reference_panels set is_active = false")
    assert (await submit(client, alice, desk)).json()["code"] == "unknown_panel"
    await deps.pool.execute("update services set is_active = false")
    assert (await submit(client, alice, desk)).json()["code"] == "service_disabled"


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


CONTENTS: list[tuple[str, list[bytes], dict[str, str], str]] = [
    ("plain VCF", [vcf().encode()], {}, "plain_vcf"),
    ("ordinary gzip", [plain_gzip(vcf())], {}, "not_bgzip"),
    ("HTML", [b"<!doctype html><html>sign in</html>"], {}, "html_page"),
    ("empty", [b""], {}, "empty_file"),
    ("truncated", [genotypes()[:-40]], {}, "truncated"),
    ("unsorted", [bgzf(vcf(record(200), record(100)))], {}, "not_sorted"),
    (
        "two chromosomes",
        [bgzf(vcf(record(1), record(2, chromosome="21")))],
        {},
        "several_chromosomes",
    ),
    ("no GT", [bgzf(vcf(record(form="DP", genotypes=["1", "2"])))], {}, "no_genotypes"),
    ("doubled sample", [bgzf(header(("A", "A")) + record())], {}, "duplicate_sample"),
    ("wrong build", [genotypes("chr20")], {}, "prefix_mismatch"),
    ("one chromosome twice", [genotypes(), genotypes()], {}, "chromosome_twice"),
    ("different samples", [genotypes(), genotypes("21", samples=("B", "A"))], {}, "samples_differ"),
    (
        "unphased without phasing",
        [bgzf(vcf(record(genotypes=["0/1", "0/0"])))],
        {"phasing": "false"},
        "not_phased",
    ),
]


async def test_submit_when_a_file_cannot_be_used_then_says_what_it_is_and_what_to_do(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    for what, files, fields, code in CONTENTS:
        answer = await submit(client, alice, desk, *files, **fields)
        assert (answer.status, answer.json()["code"]) == (400, code), (what, answer.text)
        assert answer.json()["action"]
        assert answer.json()["errors"][0]["field"] == "input_file"
        await nothing_is_left(deps)


async def test_submit_when_several_files_are_wrong_then_tells_of_each(
    client: Api, alice: Person, desk: Desk
) -> None:
    answer = await submit(client, alice, desk, genotypes()[:-40], bgzf(vcf(record(2), record(1))))
    assert len(answer.json()["errors"]) == 2


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


async def test_submit_when_the_stored_file_is_anothers_then_there_is_no_such_file(
    deps: Deps, client: Api, alice: Person, charlie: Person, desk: Desk
) -> None:
    first = (await submit(client, alice, desk)).json()
    other = await make_desk(deps, charlie)
    answer = await submit(client, charlie, other, input_file_id=str(first["input_file_id"]))
    assert (answer.status, answer.json()["code"]) == (404, "not_found")


async def test_submit_when_no_file_comes_then_says_so(
    deps: Deps, client: Api, alice: Person, desk: Desk
) -> None:
    form = aiohttp.FormData()
    form.add_field("service_id", str(desk.service.id))
    form.add_field("reference_panel_id", str(desk.panel.id))
    form.add_field("input_file", b"", filename="")
    answer = await client.post("/jobs", as_=alice, data=form)
    assert (answer.status, answer.json()["code"]) == (400, "missing_field")


async def test_submit_when_the_file_comes_as_text_then_says_how_to_send_it(
    client: Api, alice: Person, desk: Desk
) -> None:
    form = aiohttp.FormData()
    form.add_field("input_file", "chr20.vcf.gz")
    form.add_field("x", b"", filename="")
    answer = await client.post("/jobs", as_=alice, data=form)
    assert answer.json()["code"] == "not_a_file"
    assert "@" in answer.json()["action"]


async def test_submit_when_nobody_is_signed_in_then_is_refused(client: Api, desk: Desk) -> None:
    assert (await client.post("/jobs", data=job_form(desk))).status == 401


class TestQuotas:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(
            settings,
            max_open_jobs_per_user=2,
            max_stored_bytes_per_user=3_000,
            max_file_bytes=2_500,
            max_files_per_job=3,
        )

    async def test_submit_when_enough_jobs_are_open_then_refuses_until_one_ends(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        job = await submitted(deps, client, alice, desk)
        await submitted(deps, client, alice, desk)
        answer = await submit(client, alice, desk)
        assert (answer.status, answer.json()["code"]) == (403, "job_quota")
        await finish(deps, job)
        await submitted(deps, client, alice, desk)

    async def test_submit_when_the_users_storage_is_full_then_refuses(
        self, deps: Deps, client: Api, alice: Person, bob: Person, desk: Desk
    ) -> None:
        await submitted(deps, client, alice, desk)
        await deps.pool.execute("update files set size_bytes = 3000 - 10")
        answer = await submit(client, alice, desk)
        assert (answer.status, answer.json()["code"]) == (403, "storage_quota")
        assert len(await stored_paths(deps)) == 1
        await submitted(deps, client, bob, await make_desk(deps, bob))

    async def test_submit_when_a_file_is_too_large_then_refuses(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        answer = await submit(client, alice, desk, genotypes() + bytes(2_500))
        assert (answer.status, answer.json()["code"]) == (413, "file_too_large")
        await nothing_is_left(deps)

    async def test_submit_when_there_are_too_many_files_then_refuses(
        self, deps: Deps, client: Api, alice: Person, desk: Desk
    ) -> None:
        answer = await submit(client, alice, desk, *[genotypes()] * 4)
        assert (answer.status, answer.json()["code"]) == (400, "too_many_files")
        await nothing_is_left(deps)


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
