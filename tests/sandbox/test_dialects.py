"""The sandbox as the other members of the family: what a client of theirs meets."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.sandbox import tokens
from app.sandbox.config import SandboxConfig, SandboxUser
from tests.sandbox.support import User, files, serving, unzip
from tests.sandbox.vcf import write_vcf

APP2 = "imputationserver@1.7.3"
SIMPLE = {"refpanel": "h3africa", "build": "hg19", "phasing": "shapeit", "mode": "imputation"}


@asynccontextmanager
async def used(root: Path, **switches: Any) -> AsyncIterator[tuple[SandboxConfig, User]]:
    """A sandbox and a user of it with a real token."""
    config = SandboxConfig(
        data_dir=root,
        engine="instant",
        export_delay_s=0.0,
        demo_user=SandboxUser("alice"),
        **switches,
    )
    async with serving(config) as (_, url), aiohttp.ClientSession() as session:
        token = await asyncio.to_thread(tokens.issue_token, config, "alice")
        yield config, User(session, url, token)


async def send_simple(user: User, file: Path, token: str | None = "", **fields: str) -> tuple[int, Any]:  # fmt: skip
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in {**SIMPLE, **fields}.items():
        form.add_field(name, value)
    form.add_field("input-files", file.read_bytes(), filename=file.name)
    return await user.call("POST", "/api/v2/jobs/submit", data=form, token=token)


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    return write_vcf(tmp_path / "chr20.vcf.gz")


async def test_cloudgene2_when_a_token_is_bad_then_each_call_has_its_own_answer(
    tmp_path: Path, vcf: Path
) -> None:
    async with used(tmp_path / "s", dialect="cloudgene2") as (config, user):
        job_id = (await user.post([vcf], APP2))[1]["id"]
        old = user.token
        user.token = await asyncio.to_thread(tokens.issue_token, config, "alice")
        for bad in ("a.b.c", old, None):
            asked = [
                await user.get("/api/v2/jobs", token=bad),
                await user.get(f"/api/v2/jobs/{job_id}", token=bad),
                await user.get(f"/api/v2/server/apps/{APP2}", token=bad),
                await user.post([vcf], APP2, bad),
            ]
            assert [status for status, _ in asked] == [401, 403, 404, 404]
            assert "requires user authentication" in asked[2][1]["message"]
            server = await user.get("/api/v2/server", token=bad)
            assert (server[0], server[1]["loggedIn"], server[1]["apps"]) == (200, False, [])
        assert len((await user.get("/api/v2/jobs"))[1]) == 1


async def test_cloudgene2_when_read_then_its_own_signs(tmp_path: Path, vcf: Path) -> None:
    async with used(tmp_path / "s", dialect="cloudgene2") as (config, user):
        _, server = await user.get("/api/v2/server")
        assert "oauth" not in server
        assert server["apps"] == [{"id": APP2, "name": "Genotype Imputation"}]
        claims = json.loads(base64.urlsafe_b64decode(user.token.split(".")[1] + "=="))
        assert "exp" not in claims
        _, said = await user.call(
            "POST", "/api/v2/tokens/verify", data={"token": user.token}, token=None
        )
        assert (said["valid"], said["expire"]) == (True, claims["expire"])
        ended = await asyncio.to_thread(tokens.issue_token, config, "alice", 0)
        _, said = await user.call("POST", "/api/v2/tokens/verify", data={"token": ended}, token=None)  # fmt: skip
        assert not said["valid"]


async def test_cloudgene2_when_a_job_ends_then_its_page_alone_has_results_and_one_list_of_checksums(
    tmp_path: Path, vcf: Path
) -> None:
    async with used(tmp_path / "s", dialect="cloudgene2") as (_, user):
        status, made = await user.post([vcf], APP2, "", unknown="dropped")
        assert status == 200
        path = f"/api/v2/jobs/{made['id']}"
        job = await user.wait_until(made["id"], lambda seen: bool(seen["outputParams"]))
        assert (job["complete"], job["running"], job["progress"]) == (True, False, -1)
        _, short = await user.get(f"{path}/status")
        assert (short["state"], short["steps"], short["outputParams"]) == (4, [], [])
        local = next(param for param in job["outputParams"] if param["name"] == "local")
        assert {file["name"] for file in local["files"]} == {"chr_20.zip", "results.md5"}
        assert "count" not in local["files"][0]
        assert unzip(await user.fetch({"outputParams": [local]}, "chr_20.zip"), "fi-secret")
        digest = local["files"][0]["hash"]
        async with user.session.get(
            f"{user.base}/share/results/{digest}/chr_20.zip", headers={"Range": "bytes=0-3"}
        ) as part:
            assert (part.status, await part.read()) == (206, b"PK\x03\x04")
        assert (await user.get(f"{path}/cancel"))[0] == 404
        assert (await user.get(f"{path}/restart"))[0] == 401


async def test_topmed_when_a_job_ends_then_checksums_beside_and_links_elsewhere(
    tmp_path: Path, vcf: Path
) -> None:
    async with used(tmp_path / "s", topmed=True) as (_, user):
        job = await user.finish(await user.submit(vcf))
        listed = files(job)
        assert "chr_20.zip.md5" in listed
        path = f"/share/results/{listed['chr_20.zip']['hash']}/chr_20.zip"
        async with user.session.get(user.base + path, allow_redirects=False) as answer:
            assert answer.status == 301
            assert "//localhost:" in answer.headers["Location"]


async def test_simple_when_a_job_is_sent_then_words_and_one_plain_archive(
    tmp_path: Path, vcf: Path
) -> None:
    async with used(tmp_path / "s", dialect="simple") as (_, user):
        assert (await user.get("/api/v2/server"))[0] == 404
        assert (await user.get("/api/v2/jobs/submit"))[0] == 405
        status, made = await send_simple(user, vcf, population="AFR")
        assert (status, made["status"]) == (200, "waiting")
        path = f"/api/v2/jobs/{made['id']}"
        async with asyncio.timeout(20):
            while (shown := (await user.get(f"{path}/status"))[1])["status"] != "success":
                assert shown["status"] in {"waiting", "running"}, shown
                await asyncio.sleep(0.02)
        assert shown["progress"] == 100
        async with user.session.get(
            f"{user.base}{path}/results", headers={"X-Auth-Token": user.token}
        ) as answer:
            assert answer.status == 200
            archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
        assert archive.testzip() is None
        assert {"imputed.vcf.gz", "statistics.txt", "log.txt"} <= set(archive.namelist())
        async with user.session.post(
            f"{user.base}/sandbox/jobs/{made['id']}/state", json={"state": 7}
        ) as forced:
            assert forced.status == 200
        assert (await user.get(f"{path}/results"))[0] == 404


@pytest.mark.parametrize(
    "odd",
    [{"refpanel": "apps@h3africa"}, {"build": "hg17"}, {"phasing": "none"}, {"mode": "qconly"}, {"job-name": "x"}, {"password": "x"}],
)  # fmt: skip
async def test_simple_when_the_form_is_odd_then_400(
    tmp_path: Path, vcf: Path, odd: dict[str, str]
) -> None:
    async with used(tmp_path / "s", dialect="simple") as (_, user):
        assert (await send_simple(user, vcf, **odd))[0] == 400


async def test_simple_when_a_token_is_bad_then_401_when_replaced_then_403(
    tmp_path: Path, vcf: Path
) -> None:
    async with used(tmp_path / "s", dialect="simple") as (config, user):
        old = user.token
        user.token = await asyncio.to_thread(tokens.issue_token, config, "alice")
        for bad, expected in ((None, 401), ("h3a_x", 401), (old, 403)):
            assert (await send_simple(user, vcf, bad))[0] == expected
            assert (await user.get("/api/v2/jobs/none/status", token=bad))[0] == expected
        assert (await user.get("/api/v2/jobs/none/status"))[0] == 404
