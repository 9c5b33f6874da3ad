"""The engine without HTTP: checks and their wording, QC decisions, archives, passwords, BGZF."""

import gzip
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox.engine import archive, bgzf, zipwriter
from app.sandbox.engine.inspection import check_together, inspect
from app.sandbox.engine.instant import InstantBackend
from app.sandbox.engine.model import (
    Cancellation,
    Cancelled,
    EngineFailure,
    Group,
    Level,
    Options,
    Sabotage,
    Work,
)
from app.sandbox.engine.pipeline import run
from app.sandbox.engine.qc import QualityControl, Site, Variant, judge_chunks
from app.sandbox.engine.tools import ToolFailed, Tools
from app.sandbox.panels import DEFAULT_PANELS, Panel, find_panel, load_panels
from tests.sandbox.support import unzip
from tests.sandbox.vcf import record, records, write_vcf

PANEL = DEFAULT_PANELS[0]
OPTIONS = Options(panel=PANEL, population="afr", password="fi-secret")
HETEROZYGOUS = ["0/1"] * 25


class Notes:
    """Remembers what the engine says."""

    def __init__(self) -> None:
        self.said: list[tuple[Group, str, Level]] = []
        self.bars: list[tuple[str, int, int]] = []

    def say(self, group: Group, text: str, level: Level = Level.OK) -> None:
        self.said.append((group, text, level))

    def progress(self, group: Group, label: str, done: int, total: int) -> None:
        self.bars.append((label, done, total))


def check(paths: list[Path], options: Options = OPTIONS) -> None:
    check_together([inspect(p, quick=False) for p in paths], options)


def run_instant(tmp_path: Path, inputs: list[Path], options: Options = OPTIONS) -> Notes:
    notes = Notes()
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    work = Work(tuple(inputs), tmp_path / "out", tmp_path / "scratch", options)
    backend = InstantBackend(Tools.find(), 2**20)
    run(work, backend, notes, Cancellation(), tell_password=True)
    return notes


# What the server refuses


