"""Submissions over HTTP that are refused: each says why and what to do, and leaves nothing behind."""

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from app.settings import Settings
from app.usecases.deps import Deps
from tests.genotypes.vcf_files import bgzf, header, plain_gzip, record, vcf
from tests.support.api import Api
from tests.support.jobs import (
    Desk,
    finish,
    genotypes,
    job_form,
    make_desk,
    stored_paths,
    submit,
    submitted,
)
from tests.support.people import Person


async def nothing_is_left(deps: Deps) -> None:
    assert await deps.pool.fetchval("select count(*) from imputation_jobs") == 0
    assert await deps.pool.fetchval("select count(*) from files") == 0
    assert await stored_paths(deps) == []


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
