"""What the validation refuses, and in which words."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from app.sandbox.engine import bgzf
from app.sandbox.engine.inspection import check_together, inspect
from app.sandbox.engine.model import (
    EngineFailure,
    Group,
    Options,
)
from tests.sandbox.support import OPTIONS
from tests.sandbox.vcf import HETEROZYGOUS, record, write_vcf


def check(paths: list[Path], options: Options = OPTIONS) -> None:
    check_together([inspect(p, quick=False) for p in paths], options)


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
