"""What the pipeline asks of an engine, whether it imputes or only pretends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.sandbox.engine.inspection import VcfFacts
from app.sandbox.engine.model import Cancellation, Group, Level, Options, Reporter
from app.sandbox.engine.qc import Chunk, Sites
from app.sandbox.engine.tools import Tools

# The labels of the progress bars (imputationserver2 cloudgene.yaml).
PHASING_LABELS = {"eagle": "Phasing with Eagle", "beagle": "Phasing with Beagle"}
IMPUTATION_LABEL = "Imputation"
COMPRESSION_LABEL = "Compression and Encryption"


class UnsupportedChromosome(Exception):
    """The panel has no sites of that chromosome."""


@dataclass(frozen=True, slots=True)
class Task:
    """One chromosome to phase and impute: ``kept`` holds the records that passed QC."""

    facts: VcfFacts
    kept: Path
    chunks: list[Chunk]
    options: Options
    scratch: Path
    header: tuple[str, ...]  # lines that the pipeline adds to the doses' header


class Bars:
    """The progress bars of a run; as with Nextflow a total counts only the tasks seen so far, and grows."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._tasks: dict[str, tuple[int, int]] = {}

    def begin(self, group: Group, label: str, tasks: int = 1) -> None:
        """More tasks of a kind have turned up."""
        done, total = self._tasks.get(label, (0, 0))
        self._show(group, label, done, total + tasks)

    def end(self, group: Group, label: str) -> None:
        """One task of a kind is done."""
        done, total = self._tasks[label]
        self._show(group, label, done + 1, total)

    def say(self, text: str) -> None:
        """Warn, in the same step."""
        self._reporter.say(Group.IMPUTATION, text, Level.WARNING)

    def _show(self, group: Group, label: str, done: int, total: int) -> None:
        self._tasks[label] = (done, total)
        self._reporter.progress(group, label, done, total)


class Backend(Protocol):
    """An engine. ``quick``: it judges a file by its header and its beginning."""

    @property
    def name(self) -> str: ...
    @property
    def quick(self) -> bool: ...
    @property
    def tools(self) -> Tools: ...

    def notes(self, options: Options) -> list[str]:
        """What a reader of the reports must know about these results."""

    def sites(self, build: str, chromosome: str) -> Sites | None:
        """The panel's sites; None where the engine has no panel. Raises ``UnsupportedChromosome``."""

    def impute(self, task: Task, bars: Bars, cancel: Cancellation) -> list[Path]:
        """The members of the chromosome's archive.

        Raises ``ToolFailed`` where a tool gave up, ``Cancelled`` when told to.
        """
