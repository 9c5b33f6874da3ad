"""Several files against each other, and files against the form."""

import msgspec
import pytest

from app.genotypes.builds import CONTIG_LENGTHS, guess_build
from app.genotypes.facts import COUNT_KEYS, VcfFacts
from app.genotypes.fileset import check_phasing, check_set
from app.genotypes.findings import Code


def facts(chromosome: str = "20", **changes: object) -> VcfFacts:
    made = VcfFacts(
        name=f"chr{chromosome}.vcf.gz",
        chromosome=chromosome,
        has_chr_prefix=False,
        n_samples=200,
        samples_sha256="a" * 64,
        n_variants=1_000,
        first_position=1,
        last_position=1_000_000,
        phased=True,
        has_missing=False,
        contig_length=None,
        build_guess=None,
        build_evidence="",
        size_bytes=1,
        uncompressed_bytes=1,
        vcf_version="4.2",
        counts=dict.fromkeys(COUNT_KEYS, 0),
        warnings=(),
    )
    return msgspec.structs.replace(made, **changes)


def codes(*files: VcfFacts, build: str = "hg19") -> list[str]:
    return [finding.code for finding in check_set(files, build)]


def test_check_set_when_files_fit_then_finds_nothing() -> None:
    assert codes(facts("1"), facts("2"), facts("X")) == []
    assert codes(facts("1", has_chr_prefix=True), build="hg38") == []
    assert codes() == []


@pytest.mark.parametrize("pair", [("20", "20"), ("X", "23"), ("23", "X")])
def test_check_set_when_a_chromosome_is_in_two_files_then_refuses(pair: tuple[str, str]) -> None:
    assert codes(*map(facts, pair)) == [Code.CHROMOSOME_TWICE]


def test_check_set_when_sample_numbers_differ_then_names_both() -> None:
    found = check_set([facts("1"), facts("2"), facts("3", n_samples=199)], "hg19")
    assert [finding.code for finding in found] == [Code.SAMPLE_COUNTS_DIFFER]
    assert found[0].message == "chr1.vcf.gz has 200 samples, but chr3.vcf.gz has 199."


def test_check_set_when_sample_ids_or_their_order_differ_then_refuses() -> None:
    assert codes(facts("1"), facts("2", samples_sha256="b" * 64)) == [Code.SAMPLES_DIFFER]


@pytest.mark.parametrize(
    ("build", "prefixed", "rename"),
    [("hg19", True, "echo 'chr20 20'"), ("hg38", False, "echo '20 chr20'")],
)
def test_check_set_when_prefix_does_not_fit_the_build_then_tells_how_to_rename(
    build: str, rename: str, *, prefixed: bool
) -> None:
    found = check_set([facts(has_chr_prefix=prefixed)], build)
    assert [finding.code for finding in found] == [Code.PREFIX_MISMATCH]
    assert rename in found[0].action
    assert "bcftools annotate --rename-chrs" in found[0].action


def test_check_set_when_header_names_the_other_build_then_only_warns() -> None:
    found = check_set([facts(build_guess="hg38", build_evidence="contig length")], "hg19")
    assert [(each.code, each.severity) for each in found] == [(Code.BUILD_MISMATCH, "warning")]


def test_check_set_when_position_is_behind_the_chromosome_in_the_build_then_refuses() -> None:
    only_hg19 = facts("22", last_position=51_000_000, build_guess="hg19", has_chr_prefix=True)
    found = check_set([only_hg19], "hg38")
    assert [(each.code, each.severity) for each in found] == [(Code.BUILD_MISMATCH, "error")]


def test_check_set_when_errors_and_warnings_are_found_then_errors_come_first() -> None:
    warned = facts("1", build_guess="hg38", build_evidence="contig length")
    found = check_set([warned, facts("2", has_chr_prefix=True)], "hg19")
    assert [each.severity for each in found] == ["error", "warning"]


@pytest.mark.parametrize("engine", [None, "", "no_phasing"])
def test_check_phasing_when_no_engine_and_unphased_then_refuses(engine: str | None) -> None:
    files = [facts("1"), facts("2", phased=False), facts("MT", phased=False)]
    assert [each.message[:12] for each in check_phasing(files, engine)] == ["chr2.vcf.gz "]


def test_check_phasing_when_an_engine_is_chosen_then_takes_unphased_data() -> None:
    assert check_phasing([facts(phased=False)], "eagle") == []


@pytest.mark.parametrize(
    ("chromosome", "contig", "last", "named", "expected", "doubtful"),
    [
        ("20", 63_025_520, 1, set(), "hg19", False),
        ("20", 64_444_167, 1, set(), "hg38", False),
        ("23", 156_040_895, 1, set(), "hg38", False),
        ("20", None, 64_000_000, set(), "hg38", False),
        ("22", None, 51_000_000, {"hg38"}, "hg19", False),
        ("22", 50_818_468, 51_000_000, set(), "hg19", True),  # lifted over, with the old header
        ("22", 50_818_468, 52_000_000, set(), None, True),
        ("20", 12_345, 1, set(), None, False),
        ("20", None, 1, {"hg38"}, "hg38", False),
        ("20", None, 1, {"hg19", "hg38"}, None, False),
        ("MT", 16_569, 1, set(), None, False),
    ],
)
def test_guess_build_when_evidence_varies_then_the_surest_wins(
    chromosome: str,
    contig: int | None,
    last: int,
    named: set[str],
    expected: str | None,
    *,
    doubtful: bool,
) -> None:
    guess = guess_build(chromosome, contig, last, named)
    assert (guess.build, guess.doubtful) == (expected, doubtful)
    assert guess.evidence


def test_contig_lengths_when_listed_then_no_length_occurs_twice() -> None:
    lengths = [length for pair in CONTIG_LENGTHS.values() for length in pair]
    assert len(set(lengths)) == 46
