"""Reading `/service-info`, and telling from it which server answers. Pure.

The shapes of WES 1.0.0, 1.0.1 and 1.1.0 are all taken: nothing says which one a server speaks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.adapters import loose
from app.adapters.text import clean_line

_MAX = 200
_MARKS = frozenset({"workflow_type_versions", "workflow_engine_versions", "supported_wes_versions"})


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """What a server says about itself, as plain short texts. `types` are workflow types with their versions."""

    name: str | None = None
    version: str | None = None
    identity: str = ""
    """`id`, `type.group` and `type.artifact`, in lower case, for recognising."""
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plain_lists: bool = False
    """`workflow_type_versions` holds bare lists, against the specification."""
    engines: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    wes_versions: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    waiting: int | None = None


def is_service_info(said: object) -> bool:
    """Say whether this is the answer of a WES server at all."""
    return isinstance(said, dict) and bool(_MARKS & said.keys())


def read_info(said: Mapping[str, object]) -> ServiceInfo:
    """Read an answer of `/service-info`, leaving out whatever makes no sense."""
    versions = loose.as_dict(said.get("workflow_type_versions"))
    kind = loose.as_dict(said.get("type"))
    identity = " ".join(
        _line(value) for value in (said.get("id"), kind.get("group"), kind.get("artifact"))
    )
    return ServiceInfo(
        name=_line(said.get("name")) or None,
        version=_line(said.get("version")) or None,
        identity=identity.lower().strip(),
        types={_line(name): _versions(item) for name, item in list(versions.items())[:_MAX]},
        plain_lists=any(isinstance(item, list) for item in versions.values()),
        engines=tuple(
            _line(name) for name in list(loose.as_dict(said.get("workflow_engine_versions")))[:_MAX]
        ),
        parameters=_parameters(said.get("default_workflow_engine_parameters")),
        wes_versions=_texts(said.get("supported_wes_versions")),
        protocols=_texts(said.get("supported_filesystem_protocols")),
        waiting=_waiting(said.get("system_state_counts")),
    )


_TESTS: tuple[tuple[str, Callable[[ServiceInfo], bool]], ...] = (
    ("sapporo", lambda info: "sapporo" in info.identity),
    (
        "starter-kit",
        lambda info: (
            "starterkit" in info.identity.replace("-", "").replace(".", "")
            or bool({"NATIVE", "SLURM"} & {name.upper() for name in info.engines})
            or info.plain_lists
        ),
    ),
    ("weskit", lambda info: any("|" in name for name in info.parameters)),
    ("toil", lambda info: any("toil" in name.lower() for name in info.engines)),
    ("galaxy", lambda info: any(name.lower().startswith("gx_") for name in info.types)),
    ("wes-service", lambda info: any("cwl-runner" in name.lower() for name in info.engines)),
)
"""The first that holds names the server. Marks: seen at running servers and in their sources."""


def detect(info: ServiceInfo) -> str:
    """Give the dialect of the server that says this; `generic` where it is none of the known ones."""
    return next((name for name, holds in _TESTS if holds(info)), "generic")


def spelt(wanted: str, offered: Sequence[str]) -> str | None:
    """Give the server's own spelling of a word; None where it is not offered."""
    if wanted in offered:
        return wanted
    return next((item for item in offered if item.lower() == wanted.lower()), None)


def _versions(value: object) -> tuple[str, ...]:
    if isinstance(value, dict):
        value = value.get("workflow_type_version")
    return (_line(value),) if isinstance(value, str) else _texts(value)


def _texts(value: object) -> tuple[str, ...]:
    texts = (_line(loose.as_text(item)) for item in loose.as_list(value)[:_MAX])
    return tuple(text for text in texts if text)


def _parameters(value: object) -> tuple[str, ...]:
    """Give the names of engine parameters: a list by the specification, a table of lists at some servers."""
    lists = list(value.values()) if isinstance(value, dict) else [value]
    found = [item.get("name") for items in lists[:_MAX] for item in loose.dicts(items, _MAX)]
    keys = list(value)[:_MAX] if isinstance(value, dict) else []
    return tuple(text for text in map(_line, [*found, *keys]) if text)


def _waiting(value: object) -> int | None:
    counts = loose.as_dict(value)
    known = [loose.as_int(counts.get(word)) for word in ("QUEUED", "INITIALIZING")]
    numbers = [number for number in known if number is not None and number >= 0]
    return sum(numbers) if numbers else None


def _line(value: object) -> str:
    return clean_line(value, limit=200)
