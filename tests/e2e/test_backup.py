"""Backups that were restored, and keys that were rotated: everything still opens."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.genotypes.testdata import write_test_files
from app.security.vault import parse_keys
from tests.e2e.processes import Program, Scene

QUICK = {"FIP_POLL_INTERVAL_S": "0.3", "FIP_SETTLE_WAIT_S": "0.3", "FIP_DISPATCH_INTERVAL_S": "0.2"}


async def _completed(scene: Scene, ids: tuple[int, int], file: Path) -> dict[str, Any]:
    job = await scene.client.submit(*ids, file)
    async with asyncio.timeout(60):
        while not (job := await scene.client.call("GET", f"/jobs/{job['id']}", expect=200))[
            "completed_at"
        ]:
            await asyncio.sleep(0.2)
    assert job["status"] == "completed", job
    return dict(job)


async def _results(scene: Scene, job_id: str) -> dict[str, str]:
    listing = await scene.client.call(
        "GET", f"/jobs/{job_id}/results", headers={"Accept": "application/json"}, expect=200
    )
    return {item["name"]: item["sha256"] for item in listing["files"]}


async def _refused(program: Program, *arguments: str) -> str:
    """Run a command that must fail; give its one line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        env={**os.environ, **program.environment},
        stdout=PIPE,
        stderr=PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode not in (0, None)
    line = said.decode().strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


async def test_backup_when_restored_elsewhere_then_jobs_files_and_credentials_are_there(
    tmp_path: Path,
) -> None:
    file = write_test_files(tmp_path / "input", None)[0].path
    archive = tmp_path / "backup.tar"
    async with Scene(tmp_path, QUICK) as scene:
        ids = await scene.set_up_service()
        job = await _completed(scene, ids, file)
        before = await _results(scene, job["id"])
        await scene.command("backup", str(archive))
        assert archive.stat().st_mode & 0o777 == 0o600
        assert "exists already" in await _refused(scene.server, "backup", str(archive))
        assert "not empty" in await _refused(scene.server, "restore", str(archive))
        await scene.server.stop()
        old_keys = (tmp_path / "data/secrets/credential_keys").read_text()

        elsewhere = {**scene.server.environment, "FIP_DATA_DIR": str(tmp_path / "restored")}
        scene.server = replace(scene.server, environment=elsewhere, process=None)
        await scene.command("restore", str(archive))
        said = await scene.command("rotate-keys")
        assert "credentials: 2 sealed anew" in said
        assert "result passwords: 1 sealed anew" in said
        await scene.server.start()
        assert await _results(scene, job["id"]) == before
        new_keys = (tmp_path / "restored/secrets/credential_keys").read_text()
        assert not parse_keys(old_keys).keys() & parse_keys(new_keys).keys()
        await _completed(scene, ids, file)


async def test_rotate_keys_when_the_platform_runs_with_keys_of_its_own_then_is_refused(
    tmp_path: Path,
) -> None:
    async with Scene(tmp_path, QUICK) as scene:
        before = (tmp_path / "data/secrets/credential_keys").read_text()
        assert "in use by another process" in await _refused(scene.server, "rotate-keys")
        assert (tmp_path / "data/secrets/credential_keys").read_text() == before


@pytest.mark.parametrize("content", [b"", b"not a tar", b"\x00" * 2048])
async def test_restore_when_the_archive_is_not_a_backup_then_says_so_and_leaves_nothing(
    tmp_path: Path, content: bytes
) -> None:
    archive = tmp_path / "backup.tar"
    archive.write_bytes(content)
    program = Program([], {"FIP_DATA_DIR": str(tmp_path / "data")}, tmp_path / "log")
    line = await _refused(program, "restore", str(archive))
    assert "backup" in line or "dump" in line
    assert list((tmp_path / "data").iterdir()) == []
