"""What a remote's failure text means for the user: a stable code and a way out, found by the servers' own phrases.

The phrases are those of imputationserver-utils (InputValidationCommand, VcfFileUtil, QualityControlCommand, StatisticsTask).
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a failure is called here and what its owner can do."""

    code: str
    action: str


_TABLE: tuple[tuple[str, Explanation], ...] = (
    (
        r"strand flips",
        Explanation(
            "strand_flips",
            "Align the alleles to the forward strand of the panel's build (the file statistics/snps-excluded.txt names"
            " the sites), for example with bcftools +fixref, and submit again.",
        ),
    ),
    (
        r"allele switches",
        Explanation(
            "allele_switches",
            "Swap REF and ALT where they differ from the panel (statistics/snps-excluded.txt names the sites) and submit again.",
        ),
    ),
    (
        r"No chunks passed",
        Explanation(
            "no_chunks_left",
            "Too few of the sites are in the panel, or samples have too many missing genotypes: check the build, the"
            " panel, and statistics/chunks-excluded.txt.",
        ),
    ),
    (
        r"not a valid hg(19|38) encoding|chr prefix",
        Explanation(
            "wrong_build",
            "Check the build: hg19 has no 'chr' prefix, hg38 has it. Then submit again.",
        ),
    ),
    (
        r"is not supported by reference panel",
        Explanation(
            "unknown_population", "Choose a population that the panel lists and press retry."
        ),
    ),
    (
        r"more than one chromosome",
        Explanation(
            "several_chromosomes",
            "Split the file by chromosome (bcftools view -r) and submit one file for each.",
        ),
    ),
    (
        r"unphased",
        Explanation("unphased_input", "Choose a phasing engine, or submit phased genotypes."),
    ),
    (
        r"individuals or more have the following ID",
        Explanation(
            "doubled_samples",
            "Give every sample its own name (bcftools reheader) and submit again.",
        ),
    ),
    (
        r"same (amount|number) of samples",
        Explanation(
            "unequal_samples",
            "All files of a job must hold the same samples in the same order (bcftools view -S). Then submit again.",
        ),
    ),
    (
        r"malformed|No GT field|No genotypes|No vcf\.gz input files",
        Explanation(
            "malformed_input", "Check the file with «bcftools view» and submit a repaired one."
        ),
    ),
    (
        r"not installed or wrong permissions|application .* not found",
        Explanation(
            "panel_unavailable",
            "The service does not offer this reference panel to your account (any longer): choose another one.",
        ),
    ),
    (
        r"samples? .*(minimum|at least|maximum|more than)|(minimum|maximum|at least|at most) .*samples",
        Explanation(
            "sample_count",
            "The service does not take this number of samples; its page says how many it takes.",
        ),
    ),
    (
        r"doesn't support chromosome|chromosome .* not supported",
        Explanation(
            "unsupported_chromosome",
            "The panel does not have this chromosome: choose another panel.",
        ),
    ),
    (
        r"ploidy|haploid|chrX",
        Explanation(
            "chromosome_x_ploidy",
            "Males must be haploid (or consistently diploid) outside the pseudo-autosomal regions;"
            " statistics/chrX-info.txt names the samples.",
        ),
    ),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), told) for pattern, told in _TABLE)
_OTHER = Explanation(
    "remote_failure",
    "Read the service's reports under the job's files. Press retry if the trouble was the service's own.",
)


def explain(reason: str) -> Explanation:
    """Give the first explanation whose phrase stands in the reason, else a general one."""
    return next((told for pattern, told in _COMPILED if pattern.search(reason)), _OTHER)
