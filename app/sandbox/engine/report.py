"""The reports of a run: what is said of the QC, and the unencrypted files that go with the results.

Wording: imputationserver-utils ``QualityControlCommand``, ``OutputWriter`` and the ``fastqc.io`` writers.
"""

import html
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from app.sandbox.engine.model import EngineFailure, Group, Level, Reporter
from app.sandbox.engine.qc import Chunk, Counts
from app.sandbox.panels import Panel

_FORCED = {
    "strand_flips": "\n<b>Error:</b> More than 100 obvious strand flips have been detected. "
    "Please check strand. Imputation cannot be started!",
    "allele_switches": "<br><b>Error:</b> More than 100 allele switches have been detected. "
    "Imputation cannot be started!",
    "no_chunks": "\n<b>Error:</b> No chunks passed the QC step. Imputation cannot be started!",
}
_TYPES = {Level.OK: "message", Level.ERROR: "error", Level.WARNING: "warning"}
_CHUNK_WARNINGS = (
    ("snps", "< {panel.min_snps} SNPs (see chunks-excluded.txt for details)."),
    (
        "call_rate",
        "at least one sample has a call rate < {call_rate}% (see chunks-excluded.txt for details).",
    ),
    ("overlap", "reference overlap < {overlap}% (see  chunks-excluded.txt for details)."),
)


class QcReport:
    """Says the QC messages, and writes them to ``qc_report.txt`` at the same time."""

    def __init__(self, output: Path, reporter: Reporter) -> None:
        self._path = output / "qc_report.txt"
        self._reporter = reporter
        self._path.write_text("")
        self.texts: list[str] = []

    def say(self, lines: list[str], level: Level = Level.OK) -> None:
        self._reporter.say(Group.QC, "\n".join(lines), level)
        self.texts.extend(lines)
        kind = _TYPES[level]
        body = (
            [f"::{kind}:: {lines[0]}"]
            if len(lines) == 1
            else [f"::group type={kind}::", *lines, "::endgroup::"]
        )
        with self._path.open("a") as report:
            report.write("\n".join(body) + "\n")

    def fail(self, lines: list[str]) -> EngineFailure:
        """What to raise; the text is in the report file already."""
        self.say(lines, Level.ERROR)
        return EngineFailure(Group.QC, "")


def statistics_text(counts: Counts) -> list[str]:
    """The first message of the QC."""
    seen = counts.found + counts.not_found
    overlap = counts.found / seen * 100 if seen else 0.0
    return [
        "<b>Statistics:</b>",
        f"Alternative allele frequency > 0.5 sites: {counts.alternative_alleles:,}",
        f"Reference Overlap: {overlap:.2f} %",
        f"Match: {counts.match:,}",
        f"Allele switch: {counts.allele_switch:,}",
        f"Strand flip: {counts.strand_flip:,}",
        f"Strand flip and allele switch: {counts.flip_and_switch:,}",
        f"A/T, C/G genotypes: {counts.palindromic:,}",
        "<b>Filtered sites:</b>",
        f"Filter flag set: {counts.filter_flag:,}",
        f"Invalid alleles: {counts.invalid_alleles:,}",
        f"Multiallelic sites: {counts.multiallelic:,}",
        f"Duplicated sites: {counts.duplicates:,}",
        f"NonSNP sites: {counts.not_snp:,}",
        f"Monomorphic sites: {counts.monomorphic:,}",
        f"Allele mismatch: {counts.mismatch:,}",
        f"SNPs call rate < 90%: {counts.low_call_rate:,}",
    ]


