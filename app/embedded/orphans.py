"""Servers that a killed predecessor left behind. They got their signal when it died, and are on their way out."""

import os
import time
from pathlib import Path

from app.embedded.errors import EmbeddedServerError

_POLL_S = 0.01


def running_server(pid_file: Path, directory: Path) -> int | None:
    """The pid in the first line of `pid_file`, if that is a living server on `directory`.

    A pid alone proves nothing: after a reboot, or in a new container, somebody else has it.
    """
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    # A zombie has no arguments.
    return pid if os.fsencode(directory) in arguments else None


def wait_for_end(pid_file: Path, directory: Path, timeout_s: float) -> None:
    """Blocks until no server of a predecessor runs on `directory`.

    It is not signalled: if its owner lives after all, it is not ours to end.

    Raises:
        EmbeddedServerError: it is still there after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while (pid := running_server(pid_file, directory)) is not None:
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"process {pid} still uses {directory}; end it, or whatever started it, first"
            )
        time.sleep(_POLL_S)
