"""From what a server calls a file to what can be fetched, or to where it is held. Pure.

A path that a server names is never opened here: only a map of the configuration makes an address of it.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from yarl import URL

from app.adapters.archives import UnsafeNameError, safe_name
from app.adapters.base import RemoteOutput
from app.adapters.endpoint import Endpoint
from app.adapters.text import clean_line
from app.adapters.wes.config import OutputsConfig, PathMap
from app.adapters.wes.outputs import Found, role_of

_FETCHED = frozenset({"http", "https", "drs"})


@dataclass(frozen=True, slots=True)
class Located:
    """What a run offers. `refused` counts files with impossible names, `left_out` those beyond the configured number."""

    outputs: tuple[RemoteOutput, ...]
    refused: int
    left_out: int


def locate(
    found: Iterable[Found],
    config: OutputsConfig,
    endpoint: Endpoint,
    run_id: str,
    *,
    own_outputs: bool = False,
) -> Located:
    """Give what can be downloaded, and what is held at the service. Names are made unique; keys are the names.

    `own_outputs`: links to the run's own results are taken to the base URL, whatever host they name.
    """
    home = f"/runs/{run_id}/outputs/" if own_outputs else None
    named: list[tuple[str, Found]] = []
    refused = 0
    for item in found:
        try:
            named.append((safe_name(item.name), item))
        except UnsafeNameError:
            refused += 1
    # Results first, should there be more than are taken; then by name, so that equal names keep their order between looks.
    named.sort(key=lambda pair: (role_of(pair[0]) != "result", pair[0], _bare(pair[1].location)))
    taken = named[: config.max_files]
    used: set[str] = set()
    outputs = tuple(
        _output(_unique(name, used), item, config, endpoint, run_id, home) for name, item in taken
    )
    return Located(outputs, refused, len(named) - len(taken))


def address_of(
    location: str,
    config: OutputsConfig,
    endpoint: Endpoint,
    run_id: str,
    home: str | None = None,
) -> str | None:
    """Give the http(s) or drs address of a location; None where it cannot be reached from here.

    What follows `home` in an http address is looked for below the base URL.
    """
    for rule in config.file_url_map:
        mapped = _mapped(location, rule, run_id)
        if mapped is not None:
            return mapped
    try:
        url = URL(location, encoded=True)
        if home is not None and url.scheme in {"http", "https"}:
            _, mark, rest = url.raw_path.partition(home)
            if mark and rest and not _climbs(unquote(rest)):
                return str(URL(endpoint.root + mark + rest, encoded=True))
        if url.scheme in _FETCHED and url.host and url.port is not False:
            return location
        if not url.scheme and location.startswith("/runs/"):
            return str(URL(endpoint.root + location, encoded=True))
    except ValueError:
        return None
    return None


def _mapped(location: str, rule: PathMap, run_id: str) -> str | None:
    """Apply one rule. A prefix that is a plain path fits `file://` addresses of that path too."""
    prefix = rule.prefix.replace("{run_id}", run_id)
    is_file = location.startswith("file://")
    plain = "/" + unquote(location.removeprefix("file://")).lstrip("/") if is_file else location
    if prefix.startswith("file://") or "://" in prefix:
        if not location.startswith(prefix):
            return None
        rest = location[len(prefix) :]
        rest = unquote(rest) if is_file else rest
    elif not prefix:
        if "://" in location[:40] or location.startswith("/"):
            return None
        rest = location
    else:
        if not plain.startswith(prefix):
            return None
        rest = plain[len(prefix) :]
    # Servers decode before they walk: what climbs only once it is decoded climbs too.
    if _climbs(rest) or _climbs(unquote(rest)):
        return None
    encoded = rest if "://" in prefix and not is_file else quote(rest, safe="/")
    return rule.replace.replace("{run_id}", quote(run_id, safe="")) + encoded


def _climbs(path: str) -> bool:
    return any(part in {".", ".."} for part in path.split("/"))


def _output(
    name: str,
    item: Found,
    config: OutputsConfig,
    endpoint: Endpoint,
    run_id: str,
    home: str | None,
) -> RemoteOutput:
    address = None
    if config.mode == "auto":
        address = address_of(item.location, config, endpoint, run_id, home)
    return RemoteOutput(
        key=name,
        name=name,
        role=role_of(name),
        address=address or "",
        md5=item.md5,
        sha1=item.sha1,
        size_bytes=item.size_bytes,
        held_at=None if address else held_at(item.location, run_id),
    )


def held_at(location: str, run_id: str) -> str:
    """Say for people where a file lies. Queries of addresses are left out: they may be signatures."""
    bare = clean_line(_bare(location), limit=500)
    return (
        bare if "://" in bare or bare.startswith("/") else f"{bare} (in the folder of run {run_id})"
    )


def _bare(location: str) -> str:
    return location.partition("?")[0] if "://" in location[:40] else location


def _unique(name: str, used: set[str]) -> str:
    """Give a name that no other file has, also where case and Unicode forms are not told apart."""
    folder, slash, base = name.rpartition("/")
    stem, dot, rest = base.partition(".")
    candidate, number = name, 1
    while (known := unicodedata.normalize("NFC", candidate).casefold()) in used:
        number += 1
        candidate = f"{folder}{slash}{stem}-{number}{dot}{rest}"
    used.add(known)
    return candidate
