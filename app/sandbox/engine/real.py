"""The real engine: SHAPEIT4 phases with the reference, Minimac4 imputes from it.

The commands follow imputationserver2 ``minimac4.nf`` and ``compression_encryption_vcf.nf``. The reference is
prepared once and kept.
"""

import os
import subprocess
import threading
from functools import lru_cache
from pathlib import Path

from app.sandbox.engine import bgzf
from app.sandbox.engine.backend import (
    IMPUTATION_LABEL,
    PHASING_LABELS,
    Bars,
    Task,
    UnsupportedChromosome,
)
from app.sandbox.engine.model import Cancellation, Group, Options
from app.sandbox.engine.qc import Chunk, Site, Sites
from app.sandbox.engine.tools import ToolFailed, Tools, version
from app.sandbox.reference import ExampleData

_PANELS = (
    "The sandbox's panels all hold the same 300 European samples of the 1000 Genomes Project, "
    "chromosome 20, 1-4 Mb."
)
_SEED = "15052011"  # SHAPEIT4's own default, named so that runs can be repeated


class RealBackend:
    """Imputes what lies on the reference's chromosome and build; knows no other."""

    name = "real"
    quick = False

    def __init__(self, tools: Tools, example: ExampleData, folder: Path) -> None:
        self.tools = tools
        self._example = example
        self._folder = folder
        self._lock = threading.Lock()

    def notes(self, options: Options) -> list[str]:
        """Which programs and which haplotypes were really used."""
        phasing = (
            "No phasing."
            if options.phasing == "no_phasing"
            else f"Phased by {version('shapeit4')}, which stands in for {options.phasing}."
        )
        return [f"{phasing} Imputed by {version('minimac4')}. {_PANELS}"]

    def sites(self, build: str, chromosome: str) -> Sites | None:
        if (build, chromosome) != (self._example.build, self._example.chromosome):
            raise UnsupportedChromosome(
                f"This reference panel doesn't support chromosome {chromosome}. "
                f"File ./{chromosome}.sites.gz not found."
            )
        return _load_sites(self._prepared("sites"))

    def impute(self, task: Task, bars: Bars, cancel: Cancellation) -> list[Path]:
        panel = self._prepared("msav")
        log = task.scratch / "tools.log"
        self._index(task.kept, log, cancel)
        phased = task.kept
        if task.options.phasing != "no_phasing":
            label = PHASING_LABELS[task.options.phasing]
            bars.begin(Group.IMPUTATION, label)
            phased = self._phase(task, log, cancel)
            bars.end(Group.IMPUTATION, label)
        bars.begin(Group.IMPUTATION, IMPUTATION_LABEL, len(task.chunks))
        parts: list[list[Path]] = []
        for chunk in task.chunks:
            parts.append(self._impute_chunk(task, chunk, panel, phased, log, cancel))
            bars.end(Group.IMPUTATION, IMPUTATION_LABEL)
        return self._join(task, parts, log, cancel)

    def _phase(self, task: Task, log: Path, cancel: Cancellation) -> Path:
        phased = task.scratch / f"{task.facts.chromosome}.phased.vcf.gz"
        data = self._example
        command: list[str | Path] = ["shapeit4", "--input", task.kept]
        command += ["--reference", data.reference, "--map", data.genetic_map]
        command += ["--region", task.facts.raw_chromosome, "--output", phased]
        command += ["--thread", str(self.tools.threads), "--seed", _SEED]
        self.tools.run(command, log, cancel)
        self._index(phased, log, cancel)
        return phased

    def _impute_chunk(
        self, task: Task, chunk: Chunk, panel: Path, phased: Path, log: Path, cancel: Cancellation
    ) -> list[Path]:
        base = task.scratch / f"chunk_{chunk.chromosome}_{chunk.start:010d}_{chunk.end:010d}"
        names = [f"{base}.{kind}.gz" for kind in ("dose.vcf", "info", "empiricalDose.vcf")]
        files = [Path(name) for name in names]
        command: list[str | Path] = ["minimac4"]
        command += ["--region", f"{chunk.chromosome}:{chunk.start}-{chunk.end}"]
        command += ["--output", files[0], "--output-format", "vcf.gz"]
        command += ["--format", "GT,DS,GP,HDS", "--all-typed-sites"]
        command += ["--sites", files[1], "--empirical-output", files[2]]
        command += ["--threads", str(self.tools.threads)]
        if task.options.min_r2:
            command += ["--min-r2", str(task.options.min_r2)]
        self.tools.run([*command, panel, phased], log, cancel)
        return files

    def _join(
        self, task: Task, parts: list[list[Path]], log: Path, cancel: Cancellation
    ) -> list[Path]:
        """One file of each kind for the whole chromosome, the doses with the pipeline's header lines."""
        prefix = task.scratch / f"chr{task.facts.chromosome}"
        joined = []
        kinds = ["dose.vcf.gz", "info.gz"] + (["empiricalDose.vcf.gz"] if task.options.meta else [])
        for i, kind in enumerate(kinds):
            pieces = [part[i] for part in parts]
            target = Path(f"{prefix}.{kind}")
            source = pieces[0]
            if len(pieces) > 1:
                source = Path(f"{prefix}.joined.{kind}")
                self.tools.run(["bcftools", "concat", "-n", "-o", source, *pieces], log, cancel)
            if kind == "dose.vcf.gz":
                bgzf.add_header_lines(source, target, [*task.header, *self._note(task.options)])
            else:
                source.rename(target)
            joined.append(target)
        return joined

    def _note(self, options: Options) -> list[str]:
        return [f"##sandbox_note={note}" for note in self.notes(options)]

    def _index(self, vcf: Path, log: Path, cancel: Cancellation) -> None:
        self.tools.run(["bcftools", "index", "-t", "-f", vcf], log, cancel)

    def _prepared(self, kind: str) -> Path:
        """The reference as Minimac4's ``msav``, or its ``sites`` as text; made once. Raises ToolFailed."""
        target = self._folder / f"chr{self._example.chromosome}.{kind}"
        with self._lock:
            if not target.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                temporary = target.with_name(f".{target.name}.{os.getpid()}")
                reference = self._example.reference
                command: list[str | Path]
                if kind == "msav":
                    command = ["minimac4", "--compress-reference", reference, "-o", temporary]
                else:
                    columns = "%POS\\t%REF\\t%ALT\\t%AC\\t%AN\\n"
                    command = ["bcftools", "query", "-f", columns, "-o", temporary, reference]
                _prepare(command, self.tools.timeout_s)
                temporary.rename(target)
        return target


def _prepare(command: list[str | Path], timeout_s: float) -> None:
    """Run a command that serves all jobs, so that no single job's end may stop it."""
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ToolFailed(f"{command[0]} could not prepare the reference") from error


@lru_cache(maxsize=2)
def _load_sites(path: Path) -> Sites:
    sites: dict[int, tuple[Site, ...]] = {}
    with path.open("rb") as file:
        for line in file:
            position, ref, alt, count, number = line.split()
            site = Site(ref, alt, int(count) / int(number) if int(number) else 0.0)
            sites[int(position)] = (*sites.get(int(position), ()), site)
    return sites
