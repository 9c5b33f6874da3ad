"""The sandbox as a process of its own, driven with curl as a person would; and the fetch of its example data."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.sandbox.reference import find_example
from tests.sandbox.support import FORM, unzip

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys
from pathlib import Path
from app.sandbox.config import SandboxConfig, SandboxUser
from app.sandbox.faults import Faults
from app.sandbox.server import run
asyncio.run(run(SandboxConfig(
    data_dir=Path(sys.argv[1]), port=0, engine="instant", export_delay_s=0.0,
    faults=Faults(run_s=float(sys.argv[2])),
    demo_user=SandboxUser("demo", "Demo12345", "Demo User", "demo@example.org"),
)))
"""


class Process:
    """A running sandbox and what it printed when it was ready."""

    def __init__(self, process: asyncio.subprocess.Process, line: str) -> None:
        self.process = process
        self.line = line
        self.base = line.partition(" at ")[2].partition(" ")[0]

    async def end(self, number: signal.Signals) -> str:
        """Send a signal; what was printed from the start on, but for the line."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(10):
            out, _ = await self.process.communicate()
        return out.decode()


@contextlib.asynccontextmanager
async def started(data_dir: Path, run_s: float = 0.0) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, data_dir, str(run_s)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        yield Process(process, line)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", *arguments, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return out.decode()


async def curl_json(*arguments: str) -> Any:
    return json.loads(await curl(*arguments))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_process_when_used_with_curl_then_a_job_from_account_file_to_opened_archive(
    tmp_path: Path, vcf: Path
) -> None:
    async with started(tmp_path / "d") as sandbox:
        assert re.fullmatch(
            r"Sandbox imputation server ready at http://127\.0\.0\.1:\d+ \(engine: instant\)\n",
            sandbox.line,
        )
        path = tmp_path / "d" / "demo-account.json"
        assert path.stat().st_mode & 0o777 == 0o600
        account = json.loads(path.read_text())
        assert (account["url"], account["username"]) == (sandbox.base, "demo")
        auth = ("-H", f"X-Auth-Token: {account['token']}")
        fields = [f"-F{name}={value}" for name, value in FORM.items()]
        url = f"{sandbox.base}/api/v2/jobs/submit/imputationserver2"
        job_id = (await curl_json(*auth, *fields, f"-Ffiles=@{vcf}", url))["id"]
        async with asyncio.timeout(10):
            while True:
                job = await curl_json(*auth, f"{sandbox.base}/api/v2/jobs/{job_id}")
                if job["state"] == 4 and job["outputParams"][0]["files"]:
                    break
                await asyncio.sleep(0.05)
        script = tmp_path / "get.sh"
        script.write_text(await curl(f"{sandbox.base}/get/{job['outputParams'][0]['hash']}"))
        fetch = await asyncio.create_subprocess_exec("bash", script, cwd=tmp_path)
        assert await fetch.wait() == 0
        members = unzip((tmp_path / "chr_20.zip").read_bytes(), FORM["password"])
        assert set(members) == {"chr20.dose.vcf.gz", "chr20.info.gz"}
        login = await curl_json("-dusername=demo", "-dpassword=Demo12345", f"{sandbox.base}/login")
        assert login["token_type"] == "Bearer"
        assert await sandbox.end(signal.SIGTERM) == "", "nothing is printed but the one line"
        assert sandbox.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_process_when_ended_while_a_job_runs_then_the_job_is_dead_and_can_be_restarted(
    tmp_path: Path, vcf: Path, number: signal.Signals
) -> None:
    async with started(tmp_path / "d", run_s=30) as sandbox:
        account = json.loads((tmp_path / "d" / "demo-account.json").read_text())
        auth = ("-H", f"X-Auth-Token: {account['token']}")
        url = f"{sandbox.base}/api/v2/jobs/submit/imputationserver2"
        form = ["-Frefpanel=h3africa-sandbox", f"-Ffiles=@{vcf}", "-Fjob-name=fi-1"]
        job_id = (await curl_json(*auth, *form, url))["id"]
        await sandbox.end(number)
    async with started(tmp_path / "d") as sandbox:
        account = json.loads((tmp_path / "d" / "demo-account.json").read_text())
        auth = ("-H", f"X-Auth-Token: {account['token']}")
        job = f"{sandbox.base}/api/v2/jobs/{job_id}"
        assert (await curl_json(*auth, job))["state"] == -1
        assert (await curl_json(*auth, f"{job}/restart"))["success"] is True
        async with asyncio.timeout(10):
            while (await curl_json(*auth, job))["state"] != 4:
                await asyncio.sleep(0.05)
        stats = await curl_json(f"{sandbox.base}/sandbox/stats")
        assert stats["jobs_by_name"] == {"fi-1": 1}


# Example data


def _fake_programs(folder: Path, monkeypatch: pytest.MonkeyPatch, *, broken: bool) -> None:
    """An apt-get that knows the package only after an update, and a dpkg that unpacks it."""
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    examples = "usr/share/doc/shapeit4/examples/test"
    names = "reference.vcf.gz unphased.vcf.gz chr20.b37.gmap.gz"
    scripts = {
        "apt-get": f"""#!/bin/sh
echo "$@" >> {folder}/calls
[ "$1" = update ] && touch {folder}/updated && exit 0
[ -e {folder}/updated ] || exit 100
touch shapeit4-example_4.2.2_all.deb
""",
        "dpkg": f"""#!/bin/sh
{"exit 2" if broken else ""}
mkdir -p "$3/{examples}" && cd "$3/{examples}" && touch {names}
""",
    }
    for name, text in scripts.items():
        (bin_dir / name).write_text(text)
        (bin_dir / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}:/usr/bin:/bin")
    monkeypatch.setattr("app.sandbox.reference._FOLDER", Path(examples))
    monkeypatch.setattr("app.sandbox.reference._INSTALLED", folder / "root")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root fetches packages")
def test_example_when_missing_then_fetched_once_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_programs(tmp_path, monkeypatch, broken=False)
    data = tmp_path / "data"
    assert find_example(data, fetch=False) is None
    found = find_example(data)
    assert found is not None
    assert found.reference.is_relative_to(data)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [c.split()[0] for c in calls] == ["download", "update", "download"]
    assert find_example(data) == found
    assert find_example(data, fetch=False) == found
    assert (tmp_path / "calls").read_text().splitlines() == calls


@pytest.mark.skipif(os.geteuid() != 0, reason="only root fetches packages")
def test_example_when_unpacking_fails_then_none_and_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_programs(tmp_path, monkeypatch, broken=True)
    assert find_example(tmp_path / "data") is None
    assert list((tmp_path / "data").iterdir()) == []