def conclusion_text(counts: Counts, chunks: list[Chunk], panel: Panel) -> list[str]:
    """The second message of the QC, without the error that may end it."""
    text = [
        f"Excluded sites in total: {counts.filtered:,}",
        f"Remaining sites in total: {counts.remaining:,}",
    ]
    if counts.filtered:
        text.append("See snps-excluded.txt for details")
    if counts.not_found:
        text += [f"Typed only sites: {counts.not_found:,}", "See typed-only.txt for details"]
    dropped = [chunk for chunk in chunks if chunk.verdict]
    for verdict, reason in _CHUNK_WARNINGS:
        count = sum(chunk.verdict == verdict for chunk in dropped)
        if count:
            why = reason.format(
                panel=panel, call_rate=panel.sample_call_rate * 100, overlap=panel.overlap * 100
            )
            text.append(f"\n<b>Warning:</b> {count:,} Chunk(s) excluded: {why}")
    if dropped:
        text.append(f"\nRemaining chunk(s): {len(chunks) - len(dropped):,}")
    return text


def error_text(counts: Counts, chunks: list[Chunk], panel: Panel, forced: str) -> str | None:
    """Why the QC stops the job, or None. ``forced`` names a trouble to pretend."""
    if forced in _FORCED:
        return _FORCED[forced]
    if all(chunk.verdict for chunk in chunks):
        return _FORCED["no_chunks"]
    if counts.strand_flip + counts.flip_and_switch > panel.strand_flips:
        return (
            f"\n<b>Error:</b> More than {panel.strand_flips} obvious strand flips have been detected. "
            "Please check strand. Imputation cannot be started!"
        )
    if counts.allele_switch + counts.flip_and_switch > panel.allele_switches:
        return (
            f"<br><b>Error:</b> More than {panel.allele_switches} allele switches have been detected. "
            "Imputation cannot be started!"
        )
    return None


def total(parts: Iterable[Counts]) -> Counts:
    """The counts of several files together."""
    whole = Counts()
    for part in parts:
        for f in fields(Counts):
            setattr(whole, f.name, getattr(whole, f.name) + getattr(part, f.name))
    return whole


def write_statistics(
    output: Path, excluded: list[str], typed_only: list[str], chunks: list[Chunk], panel: Panel
) -> None:
    """The files of ``statistics/``; as with the servers a file without a row is not there."""
    folder = output / "statistics"
    folder.mkdir(exist_ok=True)
    site = "ID\tCHROM\tPOS\tREF\tALT"
    lost = [
        f"chunk_{c.chromosome}_{c.start:010d}_{c.end:010d}\t{c.snps}\t{c.overlap}"
        f"\t{c.low_samples(panel.sample_call_rate) if c.snps else 0}"
        for c in chunks
        if c.verdict
    ]
    for name, head, rows in (
        ("snps-excluded.txt", f"{site}\tINFO", excluded),
        ("snps-typed-only.txt", site, typed_only),
        ("chunks-excluded.txt", "CHUNK\tSNPS\tREFERENCE_OVERLAP\tSAMPLES_LOW_CALL_RATE", lost),
    ):
        if rows:
            (folder / name).write_text("\n".join([head, *rows]) + "\n")


def write_html(
    output: Path, title: str, notes: list[str], texts: list[str], points: list[tuple[float, float]]
) -> None:
    """``quality-control.html``: one self-contained page with the messages and the frequencies."""
    step = max(1, len(points) // 1000)
    dots = "".join(
        f'<circle cx="{10 + 300 * panel:.1f}" cy="{310 - 300 * own:.1f}" r="1.5"/>'
        for own, panel in points[::step]
    )
    said = "".join(f"<p>{text.strip()}</p>\n" for text in texts)
    marks = "".join(f"<p><em>{html.escape(note)}</em></p>\n" for note in notes)
    (output / "quality-control.html").write_text(
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Quality Control Report</title></head>
<body><h1>Quality Control Report</h1><p>{html.escape(title)}</p>
{marks}<h2>QC Statistics</h2>
{said}<h2>Allele frequencies: panel (across) and upload (up), {len(points):,} sites</h2>
<svg viewBox="0 0 320 320" width="480" role="img" aria-label="Allele frequency of the upload by that of the panel">
<rect x="10" y="10" width="300" height="300" fill="none" stroke="gray"/>
<line x1="10" y1="310" x2="310" y2="10" stroke="silver"/>{dots}</svg>
</body></html>
"""
    )
