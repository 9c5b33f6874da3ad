"""The fault switches and their side door: each does what it says, and only that."""

import asyncio
import io
import json
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from stream_unzip import UnzipError

from app.sandbox.config import SandboxConfig
from app.sandbox.faults import NAMES, FaultBox, Faults, parse_faults
from app.sandbox.tokens import issue_token
from tests.sandbox.support import User, files, messages, serving, stored_jobs, unzip

Server = tuple[web.Application, str]


async def test_side_door_when_asked_then_every_switch_and_its_default(user: User) -> None:
    status, body = await user.get("/sandbox/faults", token=None)
    assert status == 200
    assert set(body) == NAMES
    assert not any(v for k, v in body.items() if k not in {"only", "redirect_api_to", "seed"})


def test_faults_when_listed_then_each_is_described_in_the_docstring() -> None:
    told = Faults.__doc__ or ""
    for name in NAMES - {"seed", "redirect_api_to"}:
        assert name.removesuffix("_n").removesuffix("_p") in told, name


async def test_side_door_when_put_then_replaces_and_patch_then_merges(user: User) -> None:
    await user.faults(delay_s=0.01, run_s=0.02)
    _, body = await user.call("PATCH", "/sandbox/faults", json={"run_s": 0.5})
    assert (body["delay_s"], body["run_s"]) == (0.01, 0.5)
    _, body = await user.call("PUT", "/sandbox/faults", json={})
    assert (body["delay_s"], body["run_s"]) == (0, 0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"maintenanc": True}, "maintenanc"),
        ({"maintenance": "yes"}, "maintenance"),
        ({"reject_all": 404}, "reject_all"),
        ({"answer": "nonsense"}, "answer"),
    ],
)
async def test_side_door_when_switch_is_wrong_then_400_naming_it_and_nothing_changes(
    user: User, body: dict[str, Any], told: str
) -> None:
    status, answer = await user.call("PUT", "/sandbox/faults", json=body)
    assert status == 400
    assert told in answer["error"]
    assert (await user.get("/api/v2/jobs"))[0] == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
