"""The pipeline with the instant engine, without HTTP; and the table of panels."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from app.sandbox.engine import bgzf
from app.sandbox.engine.instant import InstantBackend
from app.sandbox.engine.model import (
    Cancellation,
    Cancelled,
    EngineFailure,
    Group,
    Level,
    Options,
    Work,
)
from app.sandbox.engine.pipeline import run
from app.sandbox.engine.tools import Tools
from app.sandbox.panels import DEFAULT_PANELS, Panel, find_panel, load_panels
from tests.sandbox.support import OPTIONS, unzip
from tests.sandbox.vcf import HETEROZYGOUS, record, records, write_vcf


class Notes:
    """Remembers what the engine says."""

    def __init__(self) -> None:
        self.said: list[tuple[Group, str, Level]] = []
        self.bars: list[tuple[str, int, int]] = []

    def say(self, group: Group, text: str, level: Level = Level.OK) -> None:
        self.said.append((group, text, level))

    def progress(self, group: Group, label: str, done: int, total: int) -> None:
        self.bars.append((label, done, total))


def run_instant(tmp_path: Path, inputs: list[Path], options: Options = OPTIONS) -> Notes:
    notes = Notes()
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    work = Work(tuple(inputs), tmp_path / "out", tmp_path / "scratch", options)
    backend = InstantBackend(Tools.find(), 2**20)
    run(work, backend, notes, Cancellation(), tell_password=True)
    return notes


def test_instant_when_run_then_input_comes_back_marked_and_unchanged(tmp_path: Path) -> None:
    vcf = write_vcf(tmp_path / "a.vcf.gz")
    notes = run_instant(tmp_path, [vcf])
    members = unzip((tmp_path / "out" / "chr_20.zip").read_bytes(), "fi-secret")
    dose = gzip.decompress(members["chr20.dose.vcf.gz"]).decode().splitlines()
    given_lines = gzip.decompress(vcf.read_bytes()).decode().splitlines()
    added = [line for line in dose if line not in given_lines]
    assert [line for line in dose if line in given_lines] == given_lines
    assert added[:3] == [
        "##mis_pipeline=2.0.12",
        "##mis_phasing=eagle",
        "##mis_panel=h3africa-sandbox",
    ]
    assert "NOT IMPUTED" in added[3]
    assert any("NOT IMPUTED" in text for _, text, _ in notes.said)
    assert "NOT IMPUTED" in (tmp_path / "out" / "quality-control.html").read_text()


def test_instant_when_run_then_info_is_a_sites_vcf_of_typed_variants(tmp_path: Path) -> None:
    run_instant(tmp_path, [write_vcf(tmp_path / "a.vcf.gz")])
    members = unzip((tmp_path / "out" / "chr_20.zip").read_bytes(), "fi-secret")
    lines = gzip.decompress(members["chr20.info.gz"]).decode().splitlines()
    assert any(line.startswith("##INFO=<ID=R2,") for line in lines)
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    assert len(rows) == 30
    assert {len(row) for row in rows} == {8}
    assert all(row[7].startswith("TYPED;AF=") and row[7].endswith(";R2=1") for row in rows)


def test_instant_when_input_is_too_large_then_shortened_at_a_line_and_said_so(
    tmp_path: Path,
) -> None:
    noise = [chr(33 + (i * i * 7919) % 90) for i in range(4000)]
    lines = [
        f"{record(1000 + i, HETEROZYGOUS, keys='GT:XX')}:{''.join(noise[i % 4000 :])}"
        for i in range(600)
    ]
    vcf = write_vcf(tmp_path / "a.vcf.gz", lines)
    limit = vcf.stat().st_size // 2
    short = tmp_path / "short.vcf.gz"
    assert not bgzf.add_header_lines(vcf, short, ["##x=1"], limit)
    assert bgzf.is_whole(short)
    kept = gzip.decompress(short.read_bytes()).decode().splitlines()[4:]
    assert 0 < len(kept) < 600
    assert kept == lines[: len(kept)]


def test_pipeline_when_build_differs_from_the_panels_then_clear_message_and_report(
    tmp_path: Path,
) -> None:
    vcf = write_vcf(tmp_path / "a.vcf.gz", chromosome="chr20")
    with pytest.raises(EngineFailure):
        run_instant(tmp_path, [vcf], replace(OPTIONS, build="hg38"))
    report = (tmp_path / "out" / "qc_report.txt").read_text()
    assert "::warning:: Uploaded data is hg38 and reference is hg19." in report
    assert "::error:: Chain file hg38ToHg19.over.chain.gz not found." in report


@pytest.mark.parametrize(
    ("panel", "population", "message"),
    [
        (DEFAULT_PANELS[0], "AFR", ""),
        (DEFAULT_PANELS[0], None, ""),
        (DEFAULT_PANELS[1], None, "Population 'off' is not supported"),
        (DEFAULT_PANELS[1], "eas", "Available populations:\n - afr\n - eur\n - all"),
        (Panel("plain", "Plain"), None, ""),
        (Panel("plain", "Plain"), "afr", "Population 'afr' is not supported"),
    ],
)
def test_pipeline_when_population_is_asked_then_the_panel_decides(
    tmp_path: Path, panel: Panel, population: str | None, message: str
) -> None:
    vcf = write_vcf(tmp_path / "a.vcf.gz")
    options = replace(OPTIONS, panel=panel, population=population)
    if not message:
        run_instant(tmp_path, [vcf], options)
        return
    with pytest.raises(EngineFailure) as caught:
        run_instant(tmp_path, [vcf], options)
    assert message in str(caught.value)


def test_pipeline_when_cancelled_then_says_so(tmp_path: Path) -> None:
    notes, cancel = Notes(), Cancellation()
    cancel.cancel()
    work = Work((write_vcf(tmp_path / "a.vcf.gz"),), tmp_path, tmp_path, OPTIONS)
    with pytest.raises(Cancelled):
        run(work, InstantBackend(Tools.find(), 2**20), notes, cancel, tell_password=True)
    assert notes.said[-1] == (Group.SUMMARY, "Imputation job canceled.", Level.ERROR)


@pytest.mark.parametrize(
    "submitted",
    [
        "apps@h3africa-sandbox@1.0.0",
        "apps@h3africa-sandbox",
        "h3africa-sandbox@1.0.0",
        "h3africa-sandbox",
    ],
)
def test_panel_when_prefix_or_version_is_left_out_then_found(submitted: str) -> None:
    assert find_panel(DEFAULT_PANELS, submitted) is DEFAULT_PANELS[0]
    assert find_panel(DEFAULT_PANELS, f"{submitted}x") is None


def test_panels_when_read_from_a_file_then_as_written(tmp_path: Path) -> None:
    path = tmp_path / "panels.json"
    path.write_text('[{"id": "a", "title": "A (GRCh38/hg38)", "build": "hg38"}]')
    assert load_panels(path) == (Panel(id="a", title="A (GRCh38/hg38)", build="hg38"),)
    path.write_text('[{"id": 1}]')
    with pytest.raises(ValueError, match=r"panels\.json"):
        load_panels(path)


def test_records_when_made_then_bcftools_would_read_them(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf.gz", records(5, 20), samples=20)
    assert len(list(bgzf.Lines(path))) == 8
