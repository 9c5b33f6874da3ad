"""Which genome build a file's positions belong to, and the chromosomes that the servers take."""

import re

import msgspec

CHROMOSOMES = frozenset([*map(str, range(1, 23)), "23", "X", "MT"])
"""imputationserver-utils VcfFileUtil.validChromosomes, each also with "chr". No Y, and no "M"."""

CONTIG_LENGTHS: dict[str, tuple[int, int]] = {
    "1": (249250621, 248956422),
    "2": (243199373, 242193529),
    "3": (198022430, 198295559),
    "4": (191154276, 190214555),
    "5": (180915260, 181538259),
    "6": (171115067, 170805979),
    "7": (159138663, 159345973),
    "8": (146364022, 145138636),
    "9": (141213431, 138394717),
    "10": (135534747, 133797422),
    "11": (135006516, 135086622),
    "12": (133851895, 133275309),
    "13": (115169878, 114364328),
    "14": (107349540, 107043718),
    "15": (102531392, 101991189),
    "16": (90354753, 90338345),
    "17": (81195210, 83257441),
    "18": (78077248, 80373285),
    "19": (59128983, 58617616),
    "20": (63025520, 64444167),
    "21": (48129895, 46709983),
    "22": (51304566, 50818468),
    "X": (155270560, 156040895),
}
"""Length in bases in hg19 (GRCh37) and hg38 (GRCh38), by the assembly reports of the Genome Reference
Consortium. MT is left out: both builds use the same sequence."""

NAMES = {
    "hg19": re.compile(rb"hg19|GRCh37|b37|hs37d5|human_g1k_v37", re.IGNORECASE),
    "hg38": re.compile(rb"hg38|GRCh38|hs38", re.IGNORECASE),
}
"""What headers call the builds."""


def builds_named_in(line: bytes) -> set[str]:
    """The builds whose usual names occur in a header line."""
    return {build for build, pattern in NAMES.items() if pattern.search(line)}


def same_chromosome(name: str) -> str:
    """One name for each chromosome: 23 is X."""
    return "X" if name == "23" else name


class BuildGuess(msgspec.Struct, frozen=True):
    """`build` is "hg19", "hg38", or None where nothing decides; `doubtful` means that things disagree."""

    build: str | None
    evidence: str
    doubtful: bool = False


def guess_build(
    chromosome: str, contig_length: int | None, last_position: int, named: set[str]
) -> BuildGuess:
    """The build of a file, and what that was concluded from.

    A position behind the end of a build's chromosome excludes that build for certain. The contig length is
    good evidence, unless a lift-over left the old header; a name in the header counts where nothing else does.
    """
    lengths = CONTIG_LENGTHS.get(same_chromosome(chromosome))
    if lengths is None:
        return BuildGuess(None, f"chromosome {chromosome} is the same in both builds")
    by_name = dict(zip(("hg19", "hg38"), lengths, strict=True))
    possible = [build for build, length in by_name.items() if last_position <= length]
    by_length = [build for build, length in by_name.items() if length == contig_length]
    end = f"position {last_position:,}"
    if not possible:
        return BuildGuess(None, f"{end} is behind the end of chromosome {chromosome} in both", True)
    if len(possible) == 1:
        stale = bool(by_length) and by_length != possible
        header = f", but the header has the contig length of {by_length[0]}" if stale else ""
        return BuildGuess(possible[0], f"{end} exists in {possible[0]} only{header}", stale)
    if by_length:
        return BuildGuess(by_length[0], f"contig length {contig_length:,} in the header")
    if len(named) == 1:
        build = next(iter(named))
        return BuildGuess(build, f"the header names {build} or its GRCh number")
    return BuildGuess(None, "neither contig length nor positions tell")
