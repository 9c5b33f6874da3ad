"""What the structure check measures, and the limits it works under."""

import msgspec

from app.genotypes.findings import Finding

MIB = 1024 * 1024


class InspectLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one inspection. They keep its memory constant and its end certain.

    The imputation servers take 50,000 (default of imputationserver2) to 110,000 samples; the bounds here
    stop nonsense, a service's own rules are judged elsewhere.
    """

    max_samples: int = 150_000
    max_header_bytes: int = 64 * MIB
    max_line_bytes: int = 8 * MIB
    max_uncompressed_bytes: int = 1024 * 1024 * MIB
    max_ratio: int = 600
    """Uncompressed to compressed. Bgzip's best on rows of equal genotypes is about 550; deflate's is 1,030."""
    ratio_free_bytes: int = 256 * MIB
    """Uncompressed bytes below which the ratio is not looked at: small files are cheap whatever they are."""
    timeout_s: float | None = None


class VcfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file that passed.

    `chromosome` is without prefix ("20", "X"). `samples_sha256` is over the sample ids in order, joined by tabs.
    `phased` means that no '/' occurs in any sample column, which is how the servers decide.
    `build_guess` is "hg19", "hg38" or None, `build_evidence` says from what. `counts` has the keys of
    `COUNT_KEYS`. Positions are 1-based, sizes in bytes.
    """

    name: str
    chromosome: str
    has_chr_prefix: bool
    n_samples: int
    samples_sha256: str
    n_variants: int
    first_position: int
    last_position: int
    phased: bool
    has_missing: bool
    contig_length: int | None
    build_guess: str | None
    build_evidence: str
    size_bytes: int
    uncompressed_bytes: int
    vcf_version: str
    counts: dict[str, int]
    warnings: tuple[Finding, ...]


COUNT_KEYS = (
    "snp",  # one base against one base
    "non_snp",  # everything else: insertions, deletions, symbolic and multiallelic records
    "multiallelic",  # more than one ALT in a record
    "no_alt",  # ALT is '.'
    "filtered",  # FILTER is neither PASS nor '.'
    "duplicate_sites",  # same position, REF and ALT as an earlier record
    "shared_positions",  # records at the position of the record before
    "unphased",  # records with a '/' in a sample column
)
