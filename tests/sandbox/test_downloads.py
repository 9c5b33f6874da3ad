"""Downloads: four ways to a file, a counter, chunks without length; and the bare object store."""

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.support import User, files, unzip


async def finished(user: User, vcf: Path) -> dict[str, Any]:
    return await user.finish(await user.submit(vcf))


async def count(user: User, job: dict[str, Any], name: str = "chr_20.zip") -> int:
    left: int = files(await user.job(job["id"]))[name]["count"]
    return left


async def test_download_when_fetched_by_its_four_urls_then_same_bytes_without_a_token(
    user: User, vcf: Path
) -> None:
    job = await finished(user, vcf)
    output, digest = job["outputParams"][0]["hash"], files(job)["chr_20.zip"]["hash"]
    bodies = []
    for path in (
        f"/share/results/{digest}/chr_20.zip",
        f"/downloads/{job['id']}/{digest}/chr_20.zip",
        f"/browse/{output}/chr_20.zip",
    ):
        async with user.session.get(user.base + path) as response:
            assert response.status == 200
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert not {"Content-Length", "ETag", "Accept-Ranges"} & set(response.headers)
            bodies.append(await response.read())
    assert len(set(bodies)) == 1
    assert "chr20.dose.vcf.gz" in unzip(bodies[0], "fi-secret")
    script = (await user.get(f"/get/{output}", token=None))[1]
    assert script.startswith("#!/bin/bash")
    assert f"curl -L {user.base}/share/results/{digest}/chr_20.zip" in script
    assert await count(user, job) == 7


async def test_download_when_range_is_asked_then_whole_file(user: User, vcf: Path) -> None:
    job = await finished(user, vcf)
    path = f"{user.base}/share/results/{files(job)['chr_20.zip']['hash']}/chr_20.zip"
    async with user.session.get(path, headers={"Range": "bytes=10-"}) as response:
        assert response.status == 200
        assert "Content-Range" not in response.headers
        assert (await response.read())[:2] == b"PK"


async def test_download_when_head_then_costs_one(user: User, vcf: Path) -> None:
    job = await finished(user, vcf)
    path = f"{user.base}/share/results/{files(job)['chr_20.zip']['hash']}/chr_20.zip"
    async with user.session.head(path) as response:
        assert response.status == 200
        assert "Content-Length" not in response.headers
    assert await count(user, job) == 9


async def test_download_when_fetched_ten_times_then_400(user: User, vcf: Path) -> None:
    job = await finished(user, vcf)
    for _ in range(10):
        await user.fetch(job, "qc_report.txt")
    digest = files(job)["qc_report.txt"]["hash"]
    status, body = await user.get(f"/share/results/{digest}/qc_report.txt", token=None)
    assert (status, body) == (
        400,
        {"success": False, "message": "number of max downloads exceeded."},
    )
    assert await count(user, job, "qc_report.txt") == 0
    assert await count(user, job) == 10, "each file has a counter of its own"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/share/results/nohash/chr_20.zip", "download not found."),
        ("/downloads/{id}/nohash/chr_20.zip", "download not found."),
        ("/downloads/job-1/nohash/chr_20.zip", "Job job-1 not found."),
        ("/browse/nohash/chr_20.zip", "Param for hash nohash not found."),
        ("/browse/{output}/nothing.zip", "download not found."),
        ("/browse/{output}/../../job.json", ""),
        ("/get/nohash", "Param for hash nohash not found."),
    ],
)
async def test_download_when_unknown_then_404(
    user: User, vcf: Path, path: str, message: str
) -> None:
    job = await finished(user, vcf)
    path = path.format(id=job["id"], output=job["outputParams"][0]["hash"])
    status, body = await user.get(path)
    assert status == 404
    if message:
        assert body == {"success": False, "message": message}


async def test_download_when_name_differs_then_hash_decides(user: User, vcf: Path) -> None:
    job = await finished(user, vcf)
    digest = files(job)["qc_report.txt"]["hash"]
    status, text = await user.get(f"/share/results/{digest}/anything")
    assert status == 200
    assert "Reference Overlap" in text


async def test_download_when_redirected_then_301_costs_one_and_object_has_length_and_ranges(
    user: User, vcf: Path
) -> None:
    job = await finished(user, vcf)
    whole = await user.fetch(job, "chr_20.zip")
    await user.faults(redirect_downloads_to="self")
    path = f"{user.base}/share/results/{files(job)['chr_20.zip']['hash']}/chr_20.zip"
    async with user.session.get(path, allow_redirects=False) as response:
        assert response.status == 301
        link = response.headers["Location"]
    assert link.startswith("http://localhost:"), "another host than 127.0.0.1"
    async with user.session.get(link) as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) == len(whole)
        assert response.headers["ETag"]
        assert await response.read() == whole
    async with user.session.get(link, headers={"Range": "bytes=10-19"}) as response:
        assert response.status == 206
        assert await response.read() == whole[10:20]
    assert await count(user, job) == 8
    assert (await user.stats())["leaked_tokens"] == 0
    async with user.session.get(link, headers={"X-Auth-Token": "alice-token"}) as response:
        await response.read()
    assert (await user.stats())["leaked_tokens"] == 1


async def test_object_when_link_is_changed_then_403(user: User, vcf: Path) -> None:
    job = await finished(user, vcf)
    await user.faults(redirect_downloads_to=user.base)
    path = f"{user.base}/share/results/{files(job)['chr_20.zip']['hash']}/chr_20.zip"
    async with user.session.get(path, allow_redirects=False) as response:
        link = response.headers["Location"]
    expires = link.split("/s3/")[1].split("/")[1]
    for wrong in (
        link.replace("chr_20.zip", "qc_report.txt"),
        link.replace(expires, str(int(expires) + 1)),
        link.replace("chr_20.zip", "..%2Fjob.json"),
    ):
        async with user.session.get(wrong) as response:
            assert response.status == 403
