"""The whole check: what it learns from a good file, and what it says about each kind of broken one."""

import hashlib
import shlex
from pathlib import Path

import pytest

from app.genotypes.bgzf import EOF_BLOCK
from app.genotypes.facts import COUNT_KEYS, InspectLimits
from app.genotypes.findings import Code, InspectionError, StructureError
from app.genotypes.structure import inspect_file
from tests.genotypes.vcf_files import bgzf, header, inspect_bytes, plain_gzip, record, vcf

GOOD = bgzf(vcf())


def refusal(
    folder: Path,
    content: bytes,
    *,
    name: str = "cohort.vcf.gz",
    limits: InspectLimits | None = None,
) -> StructureError:
    with pytest.raises(StructureError) as caught:
        inspect_bytes(folder, content, name=name, limits=limits)
    return caught.value


def test_inspect_when_file_is_good_then_gives_its_facts(tmp_path: Path) -> None:
    text = (
        header(["NA1", "NA2"], "##contig=<ID=chr20,assembly=x,length=64444167>", version="VCFv4.3")
        + record(100, chromosome="chr20")
        + record(200, chromosome="chr20", ref="A", alt="AT", genotypes=["0|0", "1|1"])
        + record(200, chromosome="chr20", alt="C,T", filtered="q10", genotypes=["0|2", "1|1"])
        + record(300, chromosome="chr20", alt=".", filtered=".", genotypes=["0|0", "0|0"])
    )

    content = bgzf(text)
    facts = inspect_bytes(tmp_path, content)

    assert (facts.chromosome, facts.has_chr_prefix) == ("20", True)
    assert (facts.n_samples, facts.n_variants) == (2, 4)
    assert facts.samples_sha256 == hashlib.sha256(b"NA1\tNA2").hexdigest()
    assert (facts.first_position, facts.last_position) == (100, 300)
    assert (facts.phased, facts.has_missing) == (True, False)
    assert (facts.contig_length, facts.build_guess) == (64444167, "hg38")
    assert (facts.size_bytes, facts.uncompressed_bytes) == (len(content), len(text))
    assert facts.vcf_version == "4.3"
    assert facts.counts == {
        "snp": 1,
        "non_snp": 3,
        "multiallelic": 1,
        "no_alt": 1,
        "filtered": 1,
        "duplicate_sites": 0,
        "shared_positions": 1,
        "unphased": 0,
    }
    assert set(facts.counts) == set(COUNT_KEYS)
    assert {finding.code for finding in facts.warnings} == {
        Code.FEW_SAMPLES,
        Code.MULTIALLELIC_SITES,
        Code.NON_SNP_SITES,
        Code.FILTERED_SITES,
    }
    assert all(finding.severity == "warning" for finding in facts.warnings)


@pytest.mark.parametrize(
    ("form", "genotypes", "phased", "missing"),
    [
        ("GT", ["0|1", "1|1"], True, False),
        ("GT", ["0/1", "1|1"], False, False),
        ("GT", ["1|1", "./."], False, True),
        ("GT", [".|.", "1|1"], True, True),
        ("GT", [".", "1"], True, True),
        ("GT", ["0|.", "1|1"], True, True),
        ("GT:DS", ["0|1:0.9", "1|1:2.0"], True, False),
        ("GT:DS", ["0|0:0.1", "1|.:2.0"], True, True),
        ("GT:DS", [".:0.1", "1:2.0"], True, True),
        ("GT:DS", ["0|0:0.1", "./.:."], False, True),
        ("GT:PS", ["0|0:.", "1|1"], True, False),
    ],
)
def test_inspect_when_genotypes_vary_then_tells_phase_and_missing(
    tmp_path: Path, form: str, genotypes: list[str], *, phased: bool, missing: bool
) -> None:
    text = vcf(record(1), record(2, info="AF=0.5", form=form, genotypes=genotypes))
    facts = inspect_bytes(tmp_path, bgzf(text))
    assert (facts.phased, facts.has_missing) == (phased, missing)


