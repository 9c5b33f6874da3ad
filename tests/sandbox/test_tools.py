"""Running programs: failures, time limits, cancels."""

import threading
import time
from pathlib import Path

import pytest

from app.sandbox.engine.model import (
    Cancellation,
    Cancelled,
)
from app.sandbox.engine.tools import ToolFailed, Tools


def test_tool_when_it_fails_then_its_last_line_is_told(tmp_path: Path) -> None:
    command: list[str | Path] = ["sh", "-c", "echo first; echo the reason >&2; exit 3"]
    with pytest.raises(ToolFailed, match="sh failed: the reason"):
        Tools.find().run(command, tmp_path / "log", Cancellation())


def test_tool_when_too_slow_then_killed_with_its_children(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    command: list[str | Path] = ["sh", "-c", f"sleep 60 & echo $! > {started}; wait"]
    with pytest.raises(ToolFailed, match="took more than"):
        Tools.find(timeout_s=0.3).run(command, tmp_path / "log", Cancellation())
    assert_gone(int(started.read_text()))


def test_tool_when_cancelled_then_killed_with_its_children(tmp_path: Path) -> None:
    started, cancel = tmp_path / "pid", Cancellation()
    command: list[str | Path] = ["sh", "-c", f"sleep 60 & echo $! > {started}; wait"]

    def cancel_once_started() -> None:
        while not started.exists() or not started.read_text():
            time.sleep(0.01)
        cancel.cancel()

    watcher = threading.Thread(target=cancel_once_started)
    watcher.start()
    with pytest.raises(Cancelled):
        Tools.find(timeout_s=20).run(command, tmp_path / "log", cancel)
    watcher.join()
    assert_gone(int(started.read_text()))


def assert_gone(pid: int) -> None:
    """The process is dead, if perhaps not yet buried by its new parent."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still runs")
