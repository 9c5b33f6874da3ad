"""A batch through real processes: killed while it is sent, it is there once and whole; its jobs end each by itself."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from app.embedded import EmbeddedPostgres
from app.genotypes.testdata import write_test_files
from tests.e2e.processes import Scene
from tests.e2e.test_crash import FAST

BATCHES = 6


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small, valid input."""
    return write_test_files(tmp_path / "input", None)[0].path


async def _send(scene: Scene, targets: list[dict[str, Any]], file: Path, key: str) -> Any:
    """Send a batch until it is answered, always with the same key."""
    for _ in range(200):
        form = aiohttp.FormData()
        form.add_field("build", "hg19")
        form.add_field("name", key)
        form.add_field("targets", json.dumps(targets))
        form.add_field("input_file", file.read_bytes(), filename=file.name)
        try:
            answer = await scene.client.call(
                "POST", "/jobs", data=form, headers={"Idempotency-Key": key}
            )
        except (aiohttp.ClientError, OSError):
            await asyncio.sleep(0.1)
            continue
        if answer.get("status") != 503:
            return answer
        await asyncio.sleep(0.1)
    pytest.fail("the server did not come back")


async def test_batch_when_the_server_is_killed_while_it_is_sent_then_it_is_there_once_and_whole(
    tmp_path: Path, tiny: Path
) -> None:
    chance = random.Random(7)
    async with Scene(tmp_path, FAST, ["--engine", "instant", "--max-jobs", "0"]) as scene:
        service_id, _ = await scene.set_up_service(max_remote_jobs=None)
        panels = await scene.client.call("GET", f"/services/{service_id}/reference-panels")
        targets = [
            {"service_id": service_id, "reference_panel_id": panel["id"], "name": name}
            for panel, name in zip(panels, ("one", "other"), strict=False)
        ]
        for number in range(BATCHES):
            sending = asyncio.create_task(_send(scene, targets, tiny, f"batch-{number}"))
            await asyncio.sleep(chance.uniform(0.0, 0.9))
            await scene.server.kill()
            await scene.server.start()
            batch = await sending
            assert "jobs" in batch, batch
            assert [job["name"] for job in batch["jobs"]] == ["one", "other"]

        async with asyncio.timeout(90):
            while any(
                item["status"] == "open"
                for item in await scene.client.call("GET", "/batches", expect=200)
            ):
                await asyncio.sleep(0.3)
        batches = await scene.client.call("GET", "/batches", expect=200)
        assert sorted(item["name"] for item in batches) == [f"batch-{n}" for n in range(BATCHES)]
        assert {(item["status"], item["job_count"]) for item in batches} == {("completed", 2)}, (
            batches, scene.server.tail(),
        )  # fmt: skip
        jobs = await scene.client.call("GET", "/jobs?limit=500", expect=200)
        assert len(jobs) == 2 * BATCHES
        assert len(await scene.client.call("GET", "/files?kind=input&limit=500")) == BATCHES
        remote = (await scene.ask_sandbox("GET", "/sandbox/stats"))["jobs_by_name"]
        assert set(remote.values()) == {1}
        assert len(remote) == 2 * BATCHES


async def test_upload_when_its_server_is_killed_then_its_room_is_kept_until_it_expires(
    tmp_path: Path,
) -> None:
    settings = {**FAST, "FIP_MAX_STORED_BYTES_PER_USER": "1000000"}
    async with Scene(tmp_path, settings) as scene:
        await scene.sign_in()

        async def endless() -> Any:
            yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.vcf.gz"\r\n\r\n'
            await asyncio.sleep(300)

        headers = {
            "Content-Type": "multipart/form-data; boundary=B",
            "Content-Length": "900000",
        }
        upload = asyncio.create_task(
            scene.client.call("POST", "/files/upload", data=endless(), headers=headers)
        )
        url = EmbeddedPostgres(tmp_path / "data" / "postgres").running_url()
        assert url is not None
        connection = await asyncpg.connect(url)
        async with asyncio.timeout(60):
            while not await connection.fetchval("select count(*) from upload_reservations"):
                await asyncio.sleep(0.05)
        await connection.close()
        await scene.server.kill()
        await asyncio.gather(upload, return_exceptions=True)
        await scene.server.start()

        url = EmbeddedPostgres(tmp_path / "data" / "postgres").running_url()
        assert url is not None
        connection = await asyncpg.connect(url)
        ends = "select extract(epoch from expires_at - now()) from upload_reservations"
        assert 0 < float(await connection.fetchval(ends)) <= 300
        await connection.execute("update upload_reservations set expires_at = now()")
        await connection.close()
        form = aiohttp.FormData()
        form.add_field("file", b"\x1f\x8b" + bytes(900_000), filename="b.vcf.gz")
        refused = await scene.client.call("POST", "/files/upload", data=form)
        assert refused["code"] != "storage_quota", refused