def test_inspect_when_sites_repeat_then_counts_each_copy(tmp_path: Path) -> None:
    records = [record(5), record(5, alt="C"), record(5), record(5, alt="C"), record(9), record(9)]
    facts = inspect_bytes(tmp_path, bgzf(vcf(*records)))
    assert (facts.counts["shared_positions"], facts.counts["duplicate_sites"]) == (4, 3)
    assert Code.DUPLICATE_SITES in {finding.code for finding in facts.warnings}


@pytest.mark.parametrize("block_bytes", [1, 7, 100, 65280])
def test_inspect_when_blocks_are_of_any_size_then_facts_are_the_same(
    tmp_path: Path, block_bytes: int
) -> None:
    text = vcf(*(record(position) for position in range(1, 60)))
    facts = inspect_bytes(tmp_path, bgzf(text, block_bytes))
    assert (facts.n_variants, facts.last_position) == (59, 59)


def test_inspect_when_files_were_joined_with_cat_then_reads_on_behind_the_inner_end(
    tmp_path: Path,
) -> None:
    content = bgzf(vcf(record(1))) + bgzf(record(2))
    assert inspect_bytes(tmp_path, content).n_variants == 2


def test_inspect_when_batch_ends_with_header_then_reads_the_records(tmp_path: Path) -> None:
    filler = "##filler=" + "x" * 70_000
    lines = [filler] * 8
    text = header(["A", "B"], *lines)
    content = bgzf(text)[: -len(EOF_BLOCK)] + bgzf(record(7))
    assert inspect_bytes(tmp_path, content).first_position == 7


@pytest.mark.parametrize("chromosome", ["1", "22", "23", "X", "MT", "chr1", "chrX", "chrMT"])
def test_inspect_when_chromosome_is_known_then_accepts_it(tmp_path: Path, chromosome: str) -> None:
    facts = inspect_bytes(tmp_path, bgzf(vcf(record(1, chromosome=chromosome))))
    assert facts.chromosome == chromosome.removeprefix("chr")


@pytest.mark.parametrize(
    "alt", ["a", "N", "*", "<DEL>", "C,<DEL>", "G]17:198982]", "]13:1]T", "G."]
)
def test_inspect_when_alt_is_unusual_but_legal_then_accepts_it(tmp_path: Path, alt: str) -> None:
    assert inspect_bytes(tmp_path, bgzf(vcf(record(1, ref="T", alt=alt)))).counts["non_snp"] == 1


WHOLE_FILE_CASES = {
    "empty": (b"", Code.EMPTY_FILE),
    "nothing inside": (EOF_BLOCK, Code.EMPTY_FILE),
    "one byte": (b"\x1f", Code.TRUNCATED),
    "plain VCF": (vcf().encode(), Code.PLAIN_VCF),
    "gzip": (plain_gzip(vcf()), Code.NOT_BGZIP),
    "no end-of-file block": (GOOD[: -len(EOF_BLOCK)], Code.TRUNCATED),
    "something appended": (GOOD + b"\n", Code.TRUNCATED),
    "gzip appended": (GOOD + plain_gzip(vcf()) + EOF_BLOCK, Code.CORRUPT),
    "zeros inside": (GOOD[: -len(EOF_BLOCK)] + bytes(64) + EOF_BLOCK, Code.CORRUPT),
    "cut block inside": (GOOD[:-40] + EOF_BLOCK, Code.CORRUPT),
    "checksum": (GOOD[:-36] + b"\0\0\0\0" + GOOD[-32:], Code.CORRUPT),
    "length": (GOOD[:-32] + bytes([GOOD[-32] + 1]) + GOOD[-31:], Code.CORRUPT),
}


@pytest.mark.parametrize("case", WHOLE_FILE_CASES)
def test_inspect_when_file_is_no_whole_bgzf_then_refuses_it(tmp_path: Path, case: str) -> None:
    content, code = WHOLE_FILE_CASES[case]
    assert refusal(tmp_path, content).finding.code == code


