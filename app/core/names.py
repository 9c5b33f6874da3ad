"""Names of files are data, never paths: what is shown, what travels to a remote service, what they are served as."""

import re
import unicodedata

MAX_NAME_CHARS = 180
MAX_TRAVEL_CHARS = 100
_VCF_ENDINGS = re.compile(r"(\.vcf)?\.(gz|bgz|bgzf)$|\.vcf$", re.IGNORECASE)
_ENDINGS = re.compile(r"((\.[A-Za-z0-9]{1,10}){1,2})$")
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".md5": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".zip": "application/zip",
    ".gz": "application/gzip",
    ".bgz": "application/gzip",
}


def one_line(text: str) -> str:
    """Give text without control, invisible, or direction-changing characters, blanks collapsed, in NFC."""
    shown = (
        " " if char.isspace() else char
        for char in unicodedata.normalize("NFC", text)
        if char.isspace() or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    return " ".join("".join(shown).split())


def clean_file_name(raw: str, default: str = "file") -> str:
    """Give the name under which a file is shown: the last part of a path, one line, at most 180 characters.

    Endings survive the cut. A name of which nothing is left becomes `default`.
    """
    last = re.split(r"[/\\]", raw[-4096:])[-1]
    name = one_line(last).lstrip(". ").rstrip(" .")
    if len(name) > MAX_NAME_CHARS:
        found = _ENDINGS.search(name)
        ending = found[1] if found else ""
        name = name[: MAX_NAME_CHARS - len(ending)].rstrip(" .") + ending
    return name or default


class UniqueNames:
    """Hands out names that differ from each other by more than case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Give the name, with `-2`, `-3`… before its endings when it was given out before."""
        found = _ENDINGS.search(name.rpartition("/")[2])
        ending = found[1] if found and found[1] != name else ""
        stem = name.removesuffix(ending)
        number, candidate = 1, name
        while candidate.lower() in self._taken:
            number += 1
            candidate = f"{stem}-{number}{ending}"
        self._taken.add(candidate.lower())
        return candidate


def travel_name(display: str, names: UniqueNames) -> str:
    """Give the plain ASCII name under which a file travels to a remote service: `[A-Za-z0-9._-]`, ending in `.vcf.gz`.

    Imputation servers take files by that ending and paste names into shell commands (imputationserver2 main.nf).
    """
    stem = _VCF_ENDINGS.sub("", display)
    decomposed = unicodedata.normalize("NFKD", stem)
    ascii_only = decomposed.encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", ascii_only).strip("._-")[:MAX_TRAVEL_CHARS]
    return names.take(f"{plain.rstrip('._-') or 'input'}.vcf.gz")


def job_name_of(file_name: str) -> str:
    """Give the name of a job that was given none: its first file's, without the endings of a VCF."""
    return _VCF_ENDINGS.sub("", file_name) or file_name


def content_type_of(name: str) -> str:
    """Give the content type that a file's ending stands for; unknown endings are just bytes."""
    dot = name.rfind(".")
    return _CONTENT_TYPES.get(name[dot:].lower() if dot >= 0 else "", "application/octet-stream")
