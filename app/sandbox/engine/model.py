"""What the engine is given, what it tells, and how it is stopped."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Literal, Protocol

from app.sandbox.panels import Panel


class Level(IntEnum):
    """Kinds of messages, by their number on the wire (cloudgene3 ``Message``)."""

    OK = 0
    ERROR = 1
    WARNING = 2
    RUNNING = 3


class Group(StrEnum):
    """The steps of imputationserver2, all shown from the start (its ``cloudgene.yaml``)."""

    VALIDATION = "Input Validation"
    QC = "Quality Control"
    IMPUTATION = "Phasing and Imputation"
    SUMMARY = "Summary"


class Reporter(Protocol):
    """Where the engine tells what it does; called from the engine's thread."""

    def say(self, group: Group, text: str, level: Level = Level.OK) -> None:
        """Add a message to a step."""

    def progress(self, group: Group, label: str, done: int, total: int) -> None:
        """Say how far the tasks of one label are; replaces what was said of that label before."""


class EngineFailure(Exception):
    """The job cannot succeed; the reason, as the servers word it, and the step that found it."""

    def __init__(self, group: Group, text: str) -> None:
        super().__init__(text)
        self.group = group


class Cancelled(Exception):
    """The run was stopped by ``Cancellation.cancel``."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asked for, as text that has passed the dialect, typed where the engine needs it.

    panel None: none was given. password None: make one. population None: none was given.
    sealed: results go into encrypted archives; otherwise they lie side by side, VCFs with their index.
    """

    panel: Panel | None
    build: str = "hg19"
    phasing: str = "eagle"
    population: str | None = None
    mode: str = "imputation"
    min_r2: float = 0.0
    aes: bool = False
    meta: bool = False
    password: str | None = None
    job_name: str = ""
    sealed: bool = True
    min_samples: int = 20
    max_samples: int = 50_000


@dataclass(frozen=True, slots=True)
class Sabotage:
    """Ways in which the results are to be spoilt; see ``app.sandbox.faults``."""

    job_error: Literal["", "strand_flips", "allele_switches", "no_chunks", "phasing"] = ""
    wrong_password: bool = False
    broken_zip: bool = False
    evil_zip: Literal["", "slip", "bomb"] = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One run: its inputs, where the results and the intermediate files go, and what is wanted."""

    inputs: tuple[Path, ...]
    output: Path
    scratch: Path
    options: Options
    sabotage: Sabotage = field(default_factory=Sabotage)


class Cancellation:
    """Lets another thread stop a run: its child processes are killed with all their children."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._running: set[int] = set()

    def cancel(self) -> None:
        self._asked.set()
        with self._lock:
            for group in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)

    def check(self) -> None:
        """Raises ``Cancelled`` once the run was told to stop."""
        if self._asked.is_set():
            raise Cancelled

    @contextlib.contextmanager
    def watch(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Have ``process`` (a leader of its own process group) killed by a cancel while it runs."""
        with self._lock:
            self._running.add(process.pid)
        try:
            if self._asked.is_set():
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            yield
        finally:
            with self._lock:
                self._running.discard(process.pid)