HEADER_CASES = {
    "no header": (record(1), Code.NOT_A_VCF),
    "only #CHROM": (header().split("\n", 1)[1] + record(1), Code.NO_VCF_HEADER),
    "byte order mark": ("\ufeff" + vcf(), Code.NO_VCF_HEADER),
    "wrong first line": ("##source=x\n" + vcf(), Code.NO_VCF_HEADER),
    "garbled version": (header(version="VCFv4") + record(1), Code.NO_VCF_HEADER),
    "version 3.3": (header(version="VCFv3.3") + record(1), Code.OLD_VCF_VERSION),
    "no #CHROM": ("##fileformat=VCFv4.2\n" + record(1), Code.NO_COLUMN_LINE),
    "ends in the header": ("##fileformat=VCFv4.2\n##x=1\n", Code.NO_COLUMN_LINE),
    "spaces": ((header() + record(1)).replace("\t", " "), Code.BAD_COLUMN_LINE),
    "column missing": (header().replace("\tQUAL", "") + record(1), Code.BAD_COLUMN_LINE),
    "sites only": (header([]).replace("\tFORMAT", "") + record(1), Code.NO_SAMPLES),
    "no samples": (header([]) + record(1, genotypes=[]), Code.NO_SAMPLES),
    "doubled sample": (header(["A", "B", "A"]) + record(1), Code.DUPLICATE_SAMPLE),
    "empty sample": (header(["A", ""]) + record(1), Code.EMPTY_SAMPLE_ID),
    "Windows": (vcf().replace("\n", "\r\n"), Code.WINDOWS_LINE_ENDS),
    "ends with #CHROM": (header(), Code.NO_RECORDS),
    "ends in #CHROM": (header().rstrip("\n"), Code.NO_RECORDS),
}


@pytest.mark.parametrize("case", HEADER_CASES)
def test_inspect_when_header_is_broken_then_refuses_it(tmp_path: Path, case: str) -> None:
    text, code = HEADER_CASES[case]
    assert refusal(tmp_path, bgzf(text)).finding.code == code


RECORD_CASES = {
    "too few columns": (record(9, genotypes=["0|1"]), Code.WRONG_COLUMNS, "10 columns"),
    "too many columns": (record(9, genotypes=["0|1"] * 3), Code.WRONG_COLUMNS, "12 columns"),
    "empty line": ("\n", Code.WRONG_COLUMNS, "empty"),
    "spaces": (record(9).replace("\t", " "), Code.WRONG_COLUMNS, "spaces"),
    "short line before a long one": ("20\t9\n" + record(10), Code.WRONG_COLUMNS, "2 columns"),
    "no GT": (record(9, form="DS", genotypes=["1", "0"]), Code.NO_GENOTYPES, "DS"),
    "GT not first": (record(9, form="DS:GT", genotypes=["1:0|1"] * 2), Code.GT_NOT_FIRST, "DS:GT"),
    "a key that begins like GT": (record(9, form="GTX"), Code.NO_GENOTYPES, "GTX"),
    "letters as genotype": (record(9, genotypes=["A/G", "0|1"]), Code.BAD_GENOTYPE, "sample 1"),
    "empty genotype": (record(9, genotypes=["0|1", ""]), Code.BAD_GENOTYPE, "sample 2 is empty"),
    "half a genotype": (record(9, genotypes=["0|1", "0|"]), Code.BAD_GENOTYPE, "sample 2"),
    "unsorted": (record(4), Code.NOT_SORTED, "position 4 comes after 5"),
    "another chromosome": (record(9, chromosome="21"), Code.SEVERAL_CHROMOSOMES, "21 follows 20"),
    "mixed prefix": (record(9, chromosome="chr20"), Code.SEVERAL_CHROMOSOMES, "chr20 follows 20"),
    "position in letters": (record("x"), Code.BAD_POSITION, "x"),
    "position of a spreadsheet": (record("1.2E+08"), Code.BAD_POSITION, "1.2E+08"),
    "position with underscore": (record("1_0"), Code.BAD_POSITION, "1_0"),
    "negative position": (record(-9), Code.BAD_POSITION, "-9"),
    "zero position": (record(0), Code.BAD_POSITION, "0"),
    "empty position": (record(""), Code.BAD_POSITION, "empty"),
    "endless position": (record("9" * 5000), Code.BAD_POSITION, "9"),
    "position no index can hold": (record(2**29), Code.BAD_POSITION, "536870912"),
    "insertion code": (record(9, ref="I", alt="D"), Code.BAD_REF, "REF is I"),
    "empty REF": (record(9, ref=""), Code.BAD_REF, "REF is "),
    "ambiguity code": (record(9, ref="R"), Code.BAD_REF, "REF is R"),
    "number as ALT": (record(9, alt="1"), Code.BAD_ALT, "ALT is 1"),
    "empty ALT": (record(9, alt=""), Code.BAD_ALT, "ALT is "),
    "comma too many": (record(9, alt="C,"), Code.BAD_ALT, "C,"),
    "dot among ALT": (record(9, alt="C,."), Code.BAD_ALT, "C,."),
    "REF as ALT": (record(9, alt="A"), Code.REF_EQUALS_ALT, "both A"),
    "REF as ALT in small letters": (record(9, alt="a"), Code.REF_EQUALS_ALT, "both A"),
    "REF among ALT": (record(9, alt="C,A"), Code.REF_EQUALS_ALT, "both A"),
}


