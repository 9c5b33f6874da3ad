"""What the server looks at in an uploaded file before anything else, with its own words of refusal.

imputationserver-utils ``VcfFileUtil.load`` and ``InputValidationCommand``; imputationserver2 2.x runs tabix
before them. A quick look reads the header and the beginning only.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.sandbox.engine import bgzf
from app.sandbox.engine.model import EngineFailure, Group, Options

QUICK_BYTES = 512 * 1024  # of text that a quick look reads
CHUNK_BASES = 20_000_000  # imputationserver2 nextflow.config
CHROMOSOMES = frozenset([*(str(n) for n in range(1, 24)), "X", "MT"])  # no Y, no M

_MALFORMED = "The provided VCF file is malformed."
_NO_HEADER = (
    "Your input file has a malformed header: We never saw the required CHROM header line "
    "(starting with one #) for the input VCF file"
)


@dataclass(slots=True)
class VcfFacts:
    """What was seen of one input file.

    whole: all of it was read, not just the beginning. beginning: the records that a quick look read.
    """

    path: Path
    samples: tuple[bytes, ...] = ()
    raw_chromosome: str = ""
    records: int = 0
    chunks: set[int] = field(default_factory=set)
    phased: bool = True
    starts_phased: bool = True
    whole: bool = True
    beginning: list[bytes] = field(default_factory=list)

    @property
    def chromosome(self) -> str:
        """Without any ``chr``."""
        return self.raw_chromosome.replace("chr", "")


def inspect(path: Path, *, quick: bool) -> VcfFacts:
    """Look at a file.

    Raises:
        EngineFailure: the file is one that the server refuses.
    """
    if not bgzf.is_bgzf(path):
        raise _refusal(f"{_MALFORMED} Error during index creation: not compressed with bgzip")
    if not bgzf.is_whole(path):
        raise _refusal(f"{_MALFORMED} Error during index creation: the file is truncated")
    facts = VcfFacts(path)
    text = bgzf.Lines(path, QUICK_BYTES if quick else None)
    try:
        lines = iter(text)
        facts.samples = _read_samples(lines)
        if quick:
            facts.beginning = list(lines)
            lines = iter(facts.beginning)
        _read_records(facts, lines)
    except (OSError, EOFError, zlib.error) as error:
        raise _refusal(f"{_MALFORMED} Error during index creation: {error}") from error
    if not facts.records:
        raise _refusal(
            "No genotypes found in the VCF file. It appears the file contains only the header."
        )
    facts.whole = not text.cut
    return facts


def _read_samples(lines: Iterator[bytes]) -> tuple[bytes, ...]:
    for line in lines:
        if line.startswith(b"##"):
            continue
        if not line.startswith(b"#CHROM"):
            break
        columns = line.split(b"\t")
        if len(set(columns)) != len(columns):
            twice = next(c for i, c in enumerate(columns) if c in columns[:i])
            name = twice.decode(errors="replace")
            raise _refusal(f"Two individuals or more have the following ID: {name}")
        return tuple(columns[9:])
    raise _refusal(_NO_HEADER)


def _read_records(facts: VcfFacts, lines: Iterator[bytes]) -> None:
    last = -1
    for line in lines:
        columns = line.split(b"\t", 9)
        if len(columns) < 3:
            raise _refusal("The provided VCF file is not tab-delimited")
        if len(columns) < 10:
            raise _refusal(f"Index 9 out of bounds for length {len(columns)}")
        chromosome = columns[0].decode(errors="replace")
        if facts.raw_chromosome not in {"", chromosome}:
            raise _refusal(
                "The provided VCF file contains more than one chromosome. "
                "Please split your input VCF file by chromosome"
            )
        facts.raw_chromosome = chromosome
        try:
            position = int(columns[1])
        except ValueError:
            wrong = columns[1].decode(errors="replace")
            raise _refusal(f'For input string: "{wrong}"') from None
        if position < last:
            raise _refusal(f"{_MALFORMED} Error during index creation: unsorted positions")
        last = position
        if columns[3] == columns[4]:
            name, allele = (columns[i].decode(errors="replace") for i in (2, 3))
            raise _refusal(
                f"The provided VCF file is malformed at variation {name}: reference allele "
                f"({allele}) and alternate allele  ({allele}) are the same."
            )
        _note_phase(facts, columns[9])
        facts.chunks.add((position - 1) // CHUNK_BASES)
        facts.records += 1


def _note_phase(facts: VcfFacts, genotypes: bytes) -> None:
    """Any ``/`` in the sample columns makes a file unphased, also that of ``./.``."""
    if facts.records == 0:
        facts.starts_phased = b"/" not in genotypes and b"." not in genotypes
    if facts.phased and b"/" in genotypes:
        facts.phased = False


def check_together(files: list[VcfFacts], options: Options) -> None:
    """What ``InputValidationCommand.checkVcfFiles`` asks of all files.

    Raises:
        EngineFailure: in the order and with the words of the server.
    """
    samples = 0
    for facts in files:
        if facts.chromosome == "MT":
            facts.phased = True
        if facts.chromosome not in CHROMOSOMES:
            raise _refusal("No valid chromosomes found!")
        count = len(facts.samples)
        if samples not in {0, count}:
            raise _refusal(
                "Please double check, if all uploaded VCF files include the same amount of samples "
                f"({count} vs {samples})"
            )
        samples = count
        if facts.starts_phased and not facts.phased:
            raise _refusal(
                "File should be phased, but also includes unphased and/or missing genotypes! "
                "Please double-check!"
            )
        _check_sample_count(count, options)
        _check_prefix(facts, options.build)
    if options.phasing == "no_phasing" and not all(f.phased for f in files):
        raise _refusal("Your input data is unphased. Please select an algorithm for phasing.")


def _check_sample_count(count: int, options: Options) -> None:
    if options.min_samples and count < options.min_samples:
        raise _refusal(f"At least {options.min_samples} samples must be uploaded.")
    if options.max_samples and count > options.max_samples:
        raise _refusal(
            f"The maximum number of samples is {options.max_samples}. Please contact Admin "
            '(<a href="admin@localhost">admin@localhost</a>) to discuss this large imputation.'
        )


def _check_prefix(facts: VcfFacts, build: str) -> None:
    prefixed = facts.raw_chromosome.startswith("chr")
    wanted = {"hg19": facts.chromosome, "hg38": f"chr{facts.chromosome}"}.get(build)
    if wanted is None or prefixed == (build == "hg38"):
        return
    raise _refusal(
        f"Your upload data contains chromosome '{facts.raw_chromosome}'. This is not a valid {build} "
        f"encoding. Please ensure that your input data is build {build} and chromosome is encoded as "
        f"'{wanted}'."
    )


def _refusal(text: str) -> EngineFailure:
    return EngineFailure(Group.VALIDATION, text)
