"""One job from its files to its results: validation, quality control, imputation, encryption.

The order of checks, the steps and the words are those of imputationserver2 ``main.nf`` and its modules.
"""

import contextlib
from pathlib import Path

from app.sandbox.engine import archive, bgzf, inspection, report
from app.sandbox.engine.backend import (
    COMPRESSION_LABEL,
    Backend,
    Bars,
    Task,
    UnsupportedChromosome,
)
from app.sandbox.engine.inspection import VcfFacts
from app.sandbox.engine.model import (
    Cancellation,
    Cancelled,
    EngineFailure,
    Group,
    Level,
    Options,
    Reporter,
    Work,
)
from app.sandbox.engine.qc import Chunk, QualityControl, Variant, judge_chunks
from app.sandbox.engine.tools import ToolFailed
from app.sandbox.panels import Panel

PIPELINE_VERSION = "2.0.12"
_PHASING = frozenset({"eagle", "beagle", "no_phasing"})
_NO_FREQUENCIES = frozenset({"off", "mixed"})  # populations without samples in the panel


def run(
    work: Work, backend: Backend, reporter: Reporter, cancel: Cancellation, *, tell_password: bool
) -> None:
    """Do a job. The results lie in ``work.output`` also where it fails after the QC.

    Raises:
        EngineFailure: it cannot be done; the reason was reported.
        Cancelled: it was told to stop.
    """
    try:
        _Run(work, backend, reporter, cancel).go(tell_password=tell_password)
    except (EngineFailure, ToolFailed) as error:
        group = error.group if isinstance(error, EngineFailure) else Group.IMPUTATION
        if str(error):
            reporter.say(group, str(error), Level.ERROR)
        reporter.say(Group.SUMMARY, "Imputation job failed.", Level.ERROR)
        raise EngineFailure(group, str(error)) from error
    except Cancelled:
        reporter.say(Group.SUMMARY, "Imputation job canceled.", Level.ERROR)
        raise


