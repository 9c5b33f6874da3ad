"""What is odd about a file that passed: the warnings that go with its facts."""

from app.genotypes.builds import BuildGuess
from app.genotypes.facts import VcfFacts
from app.genotypes.findings import Code, Finding, warn

FEW_SAMPLES = 20
"""Default minimum of imputationserver2 (nextflow.config); single services set other numbers."""
MANY_VARIANTS = 3_000_000
"""More is probably whole-genome sequence; the Broad's imputation workflow (warp) refuses it."""

_DROPPED = "Nothing to do: the servers leave these out of the imputation."
_COUNTED: tuple[tuple[str, Code, str, str], ...] = (
    ("multiallelic", Code.MULTIALLELIC_SITES, "records have several ALT alleles", _DROPPED),
    ("non_snp", Code.NON_SNP_SITES, "records are not simple SNPs", _DROPPED),
    ("filtered", Code.FILTERED_SITES, "records have a FILTER other than PASS", _DROPPED),
    (
        "duplicate_sites",
        Code.DUPLICATE_SITES,
        "records repeat position and alleles of an earlier one",
        "Keep one of each: bcftools norm -d exact",
    ),
)


def remarks(facts: VcfFacts, guess: BuildGuess) -> tuple[Finding, ...]:
    """Warnings about the content, at most one of each code."""
    found = [
        warn(code, f"{facts.name}: {facts.counts[key]:,} of {facts.n_variants:,} {what}.", action)
        for key, code, what, action in _COUNTED
        if facts.counts[key]
    ]
    if guess.doubtful:
        found.append(
            warn(
                Code.BUILD_DOUBTFUL,
                f"{facts.name}: the genome build is doubtful: {guess.evidence}.",
                "Make sure which build the positions are in before you choose it.",
            )
        )
    if facts.n_samples < FEW_SAMPLES:
        found.append(
            warn(
                Code.FEW_SAMPLES,
                f"{facts.name} has {facts.n_samples} samples; many servers ask for {FEW_SAMPLES}.",
                "Look up the minimum of the service that you choose.",
            )
        )
    if facts.n_variants > MANY_VARIANTS:
        found.append(
            warn(
                Code.MANY_VARIANTS,
                f"{facts.name} has {facts.n_variants:,} variants: probably whole-genome sequence.",
                "Servers expect chip data and may refuse it; keep the sites of a genotyping array.",
            )
        )
    if 0 < facts.counts["unphased"] < facts.n_variants:
        found.append(
            warn(
                Code.PARTLY_PHASED,
                f"{facts.name}: {facts.counts['unphased']:,} of {facts.n_variants:,} records have unphased genotypes, the others not.",
                "With phasing switched on all are phased anew; without, the servers refuse the file.",
            )
        )
    return tuple(found)
