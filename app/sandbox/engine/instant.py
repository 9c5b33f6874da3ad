"""The instant engine: takes no time, needs no program, and gives the input back unchanged, marked so."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.sandbox.engine import bgzf
from app.sandbox.engine.backend import IMPUTATION_LABEL, PHASING_LABELS, Bars, Task
from app.sandbox.engine.model import Cancellation, EngineFailure, Group, Options
from app.sandbox.engine.qc import Sites, Variant
from app.sandbox.engine.tools import Tools

NOT_IMPUTED = "NOT IMPUTED: the sandbox's instant engine returned the uploaded genotypes unchanged."

# Minimac4's own header, so that readers of real info files read this one.
_INFO_HEADER = """##fileformat=VCFv4.2
##source=sandbox instant engine
##contig=<ID={contig}>
##INFO=<ID=AF,Number=1,Type=Float,Description="Estimated Alternate Allele Frequency">
##INFO=<ID=MAF,Number=1,Type=Float,Description="Estimated Minor Allele Frequency">
##INFO=<ID=AVG_CS,Number=1,Type=Float,Description="Average Call Score">
##INFO=<ID=R2,Number=1,Type=Float,Description="Estimated Imputation Accuracy (R-square)">
##INFO=<ID=ER2,Number=1,Type=Float,Description="Empirical (Leave-One-Out) R-square (available only for genotyped variants)">
##INFO=<ID=IMPUTED,Number=0,Type=Flag,Description="Marker was imputed">
##INFO=<ID=TYPED,Number=0,Type=Flag,Description="Marker was genotyped">
"""


@dataclass(frozen=True, slots=True)
class InstantBackend:
    """See the module. Inputs beyond ``limit_bytes`` come back shortened."""

    tools: Tools
    limit_bytes: int
    name: str = "instant"
    quick: bool = True

    def notes(self, options: Options) -> list[str]:
        del options
        return [NOT_IMPUTED]

    def sites(self, build: str, chromosome: str) -> Sites | None:
        del build, chromosome
        return None

    def impute(self, task: Task, bars: Bars, cancel: Cancellation) -> list[Path]:
        """The input under the names of results; every variant of the info file is TYPED alone."""
        label = PHASING_LABELS.get(task.options.phasing)
        for each in filter(None, (label, IMPUTATION_LABEL)):
            bars.begin(Group.IMPUTATION, each, len(task.chunks))
            for _ in task.chunks:
                cancel.check()
                bars.end(Group.IMPUTATION, each)
        prefix = f"chr{task.facts.chromosome}"
        dose = task.scratch / f"{prefix}.dose.vcf.gz"
        marks = [f"##sandbox_note={NOT_IMPUTED}"]
        try:
            whole = bgzf.add_header_lines(
                task.facts.path, dose, [*task.header, *marks], self.limit_bytes
            )
        except ValueError as error:
            raise EngineFailure(Group.IMPUTATION, f"Imputation failed: {error}") from error
        if not whole:
            bars.say(f"The sandbox shortened {prefix} to {self.limit_bytes:,} bytes.")
        info = task.scratch / f"{prefix}.info.gz"
        with bgzf.BgzfWriter(info, level=1) as file:
            for line in _info(task):
                file.write(line)
        files = [dose, info]
        if task.options.meta:
            empirical = task.scratch / f"{prefix}.empiricalDose.vcf.gz"
            os.link(dose, empirical)
            files.append(empirical)
        return files


def _info(task: Task) -> Iterator[bytes]:
    """The sites of the beginning of the input, as Minimac4 describes typed-only ones: R2=1, no ER2."""
    header = _INFO_HEADER.format(contig=task.facts.raw_chromosome)
    note = "" if task.facts.whole else "##sandbox_note=Only the first sites are listed.\n"
    yield f"{header}##sandbox_note={NOT_IMPUTED}\n{note}".encode()
    yield b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    for line in task.facts.beginning:
        variant = Variant.parse(line)
        frequency = variant.alt_frequency
        values = b"TYPED;AF=%g;MAF=%g;AVG_CS=1;R2=1" % (frequency, min(frequency, 1 - frequency))
        cells = (
            variant.chromosome,
            b"%d" % variant.position,
            variant.name,
            variant.ref,
            variant.alt,
            b".",
            b".",
            values,
        )
        yield b"\t".join(cells) + b"\n"
