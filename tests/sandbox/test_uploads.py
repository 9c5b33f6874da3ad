"""Bodies that are too large, broken, or cut off; nothing of them may stay."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from app.sandbox.config import SandboxConfig
from tests.sandbox.support import User, serving, stored_jobs

Server = tuple[web.Application, str]


async def test_submit_when_body_is_over_the_limit_then_413(
    config: SandboxConfig, user: User, vcf: Path
) -> None:
    async with serving(replace(config, upload_limit_bytes=1000)) as (app, base):
        status, body = await User(user.session, base, user.token).post([vcf])
        assert status == 413
        assert body["message"] == "Request Entity Too Large"
        assert stored_jobs(app) == 0
        assert list((config.data_dir / "uploads").iterdir()) == []


async def test_submit_when_body_without_length_is_over_the_limit_then_413(
    config: SandboxConfig, user: User
) -> None:
    async def endless() -> AsyncGenerator[bytes, None]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.vcf.gz"\r\n\r\n'
        for _ in range(1000):
            yield bytes(100_000)

    async with serving(replace(config, upload_limit_bytes=1_000_000)) as (_, base):
        headers = {"X-Auth-Token": user.token, "Content-Type": "multipart/form-data; boundary=b"}
        try:
            async with user.session.post(
                f"{base}/api/v2/jobs/submit/imputationserver2", data=endless(), headers=headers
            ) as response:
                assert response.status == 413
        except aiohttp.ClientOSError:
            pass  # a reset in the middle of the upload is what real servers give, too
        assert list((config.data_dir / "uploads").iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing of the kind",
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.vcf.gz"\r\n\r\nabc',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="files"; filename=".."\r\n\r\nabc\r\n--b--\r\n',
    ],
)
async def test_submit_when_multipart_is_broken_then_400_and_nothing_left(
    user: User, config: SandboxConfig, server: Server, body: bytes
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    status, _ = await user.call(
        "POST", "/api/v2/jobs/submit/imputationserver2", data=body, headers=headers
    )
    assert status == 400
    assert stored_jobs(server[0]) == 0
    assert list((config.data_dir / "uploads").iterdir()) == []


async def test_submit_when_client_goes_away_then_no_job_and_nothing_left(
    user: User, config: SandboxConfig, server: Server
) -> None:
    host, _, port = user.base.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        "POST /api/v2/jobs/submit/imputationserver2 HTTP/1.1\r\nHost: x\r\n"
        f"X-Auth-Token: {user.token}\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.vcf.gz"\r\n\r\nabc'
    )
    writer.write(head.encode())
    await writer.drain()
    uploads = config.data_dir / "uploads"
    async with asyncio.timeout(5):
        while not list(uploads.iterdir()):
            await asyncio.sleep(0.01)
        writer.close()
        while list(uploads.iterdir()):
            await asyncio.sleep(0.01)
    assert stored_jobs(server[0]) == 0
