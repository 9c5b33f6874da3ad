"""Which records and chunks the quality control drops, and how it counts them."""

import pytest

from app.sandbox.engine.model import (
    EngineFailure,
)
from app.sandbox.engine.qc import QualityControl, Site, Variant, judge_chunks
from app.sandbox.panels import DEFAULT_PANELS
from tests.sandbox.vcf import HETEROZYGOUS, record

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
    judge_chunks(chunks, DEFAULT_PANELS[0])
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
