"""Several files of one job against each other, and against what the form says."""

from collections import defaultdict
from collections.abc import Sequence

from app.genotypes.builds import CONTIG_LENGTHS, same_chromosome
from app.genotypes.facts import VcfFacts
from app.genotypes.findings import Code, Finding, shell_word, warn

NO_PHASING = "no_phasing"
"""The servers' own name for "leave the phase as it is" (imputationserver2 cloudgene.yaml, field phasing)."""


def check_set(facts: Sequence[VcfFacts], build: str) -> list[Finding]:
    """What is wrong with these files as the input of one job in `build` ("hg19" or "hg38").

    Errors come first, then the warnings about the set; those of the single files stand in their facts.
    """
    found = [*_chromosomes(facts), *_samples(facts)]
    for each in facts:
        found += [*_prefix(each, build), *_build(each, build)]
    return sorted(found, key=lambda finding: finding.severity != "error")


def check_phasing(facts: Sequence[VcfFacts], phasing_engine: str | None) -> list[Finding]:
    """What forbids imputing without phasing first; nothing when an engine is chosen.

    None and "no_phasing" mean no engine. The servers then refuse any '/' in a sample column, except on MT
    (imputationserver-utils VcfFileUtil, InputValidationCommand).
    """
    if phasing_engine not in (None, "", NO_PHASING):
        return []
    return [
        Finding(
            code=Code.NOT_PHASED,
            message=f"{each.name} has unphased genotypes in {each.counts['unphased']:,} of "
            f"{each.n_variants:,} records, but no phasing was asked for.",
            action="Choose a phasing engine, or phase the file first.",
        )
        for each in facts
        if not each.phased and each.chromosome != "MT"
    ]


def _chromosomes(facts: Sequence[VcfFacts]) -> list[Finding]:
    """The servers do not look, and their chunks then overwrite each other."""
    files: dict[str, list[str]] = defaultdict(list)
    for each in facts:
        files[same_chromosome(each.chromosome)].append(each.name)
    return [
        Finding(
            code=Code.CHROMOSOME_TWICE,
            message=f"Chromosome {chromosome} is in {len(names)} files: {', '.join(names[:3])}.",
            action="Upload one file for each chromosome; join parts of one with bcftools concat.",
        )
        for chromosome, names in files.items()
        if len(names) > 1
    ]


def _samples(facts: Sequence[VcfFacts]) -> list[Finding]:
    for each in facts[1:]:
        first = facts[0]
        if each.n_samples != first.n_samples:
            return [
                Finding(
                    code=Code.SAMPLE_COUNTS_DIFFER,
                    message=f"{first.name} has {first.n_samples:,} samples, "
                    f"but {each.name} has {each.n_samples:,}.",
                    action="All files of a job must hold the same samples: bcftools view -S samples.txt",
                )
            ]
        if each.samples_sha256 != first.samples_sha256:
            return [
                Finding(
                    code=Code.SAMPLES_DIFFER,
                    message=f"{first.name} and {each.name} have different sample ids, "
                    "or the same ones in another order.",
                    action="Bring them into the same order: bcftools query -l "
                    f"{shell_word(first.name)} > samples.txt, then bcftools view -S samples.txt",
                )
            ]
    return []


def _prefix(facts: VcfFacts, build: str) -> list[Finding]:
    """hg19 without "chr", hg38 with it (imputationserver-utils InputValidationCommand)."""
    wanted = build == "hg38"
    if facts.has_chr_prefix == wanted:
        return []
    bare, prefixed = facts.chromosome, f"chr{facts.chromosome}"
    old, new = (bare, prefixed) if wanted else (prefixed, bare)
    return [
        Finding(
            code=Code.PREFIX_MISMATCH,
            message=f"{facts.name} calls its chromosome {old}, but {build} files must call it {new}.",
            action=f"If the positions are in {build}, rename it: echo '{old} {new}' > names.txt && "
            f"bcftools annotate --rename-chrs names.txt -Oz -o {shell_word(f'{new}.vcf.gz')} "
            f"{shell_word(facts.name)}. Otherwise choose the other build.",
        )
    ]


def _build(facts: VcfFacts, build: str) -> list[Finding]:
    if facts.build_guess in (None, build):
        return []
    message = f"{facts.name} was declared {build} but looks like {facts.build_guess}: {facts.build_evidence}."
    action = f"Choose {facts.build_guess}, or check which build the positions are in."
    lengths = CONTIG_LENGTHS[same_chromosome(facts.chromosome)]
    if facts.last_position > lengths[build == "hg38"]:
        return [Finding(code=Code.BUILD_MISMATCH, message=message, action=action)]
    return [warn(Code.BUILD_MISMATCH, message, action)]
