"""Reading a run's `outputs`, to which the specification gives no shape. Pure.

Servers give lists of names and addresses (sapporo), CWL or WDL output objects (toil, wes-service, cwl-WES), a mapping of
names to paths (starter kit), relative names beside signed links (WESkit), or references (Galaxy). All of it is walked; what is
recognised as a file becomes a `Found`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

from app.adapters import loose

MAX_NODES = 200_000
_LOCATIONS = ("location", "file_url", "url", "drs_uri", "drs_url", "path")
_NAMES = ("basename", "file_name", "name")
_MAX_TEXT = 8192
_MAX_DEPTH = 64
_TREE_INCLUDE = (
    "*.vcf.gz", "*.vcf.bgz", "*.vcf", "*.bcf", "*.tbi", "*.csi", "*.info.gz", "*.info", "*.html", "*.zip",
)  # fmt: skip
"""What is fetched of a listing of the whole run folder, where the configuration does not say."""
_EXCLUDE = ("work/**", ".nextflow*", ".command.*", ".exitcode", ".snakemake/**")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that outputs name. `location` is whatever the server said: an address, a path, or a relative name."""

    name: str
    location: str
    size_bytes: int | None = None
    md5: str | None = None
    sha1: str | None = None


def flatten(outputs: object) -> list[Found]:
    """Give the files that outputs name, in their order, each location once."""
    found: dict[str, Found] = {}
    for item in _walk(outputs):
        found.setdefault(item.location, item)
    return list(found.values())


def chosen(
    found: list[Found],
    *,
    include: tuple[str, ...] | None,
    exclude: tuple[str, ...] | None,
    whole_tree: bool,
    inputs: frozenset[str],
) -> list[Found]:
    """Give those that are wanted. Globs look at names, not at addresses; a pattern without `/` at the last part too.

    `inputs` are names of the run's own input, left out of listings of the whole folder.
    """
    wanted = include if include is not None else (_TREE_INCLUDE if whole_tree else None)
    unwanted = exclude if exclude is not None else _EXCLUDE
    return [
        item
        for item in found
        if (wanted is None or _matches(item.name, wanted))
        and not _matches(item.name, unwanted)
        and not (whole_tree and item.name in inputs)
    ]


def role_of(name: str) -> str:
    """Give `result`, `qc` or `log` for a file by its name."""
    base = name.rpartition("/")[2].lower()
    if base.endswith((".log", ".err", ".out")) or base in {"stderr", "stdout"}:
        return "log"
    if base.endswith((".html", ".htm", ".txt", ".pdf", ".csv", ".tsv", ".json", ".md5", ".png", ".svg", ".yaml", ".yml")):  # fmt: skip
        return "qc"
    return "result"


def last_part(location: str) -> str:
    """Give the last part of an address or path, decoded."""
    if "://" in location:
        try:
            return unquote(urlsplit(location).path.rstrip("/").rpartition("/")[2])
        except ValueError:
            return ""
    return location.rstrip("/").rpartition("/")[2]


def _walk(outputs: object) -> Iterator[Found]:
    """Walk without recursion and up to a number of nodes: depth and size are chosen by the remote."""
    left: list[tuple[str | None, object]] = [(None, outputs)]
    seen = 0
    while left and seen < MAX_NODES:
        key, value = left.pop()
        seen += 1
        if isinstance(value, str):
            item = _from_text(key, value)
            if item is not None:
                yield item
        elif isinstance(value, list):
            left += [(None, item) for item in reversed(value)]
        elif isinstance(value, dict):
            names = value.get("filesystem")
            if isinstance(names, list):
                yield from _weskit(names, loose.as_list(value.get("S3")))
                continue
            item = _from_object(key, value)
            if item is not None:
                yield item
                left += [(None, value.get("secondaryFiles"))]
            elif value.get("class") == "Directory":
                left += [(None, value.get("listing"))]
            else:
                left += [(str(name), item) for name, item in reversed(value.items())]


def _from_object(key: str | None, value: Mapping[str, object]) -> Found | None:
    """Read a dict that is a file: one that has a location. A directory is its listing."""
    if value.get("class") == "Directory":
        return None
    field = next((name for name in _LOCATIONS if _is_text(value.get(name))), None)
    if field is None:
        return None
    location = str(value[field])
    given = next((str(value[name]) for name in _NAMES if _is_text(value.get(name))), None)
    name = given or (key if field.startswith("drs_") and key else None) or last_part(location)
    size = loose.as_int(value.get("size"))
    checksums = [str(value.get("checksum") or "")]
    checksums += [
        f"{item.get('type')}${item.get('checksum')}"
        for item in loose.dicts(value.get("checksums"), 10)
    ]
    return Found(
        name,
        location,
        size if size is not None and size >= 0 else None,
        _digest(checksums, "md5", 32),
        _digest(checksums, "sha1", 40),
    )


def _from_text(key: str | None, value: str) -> Found | None:
    """Read a string that is a file: one with a scheme, or an absolute path."""
    if not _is_text(value) or any(c.isspace() and c != " " for c in value):
        return None
    if "://" not in value[:40] and not value.startswith("/"):
        return None
    if value.endswith("/"):
        return None
    base = last_part(value)
    # A key is a file's name at the starter kit, where both are equal, and an output's name in WDL.
    name = base if "." in base or not key else key
    return Found(name, value) if name else None


def _weskit(names: list[object], links: list[object]) -> Iterator[Found]:
    """Join the names of the run folder with the signed links to the same files."""
    by_name = {name: name for name in names if _is_text(name) and isinstance(name, str)}
    linked: dict[str, str] = {}
    others: list[Found] = []
    by_end: dict[str, str] = {}
    for name in by_name:
        end = name.removeprefix("./")
        by_end[end] = max(by_end.get(end, ""), name, key=len)
    for link in links:
        if not isinstance(link, str) or not _is_text(link):
            continue
        try:
            path = unquote(urlsplit(link).path) if link.startswith("http") else link
        except ValueError:
            continue
        # The longest name first. Looked up: the remote chooses how many names and links there are.
        ends = (path.split("/", depth)[-1] for depth in range(_MAX_DEPTH))
        name = path if path in by_name else next((by_end[end] for end in ends if end in by_end), "")
        if name:
            linked[name] = link
        else:
            others.append(Found(last_part(link), link))
    for name in by_name:
        yield Found(name.removeprefix("./"), linked.get(name, name))
    yield from others


def _digest(texts: list[str], kind: str, length: int) -> str | None:
    for text in texts:
        name, mark, digest = text.replace(":", "$", 1).partition("$")
        plain = digest.strip().lower()
        if mark and name.strip().lower().replace("-", "") == kind and len(plain) == length:
            return plain if all(c in "0123456789abcdef" for c in plain) else None
    return None


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    base = name.rpartition("/")[2]
    return any(
        fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(base, pattern))
        for pattern in patterns
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= _MAX_TEXT
