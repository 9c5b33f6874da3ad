"""What is said about a genotype file: findings, and the two errors of the structure check.

StructureError      the file can never be taken as it is; carries the Finding to show
InspectionError     the check itself did not come to an end (time, a dead worker); try again
"""

import shlex
from enum import StrEnum
from typing import Literal

import msgspec

MAX_ECHO = 80
"""Characters of a file's own content, or of its name, that a message may repeat."""


class Code(StrEnum):
    """Stable, machine-readable names of all findings; the comment says when each is given."""

    # The file is something else
    EMPTY_FILE = "empty_file"  # zero bytes
    PLAIN_VCF = "plain_vcf"  # a VCF that is not compressed
    NOT_BGZIP = "not_bgzip"  # a VCF compressed with ordinary gzip
    BCF = "bcf"
    INDEX_FILE = "index_file"  # .tbi or .csi
    ALIGNMENTS = "alignments"  # BAM, CRAM, SAM
    PLINK_BED = "plink_bed"
    PLINK_PGEN = "plink_pgen"
    PLINK_BIM = "plink_bim"
    PLINK_FAM = "plink_fam"
    PLINK_PED = "plink_ped"
    HTML_PAGE = "html_page"  # usually a log-in or error page that was saved instead of the data
    ZIP_ARCHIVE = "zip_archive"
    OTHER_COMPRESSION = "other_compression"  # xz, zstd, bzip2, 7z, RAR
    NOT_A_VCF = "not_a_vcf"  # anything else

    # The compression is damaged
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"  # checksum, length, or deflate stream of a block
    TOO_COMPRESSIBLE = "too_compressible"  # a decompression bomb
    TOO_LARGE = "too_large"  # uncompressed size over the limit

    # The header
    NO_VCF_HEADER = "no_vcf_header"
    NO_COLUMN_LINE = "no_column_line"  # no #CHROM line
    BAD_COLUMN_LINE = "bad_column_line"
    OLD_VCF_VERSION = "old_vcf_version"
    HEADER_TOO_LARGE = "header_too_large"
    NO_SAMPLES = "no_samples"
    DUPLICATE_SAMPLE = "duplicate_sample"
    EMPTY_SAMPLE_ID = "empty_sample_id"
    TOO_MANY_SAMPLES = "too_many_samples"
    WINDOWS_LINE_ENDS = "windows_line_ends"

    # The records
    NO_RECORDS = "no_records"
    WRONG_COLUMNS = "wrong_columns"
    LINE_TOO_LONG = "line_too_long"
    LAST_LINE_CUT = "last_line_cut"
    NO_GENOTYPES = "no_genotypes"  # no GT in FORMAT
    GT_NOT_FIRST = "gt_not_first"
    BAD_GENOTYPE = "bad_genotype"
    UNKNOWN_CHROMOSOME = "unknown_chromosome"
    SEVERAL_CHROMOSOMES = "several_chromosomes"
    BAD_POSITION = "bad_position"
    NOT_SORTED = "not_sorted"
    BAD_REF = "bad_ref"
    BAD_ALT = "bad_alt"
    REF_EQUALS_ALT = "ref_equals_alt"

    # Several files, and the file against the form
    CHROMOSOME_TWICE = "chromosome_twice"
    SAMPLE_COUNTS_DIFFER = "sample_counts_differ"
    SAMPLES_DIFFER = "samples_differ"
    PREFIX_MISMATCH = "prefix_mismatch"
    BUILD_MISMATCH = "build_mismatch"
    NOT_PHASED = "not_phased"

    # Warnings only
    BUILD_DOUBTFUL = "build_doubtful"
    ODD_SAMPLE_IDS = "odd_sample_ids"
    FEW_SAMPLES = "few_samples"
    MANY_VARIANTS = "many_variants"
    PARTLY_PHASED = "partly_phased"
    MULTIALLELIC_SITES = "multiallelic_sites"
    NON_SNP_SITES = "non_snp_sites"
    FILTERED_SITES = "filtered_sites"
    DUPLICATE_SITES = "duplicate_sites"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, or odd, about a file.

    `message` says what the file is, `action` what to do about it. Text taken from the file stands in
    them only after `clean`. An error blocks the submission, a warning does not.
    """

    code: Code
    message: str
    action: str
    severity: Literal["error", "warning"] = "error"


class StructureError(Exception):
    """The file is refused. `finding` is the first thing found that makes it unusable."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding

    def __str__(self) -> str:
        return f"{self.finding.message} {self.finding.action}"


class InspectionError(Exception):
    """The check did not come to an end, which says nothing about the file."""

    def __init__(self, reason: Literal["timeout", "worker_died", "out_of_memory"]) -> None:
        super().__init__(reason)
        self.reason = reason


def refuse(code: Code, message: str, action: str) -> StructureError:
    """The error to raise for a file that cannot be taken."""
    return StructureError(Finding(code=code, message=message, action=action))


def warn(code: Code, message: str, action: str) -> Finding:
    return Finding(code=code, message=message, action=action, severity="warning")


def clean(text: bytes | str, limit: int = MAX_ECHO) -> str:
    """`text` made fit to be repeated in a message: printable, one line, at most `limit` characters."""
    head = text[:limit]
    if isinstance(head, bytes):
        head = head.decode("utf-8", errors="replace")
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in head)
    return shown if len(text) <= limit else shown[: limit - 1] + "…"


def shell_word(name: str) -> str:
    """A file name, cleaned and quoted so that a command with it can be pasted into a shell."""
    word = clean(name)
    return shlex.quote(f"./{word}" if word.startswith("-") else word)


def base_name(name: str) -> str:
    """`name` without the endings of a (compressed) VCF: "cohort" for "cohort.vcf.gz"."""
    stem = clean(name)
    for ending in (".gz", ".bgz", ".vcf", ".bcf"):
        stem = stem.removesuffix(ending)
    return stem or "file"
