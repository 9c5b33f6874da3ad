"""A WES server that is not ours: Toil, started as its own process from an environment of its own (`.venv-toil`)."""

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from tests.support.docs import ROOT

WORKFLOW = ROOT / "tests/e2e/workflows/imputation.cwl"
_PROGRAMS = ROOT / ".venv-toil/bin"
_START_S = 60.0
_STOP_S = 10.0
_MET_S = 60.0


class Toil:
    """The server, with its folders below `root`. Runs work without containers, on this machine.

    `work_dir` holds `run-…/outputs/…`, as the runs' `file://` locations say; `holds` the files that runs wait for.
    """

    def __init__(self, root: Path, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}/ga4gh/wes/v1"
        self.work_dir = root / "work"
        self.holds = root / "holds"
        self._log = root / "log"
        temporary = root / "tmp"
        for folder in (self.work_dir, self.holds, temporary):
            folder.mkdir(parents=True)
        program = _PROGRAMS / "toil"
        assert program.exists(), "Toil is not there: `make test` installs it"
        options = ["--host", "127.0.0.1", "--port", str(port), "--work_dir", str(self.work_dir)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                # Without Celery, runs are children of the one worker, and nothing else need be running.
                [program, "server", "--bypass_celery", "--workers", "1", *options],
                # It would leave its history, sockets and locks at home.
                env={
                    "HOME": str(root),
                    "PATH": f"{_PROGRAMS}:{os.environ['PATH']}",
                    "TMPDIR": str(temporary),
                    "TOIL_COORDINATION_DIR": str(temporary),
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_for_answer()
        except BaseException:
            self.stop()
            raise

    def _wait_for_answer(self) -> None:
        end = time.monotonic() + _START_S
        while True:
            try:
                self.get("/service-info")
            except URLError:
                assert self._process.poll() is None, f"Toil ended:\n{self.tail()}"
                assert time.monotonic() < end, f"Toil does not answer:\n{self.tail()}"
                time.sleep(0.1)
            else:
                return

    def get(self, path: str) -> Any:
        """Give what it answers, decoded."""
        with urlopen(self.base + path, timeout=30) as answer:
            return msgspec.json.decode(answer.read())

    def runs_on(self, hold: Path) -> list[dict[str, Any]]:
        """Give the runs that were told to wait for that file, whole: this is how tests tell their runs apart."""
        found = [self.get(f"/runs/{row['run_id']}") for row in self.get("/runs")["workflows"]]
        return [run for run in found if run["request"]["workflow_params"]["hold"] == str(hold)]

    def hold(self, name: str, *, closed: bool = True) -> Path:
        """Give a file for the workflow's `hold`: it is there (runs wait for its removal) if `closed`."""
        path = self.holds / name
        if closed:
            path.touch()
        return path

    async def until_met(self, hold: Path) -> None:
        """Wait until a run waits for the removal of `hold`: its tool is at work, and a cancel has something to end."""
        async with asyncio.timeout(_MET_S):
            while not hold.with_name(f"{hold.name}.met").exists():
                await asyncio.sleep(0.1)

    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """End it and what it runs. The steps of runs are sessions of their own: they end when nothing holds them."""
        for path in self.holds.iterdir():
            path.unlink()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
