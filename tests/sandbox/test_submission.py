"""What the submit call does with a form: its rules, and its refusals, which come after the upload."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig
from tests.sandbox.support import User, files, messages, serving, stored_jobs, unzip
from tests.sandbox.vcf import write_vcf

Server = tuple[web.Application, str]


async def test_submit_when_right_then_cloudgene_wrapper_with_an_id(user: User, vcf: Path) -> None:
    status, body = await user.post([vcf])
    assert status == 200
    assert body["success"] is True
    assert body["message"] == "Your job was successfully added to the job queue."
    assert body["id"].startswith("job-")
    assert len(body["id"]) == len("job-20251007-100555-083")


@pytest.mark.parametrize("app", ["imputationserver2@2.0.12", "imputationserver2%402.0.12"])
async def test_submit_when_app_has_its_version_then_accepted(
    user: User, vcf: Path, app: str
) -> None:
    job = await user.finish((await user.post([vcf], app=app))[1]["id"])
    assert job["application"] == "Genotype Imputation 2.0.12"
    assert job["applicationId"].startswith("imputationserver2")


@pytest.mark.parametrize("app", ["imputationserver2@9.9", "minimac4", "h3africa-sandbox"])
async def test_submit_when_app_is_unknown_then_404(user: User, vcf: Path, app: str) -> None:
    status, body = await user.post([vcf], app=app)
    assert (status, body) == (404, {"success": False, "message": f"Application '{app}' not found."})


async def test_submit_when_no_app_in_path_then_405(user: User, vcf: Path) -> None:
    status, body = await user.call("POST", "/api/v2/jobs/submit", data=user.form([vcf], {}))
    assert status == 405
    assert body["message"] == "Method Not Allowed"


async def test_submit_when_not_multipart_then_415(user: User) -> None:
    status, body = await user.call("POST", "/api/v2/jobs/submit/imputationserver2", json={})
    assert status == 415
    assert "multipart/form-data" in body["_embedded"]["errors"][0]["message"]


@pytest.mark.parametrize("token", [None, "garbage"])
async def test_submit_when_not_signed_in_then_401_and_no_job(
    user: User, server: Server, vcf: Path, token: str | None
) -> None:
    status, _ = await user.post([vcf], token=token)
    assert status == 401
    assert stored_jobs(server[0]) == 0


async def test_submit_when_prefixed_with_input_then_prefix_is_dropped(
    user: User, vcf: Path
) -> None:
    data = aiohttp.FormData()
    for name, value in (("refpanel", "h3africa-sandbox"), ("population", "AFR")):
        data.add_field(f"input-{name}", value)
    data.add_field("input-files", vcf.read_bytes(), filename=vcf.name)
    _, body = await user.call("POST", "/api/v2/jobs/submit/imputationserver2", data=data)
    job = await user.finish(body["id"])
    assert job["state"] == 4
    assert job["name"] == job["id"], "without a job-name the name is the id"


@pytest.mark.parametrize("field", ["pgscores", "input-pgscores"])
async def test_submit_when_field_is_unknown_then_400_naming_it(
    user: User, server: Server, vcf: Path, field: str
) -> None:
    status, body = await user.post([vcf], **{field: "x"})
    assert (status, body) == (
        400,
        {"success": False, "message": "Parameter 'pgscores' not found."},
    )
    assert stored_jobs(server[0]) == 0


async def test_submit_when_field_ends_in_pattern_then_tolerated(user: User, vcf: Path) -> None:
    assert (await user.post([vcf], **{"files-pattern": "*.vcf.gz"}))[0] == 200


async def test_submit_when_text_holds_markup_then_escaped_before_use(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf, job_name="a<b>&\"é☃'"))
    assert job["name"] == "a&lt;b&gt;&amp;&quot;&eacute;&#9731;'"


async def test_submit_when_password_holds_markup_then_archive_opens_with_the_escaped_one(
    user: User, vcf: Path
) -> None:
    job = await user.finish(await user.submit(vcf, password="a&b<c"))
    archive = await user.fetch(job, "chr_20.zip")
    assert "chr20.dose.vcf.gz" in unzip(archive, "a&amp;b&lt;c")


@pytest.mark.parametrize(
    ("given", "printed", "used"),
    [
        ("007", "7", "7"),
        ("1e5", "100000.0", "100000.0"),
        ("TRUE", "true", "true"),
        ("ab$x9 cd", "ab$x9 cd", "ab cd"),
        (r"ab\$cd", r"ab\$cd", "ab$cd"),
        ("ab`id`cd", "ab`id`cd", "abcd"),
    ],
)
async def test_submit_when_password_is_a_trap_then_printed_and_used_differ_as_on_servers(
    user: User, vcf: Path, given: str, printed: str, used: str
) -> None:
    job = await user.finish(await user.submit(vcf, password=given))
    assert messages(job, group="Summary")[-1].endswith(f"<b>{printed}</b>")
    assert unzip(await user.fetch(job, "chr_20.zip"), used)


async def test_submit_when_password_is_absent_then_random_one_is_printed_and_opens(
    user: User, vcf: Path
) -> None:
    job = await user.finish(await user.submit(vcf, password=None))
    last = messages(job, group="Summary")[-1]
    password = last.partition("<b>")[2].partition("</b>")[0]
    assert len(password) == 14
    assert unzip(await user.fetch(job, "chr_20.zip"), password)


async def test_submit_when_mail_is_on_then_password_is_not_printed(
    config: SandboxConfig, user: User, vcf: Path
) -> None:
    async with serving(replace(config, print_password=False)) as (_, base):
        other = User(user.session, base, user.token)
        job = await other.finish(await other.submit(vcf))
        assert "fi-secret" not in json.dumps(job["steps"])


@pytest.mark.parametrize("value", ["no", "false", "0", ""])
async def test_submit_when_checkbox_is_sent_with_any_value_then_on(
    user: User, vcf: Path, value: str
) -> None:
    job = await user.finish(await user.submit(vcf, meta=value, aesEncryption=value))
    archive = await user.fetch(job, "chr_20.zip")
    assert archive[8:10] == b"\x63\x00", "compression method 99 is AES"
    assert set(unzip(archive, "fi-secret")) == {
        "chr20.dose.vcf.gz",
        "chr20.info.gz",
        "chr20.empiricalDose.vcf.gz",
    }


async def test_submit_when_checkbox_is_left_out_then_off(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    archive = await user.fetch(job, "chr_20.zip")
    assert archive[8:10] == b"\0\0"
    assert archive[6] & 1, "encrypted nevertheless"
    assert set(unzip(archive, "fi-secret")) == {"chr20.dose.vcf.gz", "chr20.info.gz"}


async def test_submit_when_text_field_is_repeated_then_first_wins(user: User, vcf: Path) -> None:
    data = user.form([vcf], {"job-name": "first"})
    data.add_field("job-name", "second")
    _, body = await user.call("POST", "/api/v2/jobs/submit/imputationserver2", data=data)
    assert (await user.finish(body["id"]))["name"] == "first"


async def test_submit_when_fields_follow_the_files_then_they_count(user: User, vcf: Path) -> None:
    data = aiohttp.FormData()
    data.add_field("files", vcf.read_bytes(), filename=vcf.name)
    for name, value in (("refpanel", "apps@agvp-sandbox"), ("population", "off")):
        data.add_field(name, value)
    _, body = await user.call("POST", "/api/v2/jobs/submit/imputationserver2", data=data)
    job = await user.finish(body["id"])
    assert "Reference Panel: agvp-sandbox (hg19)" in messages(job)[0]


async def test_submit_when_two_files_share_a_name_then_one_overwrites_the_other(
    user: User, tmp_path: Path
) -> None:
    first = write_vcf(tmp_path / "chr20.vcf.gz")
    (tmp_path / "other").mkdir()
    second = write_vcf(tmp_path / "other" / "chr20.vcf.gz", chromosome="21")
    job = await user.finish(await user.submit(first, second))
    assert "Chromosomes: 21" in messages(job)[0]


async def test_submit_when_several_chromosomes_then_an_archive_for_each(
    user: User, tmp_path: Path
) -> None:
    paths = [write_vcf(tmp_path / f"c{c}.vcf.gz", chromosome=c) for c in ("1", "2", "22")]
    job = await user.finish(await user.submit(*paths))
    assert {f"chr_{c}.zip" for c in ("1", "2", "22")} <= set(files(job))


@pytest.mark.parametrize("name", ["../../evil.vcf.gz", "..\\evil.vcf.gz", "/etc/evil.vcf.gz"])
async def test_submit_when_file_name_climbs_then_only_its_last_part_counts(
    user: User, config: SandboxConfig, vcf: Path, name: str
) -> None:
    data = user.form([], {})
    data.add_field("files", vcf.read_bytes(), filename=name)
    _, body = await user.call("POST", "/api/v2/jobs/submit/imputationserver2", data=data)
    assert (await user.finish(body["id"]))["state"] == 4
    found = list(config.data_dir.parent.rglob("evil.vcf.gz"))
    assert found == [config.data_dir / "jobs" / body["id"] / "input" / "evil.vcf.gz"]


async def test_submit_when_no_user_agent_then_400_with_a_bare_java_text(
    user: User, server: Server, vcf: Path
) -> None:
    async with aiohttp.ClientSession(skip_auto_headers={"User-Agent"}) as session:
        status, body = await User(session, user.base, user.token).post([vcf])
    assert status == 400
    assert isinstance(body, str)
    assert body.startswith("java.lang.NullPointerException")
    assert stored_jobs(server[0]) == 0


async def test_submit_when_panel_is_wrong_then_200_and_failed_at_once_without_steps(
    user: User, vcf: Path
) -> None:
    status, body = await user.post([vcf], refpanel="apps@hrc-r1.1@2.0.0")
    assert status == 200
    job = await user.job(body["id"])
    assert (job["state"], job["steps"], job["outputParams"]) == (5, [], [])
    _, log = await user.get(f"/logs/{body['id']}")
    assert "Application apps@hrc-r1.1@2.0.0 is not installed or wrong permissions." in log


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"refpanel": None}, "Parameter refpanel is required."),
        ({"phasing": "shapeit"}, "For phasing, only options 'eagle', 'beagle' or 'no_phasing'"),
        ({"population": "eur"}, "Population 'eur' is not supported by reference panel"),
        ({"population": ""}, "Expected parameter for option '--population'"),
        ({"build": "hg38"}, "This is not a valid hg38 encoding."),
        ({"build": "hg17"}, "Chain file hg17ToHg19.over.chain.gz not found."),
        ({"phasing": "no_phasing"}, "Your input data is unphased."),
    ],
)
async def test_submit_when_an_option_is_wrong_then_200_and_the_job_fails_with_type_1_messages(
    user: User, vcf: Path, change: dict[str, str | None], message: str
) -> None:
    job = await user.finish(await user.submit(vcf, **change))
    assert job["state"] == 5
    errors = messages(job, level=1)
    assert message in errors[0]
    assert errors[-1] == "Imputation job failed."
    assert [s["name"] for s in job["steps"]] == [
        "Input Validation",
        "Quality Control",
        "Phasing and Imputation",
        "Summary",
    ]


async def test_submit_when_options_are_left_out_then_defaults_of_the_form(
    user: User, vcf: Path
) -> None:
    left_out = dict.fromkeys(["build", "phasing", "mode", "job-name", "population"])
    job = await user.finish(await user.submit(vcf, **{**left_out, "refpanel": "h3africa-sandbox"}))
    text = messages(job)[0]
    assert "Build: hg19" in text
    assert "Phasing: eagle" in text
    assert "Population: off" in text


@pytest.mark.parametrize("mode", ["qc_only", "qconly", "phasing", "nonsense"])
async def test_submit_when_mode_is_not_imputation_then_quality_control_only(
    user: User, vcf: Path, mode: str
) -> None:
    job = await user.finish(await user.submit(vcf, mode=mode))
    assert job["state"] == 4
    assert set(files(job)) == {"qc_report.txt", "quality-control.html"}


async def test_submit_when_files_are_not_named_vcf_gz_then_not_seen(
    user: User, vcf: Path, tmp_path: Path
) -> None:
    other = tmp_path / "chr20.VCF.GZ"
    other.write_bytes(vcf.read_bytes())
    job = await user.finish(await user.submit(other))
    assert job["state"] == 5
    assert messages(job, level=1)[0] == "No vcf.gz input files detected."


async def test_submit_when_no_files_then_200_and_failed(user: User) -> None:
    job = await user.finish(await user.submit())
    assert messages(job, level=1)[0] == "No vcf.gz input files detected."


async def test_submit_when_quota_is_full_then_400_after_the_upload(
    user: User, server: Server, config: SandboxConfig, vcf: Path
) -> None:
    await user.faults(quota=2, run_s=30)
    for _ in range(2):
        await user.submit(vcf)
    status, body = await user.post([vcf])
    assert status == 400
    assert body["message"] == "Only 2 jobs per user can be executed simultaneously."
    stats = await user.stats()
    assert (stats["uploads"], stats["jobs"]) == (3, 2)
    assert list((config.data_dir / "uploads").iterdir()) == []
    assert (await user.post([vcf], token="bob-token"))[0] == 200, "the quota is each user's own"


async def test_submit_when_job_name_is_too_long_then_job_is_lost_once_it_ends(
    user: User, vcf: Path
) -> None:
    await user.faults(run_s=0.3)
    job_id = await user.submit(vcf, job_name="x" * 301)
    assert (await user.job(job_id))["state"] in {1, 2}
    async with asyncio.timeout(5):
        while (await user.get(f"/api/v2/jobs/{job_id}"))[0] != 404:
            assert (await user.get("/api/v2/jobs"))[1]["data"] == []
            await asyncio.sleep(0.02)


async def test_submit_when_many_at_once_then_every_id_is_its_own(user: User, vcf: Path) -> None:
    ids = await asyncio.gather(*(user.submit(vcf, job_name=f"fi-{i}") for i in range(32)))
    assert len(set(ids)) == 32
    jobs = await asyncio.gather(*map(user.finish, ids))
    assert {j["state"] for j in jobs} == {4}
    assert set((await user.stats())["jobs_by_name"].values()) == {1}
