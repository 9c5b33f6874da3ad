"""The rules for single columns of a record. A broken one is a LineError, to which the scanner adds file and line."""

import re

import numpy as np
import numpy.typing as npt

from app.genotypes.builds import CHROMOSOMES
from app.genotypes.facts import MIB
from app.genotypes.findings import Code, clean

MAX_POSITION = 2**29 - 1
"""The last position that a .tbi index can hold (tabix format), twice the length of chromosome 1."""
TAB, DOT, BAR, SLASH = b"\t.|/"

_ALLELE_ADVICE = (
    "Write real bases: alleles coded as I/D, 0, - or numbers have to be looked up in the reference first "
    "(plink2 --ref-from-fa, bcftools norm -c)."
)
_GT_ONLY = "bcftools annotate -x INFO,^FORMAT/GT -Oz -o genotypes.vcf.gz FILE"
_REF = re.compile(rb"[ACGTNacgtn]++\Z")
_ALT = re.compile(
    rb"(?:[ACGTNacgtn*]++|<[^<>,\s]++>|\.[ACGTNacgtn]++|[ACGTNacgtn]++\."
    rb"|[ACGTNacgtn.]*+[\[\]][^\[\],\s]++[\[\]][ACGTNacgtn.]*+)\Z"
)
"""Bases, '*', a symbolic allele, or a breakend (VCF 4.3 specification, 1.6.1 and 5.4)."""
_GENOTYPE = rb"(?:\.|[0-9]{1,4})(?:[|/](?:\.|[0-9]{1,4}))*(?:[:\t]|\Z)"
_FIRST_GENOTYPE = re.compile(_GENOTYPE)
_NO_GENOTYPE = re.compile(rb"\t(?!" + _GENOTYPE + rb")")
"""Looked for, instead of matching all columns at once: that would need possessive groups, which match what they must not
before Python 3.11.5 (cpython gh-106052), or would keep a way back for each of 50,000 samples."""


class LineError(Exception):
    """A record that makes the file unusable. FILE in `action` stands for the name of the file."""

    def __init__(self, code: Code, what: str, action: str) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.action = action


def check_chromosome(name: bytes, before: str) -> str:
    """The name of the file's only chromosome; `before` is the one of the records so far, if any."""
    shown = clean(name)
    if before:
        raise LineError(
            Code.SEVERAL_CHROMOSOMES,
            f"chromosome {shown} follows {before}, but a file must hold one chromosome",
            "Split it: bcftools index FILE; for c in $(bcftools index -s FILE | cut -f1); do "
            'bcftools view -r $c -Oz -o "$c.vcf.gz" FILE; done',
        )
    if shown.removeprefix("chr") not in CHROMOSOMES:
        raise LineError(
            Code.UNKNOWN_CHROMOSOME,
            f"the servers know no chromosome {shown}, only 1-22, X and MT, each with or without chr",
            "Remove these records, or rename the chromosome: bcftools annotate --rename-chrs names.txt",
        )
    return shown


def check_format(form: bytes) -> bool:
    """Whether FORMAT is GT and nothing else."""
    keys = form.split(b":")
    if b"GT" not in keys:
        raise LineError(
            Code.NO_GENOTYPES,
            f"FORMAT is {clean(form)}, which has no GT",
            "Upload called genotypes (GT), not only likelihoods or dosages.",
        )
    if keys[0] != b"GT":
        raise LineError(
            Code.GT_NOT_FIRST,
            f"FORMAT is {clean(form)}, but GT must come first",
            f"Keep the genotypes only: {_GT_ONLY}",
        )
    return len(keys) == 1


def check_alleles(ref: bytes, alt: bytes) -> int:
    """How many ALT alleles there are (0 for '.')."""
    if not _REF.match(ref):
        raise LineError(
            Code.BAD_REF, f"REF is {clean(ref)}, not a sequence of A, C, G, T, N", _ALLELE_ADVICE
        )
    if alt == b".":
        return 0
    alternatives = alt.split(b",")
    if not all(map(_ALT.match, alternatives)):
        raise LineError(
            Code.BAD_ALT, f"ALT is {clean(alt)}, which VCF does not allow", _ALLELE_ADVICE
        )
    if ref.upper() in {each.upper() for each in alternatives}:
        raise LineError(
            Code.REF_EQUALS_ALT,
            f"REF and ALT are both {clean(ref)}",
            "Remove such records: gunzip -c FILE | awk '/^#/ || $4 != $5' | bgzip > fixed.vcf.gz",
        )
    return len(alternatives)


def check_genotypes(samples: bytes) -> None:
    """Whether every sample column of a record begins with a genotype."""
    if not _FIRST_GENOTYPE.match(samples):
        begin, number = 0, 1
    elif (odd := _NO_GENOTYPE.search(samples)) is not None:
        begin, number = odd.end(), samples.count(b"\t", 0, odd.end()) + 1
    else:
        return
    column = samples[begin:].split(b"\t", 1)[0]
    raise LineError(
        Code.BAD_GENOTYPE,
        f"the genotype of sample {number} is {clean(column, 20) or 'empty'}",
        "Genotypes are numbers of alleles, as in 0|1, 0/1 or ./. - export the file again.",
    )


def has_missing(samples: npt.NDArray[np.uint8]) -> bool:
    """Whether a genotype is missing, in a line with more fields than GT; `samples` begins with the tab before."""
    before = samples[:-1]
    begins = (before == TAB) | (before == BAR) | (before == SLASH)
    return bool(np.any(begins & (samples[1:] == DOT)))


def wrong_columns(line: bytes, wanted: int) -> LineError:
    found = line.count(b"\t") + 1
    if not line.strip():
        what = "the line is empty"
    elif found == 1 and b" " in line:
        what = "the columns are separated by spaces, not tabs"
    else:
        what = f"{found:,} columns, but the #CHROM line has {wanted:,}"
    advice = "The file was damaged or put together wrongly: write it again with bcftools."
    return LineError(Code.WRONG_COLUMNS, what, advice)


def bad_position(position: bytes) -> LineError:
    return LineError(
        Code.BAD_POSITION,
        f"the position is {clean(position, 20) or 'empty'}, not a number from 1 to {MAX_POSITION:,}",
        "Export the file again; spreadsheets, for one, turn large numbers into 1.2E+08.",
    )


def not_sorted(position: int, before: int) -> LineError:
    return LineError(
        Code.NOT_SORTED,
        f"position {position:,} comes after {before:,}: the file is not sorted",
        "Sort it: bcftools sort -Oz -o sorted.vcf.gz FILE",
    )


def line_too_long(limit_bytes: int, what: str = "the line is") -> LineError:
    return LineError(
        Code.LINE_TOO_LONG,
        f"{what} longer than {limit_bytes / MIB:.3g} MiB",
        f"Keep the genotypes only: {_GT_ONLY}",
    )
