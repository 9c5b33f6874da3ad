"""The programs of the real engine: which are installed, and how one is run."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.sandbox.engine.model import Cancellation

REQUIRED = ("bcftools", "tabix", "shapeit4", "minimac4")
_VERSION_OPTIONS: dict[str, list[str]] = {
    "shapeit4": []
}  # it tells when called without anything to do


class ToolFailed(Exception):
    """A program ended badly or took too long; the text is its last line of output."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Which programs there are. ``zip`` is 7-Zip's program, None if it is not installed."""

    missing: tuple[str, ...]
    zip: str | None
    timeout_s: float = 1800.0
    threads: int = 2

    @classmethod
    def find(cls, *, timeout_s: float = 1800.0, threads: int = 2) -> "Tools":
        return cls(
            missing=tuple(name for name in REQUIRED if shutil.which(name) is None),
            zip=shutil.which("7zz") or shutil.which("7z"),
            timeout_s=timeout_s,
            threads=threads,
        )

    def run(self, command: list[str | Path], log: Path, cancel: Cancellation) -> None:
        """Run a program to its end, its output appended to ``log``.

        It gets a process group of its own, which a cancel or the time limit kills whole.

        Raises:
            ToolFailed: it ended with an error or was too slow.
            Cancelled: the run was cancelled meanwhile.
        """
        cancel.check()
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            with cancel.watch(process):
                try:
                    code = process.wait(self.timeout_s)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    raise ToolFailed(
                        f"{command[0]} took more than {self.timeout_s:.0f} s"
                    ) from None
        cancel.check()
        if code:
            raise ToolFailed(f"{command[0]} failed: {_last_line(log)}")


def _last_line(log: Path) -> str:
    with log.open("rb") as output:
        output.seek(max(0, log.stat().st_size - 2000))
        lines = [
            line.strip() for line in re.split(r"[\r\n]+", output.read().decode(errors="replace"))
        ]
    return next((line for line in reversed(lines) if line), "no output")[:300]


@cache
def version(program: str) -> str:
    """The version a program names, as ``name 1.2.3``; only the name if it does not tell."""
    try:
        answer = subprocess.run(
            [program, *_VERSION_OPTIONS.get(program, ["--version"])],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return program
    found = re.search(rb"\d+\.\d+(\.\d+)*", answer.stdout + answer.stderr)
    return f"{program} {found.group().decode()}" if found else program