@pytest.mark.parametrize("case", RECORD_CASES)
def test_inspect_when_record_is_broken_then_names_line_and_reason(
    tmp_path: Path, case: str
) -> None:
    line, code, words = RECORD_CASES[case]
    finding = refusal(tmp_path, bgzf(header() + record(5) + line)).finding
    assert finding.code == code
    assert finding.message.startswith("cohort.vcf.gz, line 4: ")
    assert words in finding.message
    assert finding.action
    assert "FILE" not in finding.action


@pytest.mark.parametrize(
    "chromosome", ["Y", "chrY", "M", "chrM", "24", "chr01", "X ", "", "GL000192"]
)
def test_inspect_when_chromosome_is_unknown_then_refuses_it(
    tmp_path: Path, chromosome: str
) -> None:
    error = refusal(tmp_path, bgzf(vcf(record(1, chromosome=chromosome))))
    assert error.finding.code == Code.UNKNOWN_CHROMOSOME


def test_inspect_when_last_line_is_cut_then_refuses_it(tmp_path: Path) -> None:
    finding = refusal(tmp_path, bgzf(vcf(record(1), record(2)).rstrip("\n"))).finding
    assert finding.code == Code.LAST_LINE_CUT
    assert "line 4" in finding.message


def test_inspect_when_line_far_inside_is_broken_then_names_its_line(tmp_path: Path) -> None:
    lines = [record(position) for position in range(1, 20_001)]
    lines[15_000] = record(15_001, genotypes=["0|1"])
    assert "line 15003:" in refusal(tmp_path, bgzf(vcf(*lines))).finding.message


def test_inspect_when_genotypes_go_wrong_far_inside_then_notices_if_they_stay_wrong(
    tmp_path: Path,
) -> None:
    good = [record(position) for position in range(1, 301)]
    bad = [record(position, genotypes=["A|G", "A|A"]) for position in range(301, 1_001)]
    assert refusal(tmp_path, bgzf(vcf(*good, *bad))).finding.code == Code.BAD_GENOTYPE


SMALL = InspectLimits(max_samples=3, max_header_bytes=5_000, max_line_bytes=2_000)
LIMIT_CASES = {
    "samples": (header("ABCD") + record(1, genotypes=["0|0"] * 4), Code.TOO_MANY_SAMPLES),
    "header lines": (header("AB", *["##x=" + "y" * 90] * 60) + record(1), Code.HEADER_TOO_LARGE),
    "header line": (header("AB", "##x=" + "y" * 2_000) + record(1), Code.HEADER_TOO_LARGE),
    "endless header line": ("##fileformat=VCFv4.2\n##" + "y" * 9_999, Code.HEADER_TOO_LARGE),
    "endless first line": ("##fileformat=" + "y" * 9_999, Code.HEADER_TOO_LARGE),
    "endless line": (vcf(record(1)) + "20\t2\t" + "y" * 9_999, Code.LINE_TOO_LONG),
}


@pytest.mark.parametrize("case", LIMIT_CASES)
def test_inspect_when_a_limit_is_passed_then_refuses_it(tmp_path: Path, case: str) -> None:
    text, code = LIMIT_CASES[case]
    assert refusal(tmp_path, bgzf(text), limits=SMALL).finding.code == code


