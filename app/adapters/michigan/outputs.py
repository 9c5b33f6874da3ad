"""Reading what can be downloaded of a job. Pure.

There is one download per entry of `outputParams[].files[]`; its hash is all that protects it, so addresses are secrets.
They are kept relative to the service's base URL: an address that was stored cannot lead to another host.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.adapters import loose
from app.adapters.archives import UnsafeNameError, safe_name
from app.adapters.base import RemoteOutput
from app.adapters.text import clean_line

_MAX_PARAMS = 200
_MAX_FILES = 20_000
_HASH = re.compile(r"[A-Za-z0-9_-]{8,200}")
_GENOTYPES = (".vcf.gz", ".bcf", ".info.gz", ".tbi", ".csi", ".bgen", ".pgen")
SHARED_MD5 = "results.md5"
"""The list that imputationserver 1 puts beside its archives."""
_REPORTS = (".html", ".txt", ".pdf", ".csv", ".tsv", ".json", ".md5")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a job offers. `refused` counts entries that were left out because of an impossible name or hash."""

    outputs: tuple[RemoteOutput, ...]
    refused: int


def read_outputs(job: Mapping[str, object]) -> Listed:
    """Read job JSON (cloudgene3 `ParameterOutputResponse`, `DownloadResponse`).

    A checksum file (`chr_20.zip.md5`, or `results.md5` for all archives beside it) is joined to what it speaks of and not listed itself.
    """
    found: dict[str, RemoteOutput] = {}
    refused = 0
    for param in loose.dicts(job.get("outputParams"), _MAX_PARAMS):
        group = clean_line(param.get("name"), limit=100) or "output"
        for entry in loose.dicts(param.get("files"), _MAX_FILES):
            if len(found) >= _MAX_FILES:
                break
            output = _read_file(group, entry)
            if output is None:
                refused += 1
            elif output.key not in found:
                found[output.key] = output
    return Listed(_with_checksums(found), refused)


def role_of(name: str, group: str) -> str:
    """Give `result`, `qc` or `log` for a file of the remote, by its name and the name of its output parameter."""
    plain = name.lower()
    base = plain.rpartition("/")[2]
    if group.lower() in {"logfile", "logs"} or base.endswith(".log"):
        return "log"
    if base.endswith((".zip", *_GENOTYPES)):
        return "result"
    if base.endswith(_REPORTS) or plain.startswith("statistics/"):
        return "qc"
    return "result"


def md5_of(text: str, name: str) -> str | None:
    """Give the checksum of `name` out of `md5sum` lines: its own line, or the only one."""
    base = name.rpartition("/")[2]
    lines = [
        (match[1].lower(), match[2].strip().rpartition("/")[2])
        for line in text.splitlines()[:1000]
        if (match := re.fullmatch(r"\\?([0-9a-fA-F]{32})(?:[ \t]+\*?(.*))?", line.strip()))
        and match[2] is not None
    ] or [(text.strip().lower(), base)]
    for digest, named in lines:
        if named == base and re.fullmatch(r"[0-9a-f]{32}", digest):
            return digest
    return None


def _read_file(group: str, entry: Mapping[str, object]) -> RemoteOutput | None:
    name, secret = entry.get("name"), entry.get("hash")
    if not isinstance(name, str) or not isinstance(secret, str) or not _HASH.fullmatch(secret):
        return None
    try:
        safe_name(name)
    except UnsafeNameError:
        return None
    role = role_of(name, group)
    left = loose.as_int(entry.get("count"))
    return RemoteOutput(
        key=f"{group}/{name}",
        name=name,
        role=role,
        address=f"share/results/{secret}/{name}",
        archive=role == "result" and name.lower().endswith(".zip"),
        downloads_left=left if left is not None and left >= 0 else None,
    )


def _with_checksums(found: Mapping[str, RemoteOutput]) -> tuple[RemoteOutput, ...]:
    """Join each file with its own `.md5`, else each archive with the one list of its group."""
    own = {key for key in found if key.endswith(".md5") and key.removesuffix(".md5") in found}
    shared = {
        _folder(key): output for key, output in found.items() if key.endswith("/" + SHARED_MD5)
    }
    joined, used = [], set(own)
    for key, output in found.items():
        sibling = found.get(f"{key}.md5")
        if sibling is None and output.archive and (sibling := shared.get(_folder(key))):
            used.add(sibling.key)
        joined.append(replace(output, md5_address=sibling.address if sibling else None))
    return tuple(item for item in joined if item.key not in used)


def _folder(key: str) -> str:
    return key.rpartition("/")[0]