class _Run:
    def __init__(
        self, work: Work, backend: Backend, reporter: Reporter, cancel: Cancellation
    ) -> None:
        self.work = work
        self.options = work.options
        self.backend = backend
        self.reporter = reporter
        self.cancel = cancel
        self.bars = Bars(reporter)

    def go(self, *, tell_password: bool) -> None:
        panel, population = self._check_options()
        files = self._validate(panel, population)
        tasks = self._quality_control(files, panel, population)
        password = self.options.password
        if password is None:
            password = archive.make_password()
        else:
            password = archive.password_in_params(password)
        if self.options.mode == "imputation":
            self._impute(tasks, password)
        for note in self.backend.notes(self.options):
            self.reporter.say(Group.SUMMARY, note, Level.WARNING)
        text = "Data have been exported successfully."
        if self.options.sealed and tell_password:
            text += f" We encrypted the results with the following password: <b>{password}</b>"
        elif self.options.sealed:
            text += " We have sent a notification email to <b>you</b>"
        self.reporter.say(Group.SUMMARY, text)

    def _check_options(self) -> tuple[Panel, str]:
        panel = self.options.panel
        if panel is None:
            raise EngineFailure(Group.VALIDATION, "Parameter refpanel is required.")
        if self.options.phasing not in _PHASING:
            raise EngineFailure(
                Group.VALIDATION,
                "For phasing, only options 'eagle', 'beagle' or 'no_phasing' are allowed.",
            )
        if not self.work.inputs:
            raise EngineFailure(Group.VALIDATION, "No vcf.gz input files detected.")
        return panel, _population(panel, self.options)

    def _validate(self, panel: Panel, population: str) -> list[VcfFacts]:
        files = []
        for path in sorted(self.work.inputs):
            self.cancel.check()
            files.append(inspection.inspect(path, quick=self.backend.quick))
        inspection.check_together(files, self.options)
        more = "" if all(f.whole for f in files) else " or more (only the beginning was read)"
        options = self.options
        summary = [
            f"{len(files)} valid VCF file(s) found.",
            "",
            f"Samples: {len(files[0].samples)}",
            f"Chromosomes: {' '.join(f.chromosome for f in files)}",
            f"SNPs: {sum(f.records for f in files)}{more}",
            f"Chunks: {sum(len(f.chunks) for f in files)}",
            f"Datatype: {'phased' if all(f.phased for f in files) else 'unphased'}",
            f"Build: {options.build}",
            f"Reference Panel: {panel.id} ({panel.build})",
            f"Population: {population}",
            f"Phasing: {options.phasing}",
            f"Mode: {options.mode}",
        ]
        if options.min_r2:
            summary.append(f"Rsq filter: {options.min_r2:g}")
        self.reporter.say(Group.VALIDATION, "\n".join(summary))
        return files

    def _quality_control(self, files: list[VcfFacts], panel: Panel, population: str) -> list[Task]:
        says = report.QcReport(self.work.output, self.reporter)
        if self.options.build != panel.build:
            says.say(
                [f"Uploaded data is {self.options.build} and reference is {panel.build}."],
                Level.WARNING,
            )
            target = panel.build.capitalize()
            raise says.fail([f"Chain file {self.options.build}To{target}.over.chain.gz not found."])
        if population.lower() in _NO_FREQUENCIES:
            says.say(["Skip allele frequency check."], Level.WARNING)
        passes: list[tuple[VcfFacts, Path, QualityControl]] = []
        for facts in files:
            try:
                sites = self.backend.sites(panel.build, facts.chromosome)
            except UnsupportedChromosome as error:
                raise says.fail([f"Task 'Calculating QC Statistics {error}"]) from error
            control = QualityControl(len(facts.samples), sites)
            passes.append((facts, self._filter(facts, control), control))
        says.say(["Calculating QC Statistics"])
        controls = [control for _, _, control in passes]
        self._conclude(says, controls, panel)
        return [
            Task(
                facts=facts,
                kept=kept,
                chunks=[c for c in _chunks([control]) if not c.verdict],
                options=self.options,
                scratch=self.work.scratch,
                header=self._header(panel),
            )
            for facts, kept, control in passes
        ]

    def _filter(self, facts: VcfFacts, control: QualityControl) -> Path:
        """Judge every record; the real engine goes on with a file of those that pass."""
        if self.backend.quick:
            for line in facts.beginning:
                control.judge(Variant.parse(line))
            return facts.path
        kept = self.work.scratch / f"{facts.chromosome}.qc.vcf.gz"
        with bgzf.BgzfWriter(kept, level=1) as file:
            file.write(_plain_header(facts))
            for i, line in enumerate(bgzf.Lines(facts.path)):
                if i % 1000 == 0:
                    self.cancel.check()
                if line.startswith(b"#"):
                    continue
                record = control.judge(Variant.parse(line))
                if record is not None:
                    file.write(record)
        return kept

    def _conclude(
        self, says: report.QcReport, controls: list[QualityControl], panel: Panel
    ) -> None:
        """Say what the QC found and write its files, then stop the job if it has to be stopped."""
        counts = report.total(control.counts for control in controls)
        chunks = _chunks(controls)
        judge_chunks(chunks, panel)
        says.say(report.statistics_text(counts))
        conclusion = report.conclusion_text(counts, chunks, panel)
        error = report.error_text(counts, chunks, panel, self.work.sabotage.job_error)
        stop = says.fail([*conclusion, error]) if error else None
        if stop is None:
            says.say(conclusion, Level.WARNING)
        report.write_statistics(
            self.work.output,
            [row for control in controls for row in control.excluded],
            [row for control in controls for row in control.typed_only],
            chunks,
            panel,
        )
        report.write_html(
            self.work.output,
            f"{self.options.job_name}, {panel.title}",
            self.backend.notes(self.options),
            says.texts,
            [point for control in controls for point in control.frequencies],
        )
        if stop is not None:
            raise stop

    def _impute(self, tasks: list[Task], password: str) -> None:
        if self.work.sabotage.job_error == "phasing":
            raise EngineFailure(Group.IMPUTATION, "Phasing with Eagle failed (exit status 1).")
        sealed = [(t, self.backend.impute(t, self.bars, self.cancel)) for t in tasks if t.chunks]
        if not self.options.sealed:
            for _, files in sealed:
                self._lay_out(files)
            return
        for task, files in sealed:
            self.bars.begin(Group.SUMMARY, COMPRESSION_LABEL)
            archive.seal(
                self.work.output / f"chr_{task.facts.chromosome}.zip",
                files,
                self.options,
                password,
                self.work.sabotage,
                self.backend.tools,
                self.cancel,
                quick=self.backend.quick,
            )
            self.bars.end(Group.SUMMARY, COMPRESSION_LABEL)

    def _lay_out(self, files: list[Path]) -> None:
        """Move the results to the output folder as they are, each VCF with its index where it can be made."""
        for file in files:
            target = self.work.output / file.name
            file.rename(target)
            if target.name.endswith(".vcf.gz") and "bcftools" not in self.backend.tools.missing:
                log = self.work.scratch / "index.log"
                command: list[str | Path] = ["bcftools", "index", "-t", "-f", target]
                # The instant engine's results may be of files that no index fits.
                with contextlib.suppress(ToolFailed):
                    self.backend.tools.run(command, log, self.cancel)

    def _header(self, panel: Panel) -> tuple[str, ...]:
        """What ``compression_encryption_vcf.nf`` adds."""
        return (
            f"##mis_pipeline={PIPELINE_VERSION}",
            f"##mis_phasing={self.options.phasing}",
            f"##mis_panel={panel.id}",
        )


def _population(panel: Panel, options: Options) -> str:
    """The panel's own name of the population asked for.

    Absent means ``off`` (``main.nf``); an empty one breaks the command line of the validation.
    """
    if options.population == "":
        raise EngineFailure(
            Group.VALIDATION, "Expected parameter for option '--population' but found '--phasing'"
        )
    asked = options.population or "off"
    if panel.populations is None and asked == "off":
        return asked
    found = panel.find_population(asked)
    if found is None:
        text = [f"Population '{asked}' is not supported by reference panel '{panel.id}'."]
        if panel.populations is not None:
            text += ["Available populations:", *(f" - {name}" for name in panel.populations)]
        raise EngineFailure(Group.VALIDATION, "\n".join(text))
    return found


def _chunks(controls: list[QualityControl]) -> list[Chunk]:
    return [chunk for control in controls for chunk in control.chunks.values()]


def _plain_header(facts: VcfFacts) -> bytes:
    columns = [b"#CHROM", b"POS", b"ID", b"REF", b"ALT", b"QUAL", b"FILTER", b"INFO", b"FORMAT"]
    return (
        b"##fileformat=VCFv4.2\n"
        b"##contig=<ID=" + facts.raw_chromosome.encode() + b">\n"
        b'##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        + b"\t".join((*columns, *facts.samples))
        + b"\n"
    )