REFUSED = {
    "unsorted": ([record(2000, HETEROZYGOUS), record(1000, HETEROZYGOUS)], "unsorted"),
    "two chromosomes": (
        [record(1, HETEROZYGOUS), record(2, HETEROZYGOUS, chromosome="21")],
        "The provided VCF file contains more than one chromosome.",
    ),
    "ref is alt": (
        [record(1, HETEROZYGOUS, ref="A", alt="A")],
        "malformed at variation rs1: reference allele (A) and alternate allele  (A) are the same.",
    ),
    "header only": ([], "No genotypes found in the VCF file."),
    "spaces for tabs": (["20 1000 rs1 A G"], "is not tab-delimited"),
    "no samples": (["20\t1000\trs1\tA\tG\t.\t.\t."], "Index 9 out of bounds for length 8"),
    "position is no number": (
        [record(1, HETEROZYGOUS).replace("\t1\t", "\tx\t", 1)],
        'For input string: "x"',
    ),
    "no valid chromosome": (
        [record(1, HETEROZYGOUS, chromosome="Y")],
        "No valid chromosomes found!",
    ),
    "mitochondrion called M": (
        [record(1, HETEROZYGOUS, chromosome="M")],
        "No valid chromosomes found!",
    ),
    "prefix in hg19": (
        [record(1, HETEROZYGOUS, chromosome="chr20")],
        "Your upload data contains chromosome 'chr20'. This is not a valid hg19 encoding.",
    ),
    "phased, then not": (
        [record(1, ["0|1"] * 25), record(2, HETEROZYGOUS)],
        "File should be phased, but also includes unphased and/or missing genotypes!",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_validation_when_file_is_wrong_then_refused_in_the_servers_words(
    tmp_path: Path, case: str
) -> None:
    lines, message = REFUSED[case]
    with pytest.raises(EngineFailure) as caught:
        check([write_vcf(tmp_path / "a.vcf.gz", lines)])
    assert message in str(caught.value)
    assert caught.value.group == Group.VALIDATION


@pytest.mark.parametrize("quick", [False, True])
def test_validation_when_not_bgzip_or_cut_off_then_malformed(tmp_path: Path, quick: bool) -> None:
    whole = write_vcf(tmp_path / "a.vcf.gz").read_bytes()
    text = gzip.decompress(whole)
    for content in (
        gzip.compress(text),
        text,
        b"<html>",
        b"",
        whole[:-28],
        whole[: len(whole) // 2],
    ):
        path = tmp_path / "b.vcf.gz"
        path.write_bytes(content)
        with pytest.raises(EngineFailure, match=r"The provided VCF file is malformed\."):
            inspect(path, quick=quick)


def test_validation_when_a_block_is_damaged_then_malformed(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf.gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(EngineFailure, match="malformed"):
        inspect(path, quick=False)


def test_validation_when_columns_line_is_missing_then_malformed_header(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf.gz"
    with bgzf.BgzfWriter(path) as file:
        file.write(b"##fileformat=VCFv4.2\n20\t1\t.\tA\tG\t.\t.\t.\tGT\t0/1\n")
    with pytest.raises(EngineFailure, match="malformed header: We never saw the required CHROM"):
        inspect(path, quick=False)


def test_validation_when_sample_is_doubled_then_named(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf.gz", names=[*(f"S{i}" for i in range(24)), "S7"])
    with pytest.raises(EngineFailure, match="Two individuals or more have the following ID: S7"):
        inspect(path, quick=False)


def test_validation_when_sample_counts_differ_then_both_numbers(tmp_path: Path) -> None:
    paths = [
        write_vcf(tmp_path / "a.vcf.gz", samples=25),
        write_vcf(tmp_path / "b.vcf.gz", samples=26, chromosome="21"),
    ]
    with pytest.raises(EngineFailure, match=r"the same amount of samples \(26 vs 25\)"):
        check(paths)


@pytest.mark.parametrize(
    ("samples", "message"),
    [(19, "At least 20 samples must be uploaded."), (31, "The maximum number of samples is 30.")],
)
def test_validation_when_too_few_or_many_samples_then_refused(
    tmp_path: Path, samples: int, message: str
) -> None:
    path = write_vcf(tmp_path / "a.vcf.gz", samples=samples)
    with pytest.raises(EngineFailure, match=message):
        check([path], replace(OPTIONS, max_samples=30))
    check([path], replace(OPTIONS, min_samples=0, max_samples=0))


def test_validation_when_hg38_then_prefix_is_wanted(tmp_path: Path) -> None:
    options = replace(OPTIONS, build="hg38")
    check([write_vcf(tmp_path / "a.vcf.gz", chromosome="chr20")], options)
    with pytest.raises(EngineFailure, match="chromosome is encoded as 'chr20'"):
        check([write_vcf(tmp_path / "b.vcf.gz")], options)


@pytest.mark.parametrize("chromosome", ["1", "22", "23", "X", "MT"])
def test_validation_when_chromosome_is_known_then_accepted(tmp_path: Path, chromosome: str) -> None:
    check([write_vcf(tmp_path / "a.vcf.gz", chromosome=chromosome)])


def test_validation_when_no_phasing_then_only_phased_input(tmp_path: Path) -> None:
    options = replace(OPTIONS, phasing="no_phasing")
    check([write_vcf(tmp_path / "a.vcf.gz", phased=True)], options)
    missing = [record(1, ["0|1"] * 24 + ["./."])]
    for path in (
        write_vcf(tmp_path / "b.vcf.gz"),
        write_vcf(tmp_path / "c.vcf.gz", missing),
    ):
        with pytest.raises(EngineFailure, match="Your input data is unphased"):
            check([path], options)
    check([write_vcf(tmp_path / "d.vcf.gz", chromosome="MT")], options)


def test_quick_look_when_file_is_large_then_reads_the_beginning_only(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf.gz", count=3000, samples=100)
    facts = inspect(path, quick=True)
    assert not facts.whole
    assert 0 < facts.records < 3000
    assert inspect(path, quick=False).records == 3000


# Quality control


SITES = {
    1000: (Site(b"A", b"G", 0.5),),
    2000: (Site(b"A", b"T", 0.5),),
    3000: (Site(b"A", b"G", 0.5), Site(b"A", b"C", 0.1)),
}


@pytest.mark.parametrize(
    ("position", "ref", "alt", "kind", "kept"),
    [
        (1000, "A", "G", "match", True),
        (1000, "G", "A", "allele_switch", True),
        (1000, "T", "C", "strand_flip", False),
        (1000, "C", "T", "flip_and_switch", False),
        (1000, "A", "C", "mismatch", False),
        (2000, "A", "T", "match", True),
        (2000, "T", "A", "palindromic", True),
        (3000, "A", "C", "match", True),
        (4000, "A", "G", "not_found", True),
        (1000, "A", "G,T", "multiallelic", False),
        (1000, "A", "<DEL>", "invalid_alleles", False),
        (1000, "A", "*", "invalid_alleles", False),
        (1000, "AT", "A", "not_snp", False),
    ],
)
def test_qc_when_alleles_are_compared_then_counted_and_kept_or_dropped(
    position: int, ref: str, alt: str, kind: str, kept: bool
) -> None:
    control = QualityControl(25, SITES)
    line = record(position, HETEROZYGOUS, ref=ref, alt=alt).encode()
    assert (control.judge(Variant.parse(line)) is not None) == kept
    assert getattr(control.counts, kind) == 1
    assert len(control.excluded) == control.counts.filtered == (0 if kept else 1)


def test_qc_when_alleles_are_switched_then_genotypes_follow_them() -> None:
    line = record(1000, ["0/0", "0|1", "./.", *["1/1"] * 20], ref="G", alt="A").encode()
    kept = QualityControl(23, SITES).judge(Variant.parse(line))
    assert kept is not None
    cells = kept.decode().rstrip("\n").split("\t")
    assert cells[3:5] == ["A", "G"]
    assert cells[9:13] == ["1/1", "1|0", "./.", "0/0"]


def test_qc_when_other_fields_come_with_gt_then_only_gt_goes_on() -> None:
    line = record(1000, ["30:0/1:x"] * 25, keys="DP:GT:PS").encode()
    kept = QualityControl(25, SITES).judge(Variant.parse(line))
    assert kept is not None
    assert kept.decode().rstrip("\n").split("\t")[8:10] == ["GT", "0/1"]


def test_qc_when_gt_is_missing_then_the_job_fails() -> None:
    with pytest.raises(EngineFailure, match="No GT field found"):
        Variant.parse(record(1000, ["30"] * 25, keys="DP").encode())


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        (record(1000, HETEROZYGOUS, flag="LOWQ"), "filter_flag", "Filter Other"),
        (record(1000, ["0/0"] * 25), "monomorphic", "Monomorphic"),
        (record(1000, ["./."] * 3 + ["0/1"] * 22), "low_call_rate", "Low call rate"),
    ],
)
def test_qc_when_a_record_is_poor_then_dropped_with_the_reason(
    line: str, kind: str, reason: str
) -> None:
    control = QualityControl(25, SITES)
    assert control.judge(Variant.parse(line.encode())) is None
    assert getattr(control.counts, kind) == 1
    assert control.excluded == [f"rs1000\t20\t1000\tA\tG\t{reason}"]


def test_qc_when_position_repeats_then_the_later_is_a_duplicate() -> None:
    control = QualityControl(25, SITES)
    line = record(1000, HETEROZYGOUS).encode()
    assert control.judge(Variant.parse(line))
    assert control.judge(Variant.parse(line)) is None
    assert control.counts.duplicates == 1


def judged(control: QualityControl) -> list[str]:
    chunks = list(control.chunks.values())
    judge_chunks(chunks, PANEL)
    return [chunk.verdict for chunk in chunks]


def test_chunks_when_overlap_count_or_call_rate_is_low_then_left_out() -> None:
    sites = {p: (Site(b"A", b"G", 0.5),) for p in range(1, 11)}
    good, unknown, few, missing = (QualityControl(25, sites) for _ in range(4))
    for position in range(1, 11):
        good.judge(Variant.parse(record(position, HETEROZYGOUS).encode()))
        one_missing = ["./.", *["0/1"] * 24] if position > 4 else HETEROZYGOUS
        missing.judge(Variant.parse(record(position, one_missing).encode()))
    for position in (1, 100, 200):
        unknown.judge(Variant.parse(record(position, HETEROZYGOUS).encode()))
    for position in (1, 2):
        few.judge(Variant.parse(record(position, HETEROZYGOUS).encode()))
    assert judged(good) == [""]
    assert judged(unknown) == ["overlap"]
    assert judged(few) == ["snps"]
    assert judged(missing) == ["call_rate"]


def test_chunks_when_positions_pass_twenty_million_then_another_begins() -> None:
    control = QualityControl(25, None)
    for position in (1, 20_000_000, 20_000_001, 40_000_000):
        control.judge(Variant.parse(record(position, HETEROZYGOUS).encode()))
    found = [(c.start, c.end, c.snps) for c in control.chunks.values()]
    assert found == [(1, 20_000_000, 2), (20_000_001, 40_000_000, 2)]


# The instant engine


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


# Archives and passwords


@pytest.mark.parametrize("aes", [False, True])
@pytest.mark.parametrize("sizes", [(0,), (1, 15, 16, 17), (65_536, 65_537), (200_000,)])
def test_own_zip_when_opened_by_others_then_same_bytes(
    tmp_path: Path, aes: bool, sizes: tuple[int, ...]
) -> None:
    contents = {f"f{size}": bytes(i * 7 % 251 for i in range(size)) for size in sizes}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    target = tmp_path / "a.zip"
    members = [zipwriter.from_file(tmp_path / name) for name in contents]
    zipwriter.write_zip(target, members, "fi-pass", aes=aes)
    assert unzip(target.read_bytes(), "fi-pass") == contents
    program = Tools.find().zip
    if program is not None:
        subprocess.run([program, "t", "-pfi-pass", target], check=True, capture_output=True)


@pytest.mark.parametrize("aes", [False, True])
def test_seal_when_large_then_sevenzip_writes_the_cipher_asked_for(
    tmp_path: Path, aes: bool
) -> None:
    tools = Tools.find()
    if tools.zip is None:
        pytest.skip("7-Zip is not installed")
    content = bytes(i * i % 256 for i in range(1_500_000))
    (tmp_path / "chr20.dose.vcf.gz").write_bytes(content)
    target = tmp_path / "chr_20.zip"
    files = [tmp_path / "chr20.dose.vcf.gz"]
    options = replace(OPTIONS, aes=aes)
    archive.seal(target, files, options, "fi-x", Sabotage(), tools, Cancellation(), quick=False)
    assert (target.read_bytes()[8] == 99) == aes
    assert unzip(target.read_bytes(), "fi-x") == {"chr20.dose.vcf.gz": content}
    assert not target.with_suffix(".log").exists()


@given(st.text(alphabet="abz09 .-_&;#%'^*()[]{}|<>~+=,:?/@\"\\$`", max_size=12))
@settings(max_examples=40, deadline=None)
def test_password_in_shell_when_no_expansion_is_in_it_then_as_bash_reads_it(text: str) -> None:
    # Quotes cannot arrive (they are escaped to entities before), nor is an open backtick or brace of use.
    text = text.replace('"', "").replace("`", "").replace("$", "")
    text = text.rstrip("\\")
    answer = subprocess.run(
        ["bash", "-c", f'printf %s "{text}"'], capture_output=True, check=True, text=True
    )
    assert archive.password_in_shell(text) == answer.stdout


@pytest.mark.parametrize("text", ["a$b c", "a${b}c", "a\\$b", "a`true`b", "a$(true)b", "x\\\\y"])
def test_password_in_shell_when_expanded_then_as_bash_does(text: str) -> None:
    answer = subprocess.run(
        ["bash", "-c", f'printf %s "{text}"'], capture_output=True, check=True, text=True, env={}
    )
    assert archive.password_in_shell(text) == answer.stdout


# Tools


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


# Panels


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