def test_inspect_when_first_columns_are_endless_then_refuses_it(tmp_path: Path) -> None:
    text = vcf(record(1), record(2, info="x" * 2**21))
    assert refusal(tmp_path, bgzf(text)).finding.code == Code.LINE_TOO_LONG


def test_inspect_when_first_columns_are_long_then_reads_them(tmp_path: Path) -> None:
    facts = inspect_bytes(tmp_path, bgzf(vcf(record(1), record(2, info="x" * 100_000))))
    assert facts.n_variants == 2


def test_inspect_when_file_is_a_bomb_then_stops_early(tmp_path: Path) -> None:
    limits = InspectLimits(ratio_free_bytes=1_000_000, max_ratio=100)
    bomb = bgzf(header() + record(1, info="A" * 5_000_000))
    assert refusal(tmp_path, bomb, limits=limits).finding.code == Code.TOO_COMPRESSIBLE


def test_inspect_when_unpacked_size_passes_the_limit_then_refuses_it(tmp_path: Path) -> None:
    limits = InspectLimits(max_uncompressed_bytes=600_000)
    text = vcf(*(record(position) for position in range(1, 30_000)))
    assert refusal(tmp_path, bgzf(text), limits=limits).finding.code == Code.TOO_LARGE


def test_inspect_when_time_is_up_then_says_so(tmp_path: Path) -> None:
    with pytest.raises(InspectionError) as caught:
        inspect_bytes(tmp_path, GOOD, limits=InspectLimits(timeout_s=-1))
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    "name",
    [
        "a\nb.vcf.gz",
        "\x1b[31mred.vcf.gz",
        "x" * 5_000,
        "../../etc/passwd",
        "\N{RIGHT-TO-LEFT OVERRIDE}gz.vcf",
    ],
)
def test_refusal_when_name_is_nasty_then_message_is_short_and_printable(
    tmp_path: Path, name: str
) -> None:
    finding = refusal(tmp_path, plain_gzip(vcf()), name=name).finding
    assert finding.message.isprintable()
    assert finding.action.isprintable()
    assert len(finding.message) < 300


def test_refusal_when_name_could_be_shell_code_then_command_quotes_it(tmp_path: Path) -> None:
    name = "-x; rm -rf $HOME'.vcf.gz"
    command = refusal(tmp_path, plain_gzip(vcf()), name=name).finding.action.split(": ", 1)[1]
    assert shlex.split(command)[:3] == ["gunzip", "-c", f"./{name}"]


def test_refusal_when_content_is_echoed_then_it_is_cut_and_cleaned(tmp_path: Path) -> None:
    ref = "\x1b]0;owned\x07" + "Z" * 5_000
    message = refusal(tmp_path, bgzf(vcf(record(1, ref=ref)))).finding.message
    assert message.isprintable()
    assert len(message) < 250


def test_refusal_when_gzip_then_tells_the_commands_to_repair_it(tmp_path: Path) -> None:
    finding = refusal(tmp_path, plain_gzip(vcf())).finding
    assert finding.message == "cohort.vcf.gz is compressed with gzip, not bgzip."
    assert finding.action == (
        "Decompress it and compress it with bgzip: "
        "gunzip -c cohort.vcf.gz | bgzip > cohort.bgz.vcf.gz"
    )


@pytest.mark.parametrize("odd", ["two words", "Zoë", "x" * 81, "tab\x0bbed"])
def test_inspect_when_sample_ids_are_odd_then_warns(tmp_path: Path, odd: str) -> None:
    facts = inspect_bytes(tmp_path, bgzf(header(["A", odd]) + record(1)))
    assert Code.ODD_SAMPLE_IDS in {finding.code for finding in facts.warnings}


def test_inspect_when_only_some_records_are_phased_then_warns(tmp_path: Path) -> None:
    facts = inspect_bytes(tmp_path, bgzf(vcf(record(1), record(2, genotypes=["0/1", "0/0"]))))
    assert not facts.phased
    assert Code.PARTLY_PHASED in {finding.code for finding in facts.warnings}


def test_inspect_when_file_is_missing_then_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspect_file(tmp_path / "gone", display_name="gone.vcf.gz")