async def test_side_door_when_body_is_not_an_object_then_400(user: User, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    status, _ = await user.call("PUT", "/sandbox/faults", data=body, headers=headers)
    assert status == 400


async def test_side_door_when_body_is_not_declared_json_then_415(user: User) -> None:
    status, _ = await user.call("PUT", "/sandbox/faults", data=b'{"maintenance": true}')
    assert status == 415
    assert (await user.get("/api/v2/jobs"))[0] == 200


async def test_side_door_when_locked_then_wants_its_key(config: SandboxConfig, user: User) -> None:
    async with serving(replace(config, control_token="open-sesame")) as (_, base):
        user = User(user.session, base, user.token)
        for path in ("faults", "stats", "jobs"):
            assert (await user.get(f"/sandbox/{path}"))[0] == 403
        headers = {"X-Sandbox-Token": "open-sesame"}
        assert (await user.get("/sandbox/stats", headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("host", "control", "there"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("example.org", None, False),
        ("0.0.0.0", True, True),
        ("127.0.0.1", False, False),
    ],
)
async def test_side_door_when_host_is_not_loopback_then_absent_unless_asked_for(
    config: SandboxConfig, user: User, host: str, control: bool | None, there: bool
) -> None:
    async with serving(replace(config, host=host, control=control)) as (_, base):
        user = User(user.session, base, user.token)
        assert (await user.get("/sandbox/stats"))[0] == (200 if there else 404)


async def test_stats_when_things_happen_then_counted(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf, job_name="fi-42"))
    await user.fetch(job, "chr_20.zip")
    await user.fetch(job, "chr_20.zip")
    stats = await user.stats()
    assert stats["engine"] == "instant"
    assert stats["jobs_by_name"] == {"fi-42": 1}
    assert stats["downloads"] == {f"{job['id']}/chr_20.zip": 2}
    assert (stats["uploads"], stats["upload_bytes"]) == (1, vcf.stat().st_size)
    assert stats["requests"]["POST /api/v2/jobs/submit/{app}"] == 1
    assert not any("sandbox" in route for route in stats["requests"])


async def test_side_door_when_jobs_are_listed_then_no_password(user: User, vcf: Path) -> None:
    await user.finish(await user.submit(vcf))
    _, rows = await user.get("/sandbox/jobs")
    assert (rows[0]["user"], rows[0]["files"]) == ("alice", ["chr20.vcf.gz"])
    assert "fi-secret" not in json.dumps(rows)


async def test_state_when_forced_on_unknown_job_or_to_nonsense_then_refused(
    user: User, vcf: Path
) -> None:
    assert (await user.call("POST", "/sandbox/jobs/job-1/state", json={"state": 4}))[0] == 404
    job_id = await user.submit(vcf)
    for body in ({"state": 42}, {"state": "x"}, {}):
        assert (await user.call("POST", f"/sandbox/jobs/{job_id}/state", json=body))[0] == 400


# HTTP


async def test_maintenance_when_on_then_503_in_cloudgenes_shape_but_server_answers(
    user: User, server: Server, vcf: Path
) -> None:
    job = await user.finish(await user.submit(vcf))
    await user.faults(maintenance=True)
    for path in ("/api/v2/jobs", f"/api/v2/jobs/{job['id']}", "/api/v2/server/apps/x"):
        status, body = await user.get(path)
        assert (status, body) == (
            503,
            {"success": False, "message": "This functionality is currently under maintenance."},
        )
    assert (await user.post([vcf]))[0] == 503
    assert stored_jobs(server[0]) == 1
    status, body = await user.get("/api/v2/server", token=None)
    assert (status, body["maintenace"]) == (200, True)
    assert (await user.get("/api/v2/server/counters", token=None))[0] == 200
    assert (await user.get("/api/v2/jobs", token="admin-token"))[0] == 200
    assert await user.fetch(job, "chr_20.zip")


@pytest.mark.parametrize(("code", "message"), [(401, "Unauthorized"), (403, "Forbidden")])
async def test_reject_all_when_on_then_that_status_in_the_frameworks_shape(
    user: User, code: int, message: str
) -> None:
    await user.faults(reject_all=code)
    for path in ("/api/v2/jobs", "/api/v2/server"):
        status, body = await user.get(path)
        assert (status, body["message"]) == (code, message)


async def test_delay_when_on_then_answers_take_as_long(user: User) -> None:
    await user.faults(delay_s=0.2)
    begun = time.monotonic()
    await user.get("/api/v2/jobs")
    assert time.monotonic() - begun >= 0.2


async def test_answer_when_html_502_then_a_proxys_page(user: User) -> None:
    await user.faults(answer="html_502")
    status, text = await user.get("/api/v2/jobs")
    assert status == 502
    assert text.startswith("<html>")


async def test_answer_when_garbage_or_empty_then_200_that_is_no_json(user: User) -> None:
    for kind in ("garbage_json", "empty"):
        await user.faults(answer=kind)
        async with user.session.get(user.base + "/api/v2/jobs") as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            with pytest.raises(ValueError, match=r"."):
                json.loads(await response.read())


async def test_answer_when_endless_then_more_than_anyone_should_read(user: User) -> None:
    await user.faults(answer="endless_json")
    async with user.session.get(user.base + "/api/v2/jobs") as response:
        assert response.content_length is None
        read = 0
        while read < 8 * 1024 * 1024:
            read += len(await response.content.readany())
        response.close()
    assert (await user.stats())["jobs"] == 0, "the server lives on"


async def test_answer_when_redirect_then_to_the_other_host_with_the_path(user: User) -> None:
    await user.faults(answer="redirect", redirect_api_to="http://evil.example/x/")
    async with user.session.get(
        user.base + "/api/v2/jobs?page=1", allow_redirects=False
    ) as response:
        assert response.status == 302
        assert response.headers["Location"] == "http://evil.example/x/api/v2/jobs?page=1"


async def test_faults_when_only_names_a_prefix_then_other_paths_are_healthy(user: User) -> None:
    await user.faults(answer="html_502", only="/api/v2/server")
    assert (await user.get("/api/v2/server"))[0] == 502
    assert (await user.get("/api/v2/jobs"))[0] == 200


async def test_drop_answer_when_counted_then_that_many_connections_end_without_one(
    user: User,
) -> None:
    await user.faults(drop_answer_n=2)
    for _ in range(2):
        with pytest.raises(aiohttp.ClientConnectionError):
            await user.call("POST", "/api/v2/tokens/verify", data={"token": "x"})
    assert (await user.get("/api/v2/jobs"))[0] == 200
    assert (await user.get("/sandbox/faults"))[1]["drop_answer_n"] == 0


# Submission


async def test_submit_answer_when_lost_then_exactly_one_job_is_there_under_its_name(
    user: User, vcf: Path
) -> None:
    await user.faults(lose_submit_answer_n=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await user.post([vcf], job_name="fi-lost")
    _, body = await user.get("/api/v2/jobs?page=1")
    assert [j["name"] for j in body["data"]] == ["fi-lost"]
    assert (await user.finish(body["data"][0]["id"]))["state"] == 4
    stats = await user.stats()
    assert (stats["jobs_by_name"], stats["answers_lost"]) == ({"fi-lost": 1}, 1)
    assert (await user.post([vcf], job_name="fi-2"))[0] == 200


async def test_submit_when_dropped_before_reading_then_no_job(
    user: User, server: Server, vcf: Path
) -> None:
    await user.faults(drop_submit_n=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await user.post([vcf])
    assert stored_jobs(server[0]) == 0
    assert (await user.stats())["submissions_dropped"] == 1
    assert (await user.post([vcf]))[0] == 200


async def test_submit_when_token_was_replaced_then_hangs_as_long_as_told(
    user: User, config: SandboxConfig, vcf: Path
) -> None:
    issue_token(config, "alice")
    await user.faults(revoked_submit_hangs_s=30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await user.post([vcf])
    await user.faults()
    assert (await user.post([vcf]))[0] == 403


def test_chance_when_seeded_then_repeats_and_hits_about_as_often_as_asked() -> None:
    def draw() -> list[bool]:
        box = FaultBox(Faults(lose_submit_answer_p=0.3, seed=7))
        return [box.strikes("lose_submit_answer") for _ in range(1000)]

    assert draw() == draw()
    assert 250 < sum(draw()) < 350


def test_parse_faults_when_not_an_object_then_value_error() -> None:
    wrong: object
    for wrong in (None, [], "x", 1):
        with pytest.raises(ValueError, match="object"):
            parse_faults(wrong, Faults())


# Jobs and results


@pytest.mark.parametrize(
    ("error", "group", "text"),
    [
        ("strand_flips", "Quality Control", "More than 100 obvious strand flips"),
        ("allele_switches", "Quality Control", "More than 100 allele switches"),
        ("no_chunks", "Quality Control", "No chunks passed the QC step."),
        ("phasing", "Phasing and Imputation", "Phasing with Eagle failed"),
    ],
)
async def test_job_error_when_set_then_fails_in_the_servers_words_with_the_qc_files(
    user: User, vcf: Path, error: str, group: str, text: str
) -> None:
    await user.faults(job_error=error)
    job = await user.finish(await user.submit(vcf))
    assert job["state"] == 5
    assert text in messages(job, level=1, group=group)[0]
    assert messages(job, group="Summary") == ["Imputation job failed."]
    assert set(files(job)) == {"qc_report.txt", "quality-control.html"}
    report = (await user.fetch(job, "qc_report.txt")).decode()
    assert ("::group type=error::" in report) == (group == "Quality Control")


@pytest.mark.parametrize("aes", [False, True])
async def test_wrong_password_when_on_then_archive_does_not_open(
    user: User, vcf: Path, aes: bool
) -> None:
    await user.faults(wrong_password=True)
    job = await user.finish(await user.submit(vcf, aesEncryption="1" if aes else None))
    archive = await user.fetch(job, "chr_20.zip")
    with pytest.raises(UnzipError):
        unzip(archive, "fi-secret")
    assert unzip(archive, "fi-secret-not")


async def test_broken_zip_when_on_then_transfer_is_whole_but_archive_is_not(
    user: User, vcf: Path
) -> None:
    await user.faults(broken_zip=True)
    job = await user.finish(await user.submit(vcf))
    archive = await user.fetch(job, "chr_20.zip")
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(archive))


@pytest.mark.parametrize("aes", [None, "1"])
async def test_evil_zip_when_slip_then_members_climb(
    user: User, vcf: Path, aes: str | None
) -> None:
    await user.faults(evil_zip="slip")
    job = await user.finish(await user.submit(vcf, aesEncryption=aes))
    names = set(unzip(await user.fetch(job, "chr_20.zip"), "fi-secret"))
    assert {"../../../../sandbox-slip.txt", "/sandbox-slip.txt"} < names


async def test_evil_zip_when_bomb_then_small_archive_with_a_huge_member(
    user: User, vcf: Path
) -> None:
    await user.faults(evil_zip="bomb")
    job = await user.finish(await user.submit(vcf))
    archive = await user.fetch(job, "chr_20.zip")
    sizes = {i.filename: i.file_size for i in zipfile.ZipFile(io.BytesIO(archive)).infolist()}
    assert max(sizes.values()) > 500 * len(archive)


async def test_truncate_download_when_counted_then_transfer_breaks_and_costs_one(
    user: User, vcf: Path
) -> None:
    job = await user.finish(await user.submit(vcf))
    await user.faults(truncate_download_n=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await user.fetch(job, "chr_20.zip")
    assert unzip(await user.fetch(job, "chr_20.zip"), "fi-secret")
    assert files(await user.job(job["id"]))["chr_20.zip"]["count"] == 8


async def test_counter_when_exhausted_then_400_for_all(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    await user.faults(counter_exhausted=True)
    digest = files(job)["qc_report.txt"]["hash"]
    status, body = await user.get(f"/share/results/{digest}/qc_report.txt")
    assert (status, body["message"]) == (400, "number of max downloads exceeded.")


async def test_download_rate_when_set_then_slow(user: User, vcf: Path) -> None:
    job = await user.finish(await user.submit(vcf))
    size = len(await user.fetch(job, "chr_20.zip"))
    await user.faults(download_bytes_per_s=size * 4)
    begun = time.monotonic()
    await user.fetch(job, "chr_20.zip")
    assert time.monotonic() - begun >= 0.25
