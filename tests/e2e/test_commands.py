"""The commands that go a job's whole way, as a newcomer runs them."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from app.__main__ import parser
from app.genotypes.testdata import write_test_files
from tests.e2e.processes import USERNAME, Scene, free_port


async def _run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end; give its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(300):
        out, err = await process.communicate()
    return int(process.returncode or 0), out.decode(), err.decode()


async def test_demo_when_run_twice_then_both_complete_and_show_files_and_accuracy(
    tmp_path: Path,
) -> None:
    arguments = ["demo", "--exit", "--port", str(free_port()), "--data-dir", str(tmp_path)]
    for _ in range(2):
        status, out, err = await _run(*arguments)
        assert status == 0, out + err
        assert "The job has completed at Sandbox " in out
        assert "The job has completed at Sandbox (GA4GH WES)" in out
        assert re.search(r"Remote id: job-\d{8}-\d{6}", out)
        assert re.search(r"Remote id: [0-9a-f]{8}-", out)
        assert len(re.findall(r"[0-9a-f]{64}  chr20\.dose\.vcf\.gz\n", out)) == 2
        if "held back as truth" in out:
            common = re.findall(r"5\.0% to 50\.0% +\d+ +(\d\.\d+)", out)
            assert len(common) == 2
            assert all(float(r2) > 0.7 for r2 in common)


async def test_demo_when_the_host_is_not_loopback_then_is_refused(tmp_path: Path) -> None:
    status, _, err = await _run("demo", "--host", "0.0.0.0", "--data-dir", str(tmp_path))
    assert status == 1
    assert "loopback" in err
    assert not (tmp_path / "demo").exists()


async def test_e2e_when_the_service_is_there_then_shows_every_step_and_writes_the_results(
    tmp_path: Path,
) -> None:
    file = write_test_files(tmp_path / "input", None)[0].path
    settings = {"FIP_POLL_INTERVAL_S": "0.3", "FIP_SETTLE_WAIT_S": "0.3"}
    async with Scene(tmp_path, settings) as scene:
        await scene.set_up_service()
        results = tmp_path / "results.zip"
        arguments = ["e2e", "--service", "sandbox", "--file", str(file), "--user", USERNAME]
        arguments += ["--url", scene.base, "--results", str(results), "--password-file"]
        status, out, err = await _run(*arguments, str(tmp_path / "password"))
        assert status == 0, out + err
        assert "Results downloaded and verified" in out
        assert results.stat().st_size > 1000
        (tmp_path / "wrong").write_text("wrong")
        status, _, err = await _run(*arguments, str(tmp_path / "wrong"))
        assert status == 1
        assert "401" in err


@pytest.mark.parametrize("name", ["serve", "worker", "sandbox", "demo", "e2e", "testdata"])
async def test_command_when_asked_for_help_then_explains_itself(name: str) -> None:
    text = parser().parse_args  # every command is known to one parser
    with pytest.raises(SystemExit) as ended:
        text([name, "--help"])
    assert ended.value.code == 0


async def test_serve_when_the_port_is_taken_then_says_so_in_one_line(tmp_path: Path) -> None:
    async with Scene(tmp_path) as scene:
        other = ["serve", "--port", str(scene.port), "--data-dir", str(tmp_path / "other")]
        status, _, err = await _run(*other)
        assert status == 1
        assert err.strip().splitlines()[-1].startswith("error: ")
        assert "address already in use" in err
        status, _, err = await _run("serve", "--data-dir", str(tmp_path / "data"))
        assert status == 1
        assert "in use by another process" in err


async def test_setting_when_unknown_or_unreadable_then_is_named_and_its_value_is_not_shown(
    tmp_path: Path,
) -> None:
    for name, value in (
        ("FIP_PROT", "x-secret"),
        ("FIP_PORT", "x-secret"),
        ("FIP_JWT_SECRET", "x-secret"),
        ("FIP_CREDENTIAL_KEYS", "x-secret"),
    ):
        status, _, err = await _run("serve", "--data-dir", str(tmp_path), **{name: value})
        assert status == 1
        assert name in err
        assert "x-secret" not in err
