"""What the files of a job are, told from their role and name. Pure; `KINDS` is the table, and its first fitting row counts.

The names are those of imputationserver 1 and 2, Minimac4 and their forks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of file: what it is called, what it holds, and its icon (Lucide's name)."""

    key: str
    title: str
    holds: str
    icon: str = "file-text"


_TABLE: tuple[tuple[str, Kind], ...] = (
    (
        r"\.empiricaldose\.vcf\.gz$",
        Kind("empirical", "Empirical dosages", "Typed variants as imputed without themselves; meta-imputation (MetaMinimac2) reads it beside the dosages.", "dna"),
    ),
    (
        r"\.(tbi|csi)$",
        Kind("index", "Index", "Lets tools jump to a region of the VCF of the same name; keep it beside that.", "list"),
    ),
    (
        r"\.dose\.vcf\.(gz|bgz)$",
        Kind("dosages", "Imputed genotypes", "Every variant of every sample: genotype and dosage. This is what most analyses read.", "dna"),
    ),
    (
        r"\.(vcf\.(gz|bgz)|vcf|bcf|bgen|pgen)$",
        Kind("genotypes", "Genotypes", "Variants of all samples, as the service made them.", "dna"),
    ),
    (
        r"\.info(\.gz)?$",
        Kind("info", "Quality of each variant", "Allele frequency, estimated R² and whether it was typed. Filter by it before you analyse.", "gauge"),
    ),
    (
        r"snps-excluded\.txt$",
        Kind("excluded", "Excluded variants", "Variants of your input that were left out, each with the reason."),
    ),
    (
        r"typed-only\.txt$",
        Kind("typed_only", "Typed only", "Variants of your input that the panel does not have."),
    ),
    (
        r"chunks-excluded\.txt$",
        Kind("chunks", "Excluded regions", "Stretches of the chromosome that could not be imputed, with the reason."),
    ),
    (
        r"chrx-info\.txt$",
        Kind("ploidy", "Ploidy on chromosome X", "Samples whose ploidy does not fit."),
    ),
    (
        r"\.html?$",
        Kind("report", "Quality report", "The service's own report on your input, with plots.", "chart-column"),
    ),
    (
        r"(qc_report|quality|report).*\.(txt|csv|tsv|json|pdf)$",
        Kind("summary", "Quality summary", "How well your input fits the panel: matches, flips, what was filtered.", "list-checks"),
    ),
    (
        r"\.(md5|sha256)$",
        Kind("checksums", "Checksums", "What the service says its files should add up to.", "shield-check"),
    ),
    (
        r"\.(log|out|err)$",
        Kind("log", "Log", "What the service's programs said while they ran.", "terminal"),
    ),
    (
        r"\.(zip|tar|tar\.gz|tgz)$",
        Kind("archive", "Archive of the service", "Packed files, as the service made them.", "file-archive"),
    ),
)  # fmt: skip
KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind) for pattern, kind in _TABLE
)
_BY_ROLE = {
    "log": Kind("log", "Log", "What the service's programs said while they ran.", "terminal"),
    "qc": Kind("statistics", "Statistics", "Figures of the service about your input.", "list-checks"),
}  # fmt: skip
_OTHER = Kind("other", "Other file", "A further file of the service.", "file")
_ORDER = {
    key: place
    for place, key in enumerate(
        ("dosages", "genotypes", "empirical", "info", "index", "archive", "report", "summary")
    )
}


class Named(Protocol):
    """A file with its place in a job."""

    @property
    def role(self) -> str: ...

    @property
    def name(self) -> str: ...


F = TypeVar("F", bound=Named)


def kind_of(role: str, name: str) -> Kind:
    """Give what a file is."""
    if role == "log":
        return _BY_ROLE["log"]
    plain = name.lower()
    found = next((kind for pattern, kind in KINDS if pattern.search(plain)), None)
    return found or _BY_ROLE.get(role, _OTHER)


def grouped(files: Iterable[F]) -> list[tuple[Kind, list[F]]]:
    """Give files by what they are: what analyses read first, then reports, then the rest."""
    groups: dict[str, tuple[Kind, list[F]]] = {}
    for file in files:
        kind = kind_of(file.role, file.name)
        groups.setdefault(kind.key, (kind, []))[1].append(file)
    return sorted(groups.values(), key=lambda group: _ORDER.get(group[0].key, len(_ORDER)))


def is_report(role: str, content_type: str) -> bool:
    """Tell whether a file may be shown in a frame: HTML of the service, not of a person."""
    return role in ("qc", "result") and content_type.partition(";")[0].strip() == "text/html"
