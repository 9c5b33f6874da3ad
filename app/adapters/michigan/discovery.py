"""Reading what a server offers: which app imputes, and the form by which it is submitted.

Neither app ids nor panels are constants: they differ between sites and change with upgrades. The JSON is read
defensively; of a parameter that makes no sense only that parameter is lost.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.adapters import loose
from app.adapters.base import Choice
from app.adapters.text import clean_line

_MAX_PARAMS = 300
_MAX_CHOICES = 2000
_KEY_LIMIT = 300
_SPECIAL = re.compile(r"-(hla|pgs|beagle)\b", re.IGNORECASE)
"""Apps that do something else than plain imputation: `imputationserver2-hla`, `-pgs`, `imputationserver-beagle`."""
_BUILDS = (
    ("hg19", re.compile(r"hg19|grch37|\bb37\b", re.IGNORECASE)),
    ("hg38", re.compile(r"hg38|grch38|\bb38\b", re.IGNORECASE)),
)
FILE_TYPES = frozenset({"local_folder", "local_file"})
CHOICE_TYPES = frozenset({"list", "radio", "app_list", "binded_list"})
TEXT_TYPES = frozenset({"text", "string", "textarea"})


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of the form. `bound` holds the choices per value of the field named by `bind`."""

    id: str
    type: str
    label: str
    default: str | None = None
    choices: tuple[Choice, ...] = ()
    bind: str | None = None
    bound: Mapping[str, tuple[Choice, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """An app's live form. `app_id` is the id under which it was found, to be used in the submit path."""

    app_id: str
    version: str | None
    name: str
    fields: Mapping[str, Field]

    def first(self, types: frozenset[str], preferred: str) -> Field | None:
        """Give the field `preferred` if it is of one of the types, else the first of such a type."""
        found = self.fields.get(preferred)
        if found is not None and found.type in types:
            return found
        return next((item for item in self.fields.values() if item.type in types), None)

    @property
    def panels(self) -> Field | None:
        return self.first(frozenset({"app_list"}), "refpanel")

    @property
    def files(self) -> Field | None:
        return self.first(FILE_TYPES, "files")

    def populations(self, panel_key: str) -> tuple[Choice, ...]:
        """Give what a panel lists; nothing where it lists none or the form has no such field."""
        item = self.fields.get("population")
        if item is None:
            return ()
        return item.bound.get(panel_key, ()) if item.type == "binded_list" else item.choices


def app_ids(server: Mapping[str, object]) -> list[str]:
    """Give the ids of the apps that the account may run, as `GET /api/v2/server` lists them."""
    listed = (loose.as_text(app.get("id")) for app in loose.dicts(server.get("apps"), _MAX_PARAMS))
    return [app for app in listed if app and _is_key(app) and app.strip() == app]


def choose_app(ids: Sequence[str], pinned: str | None) -> list[str]:
    """Give the app ids to try, best first; empty where the account has no fitting app.

    A pinned `id@version` that was upgraded away is followed by the newest version of the same app, never by another
    app. Otherwise: `imputationserver2`, then relatives of that name, then `minimac4` of old sites; newest version first.
    """
    if pinned:
        base = _base(pinned)
        same = sorted((app for app in ids if _base(app) == base), key=_version, reverse=True)
        return list(dict.fromkeys([pinned, *same, base]))
    ranked = [(rank, app) for app in ids if (rank := _rank(_base(app))) is not None]
    if not ranked:
        return []
    best = min(rank for rank, _ in ranked)
    return sorted((app for rank, app in ranked if rank == best), key=_version, reverse=True)


def read_form(app: Mapping[str, object], asked_id: str) -> Form:
    """Read `GET /api/v2/server/apps/{app}` (cloudgene3 `WdlAppResponse`)."""
    fields: dict[str, Field] = {}
    for param in loose.dicts(app.get("params"), _MAX_PARAMS):
        read = _read_field(param)
        if read is not None and read.id not in fields:
            fields[read.id] = read
    return Form(
        app_id=asked_id,
        version=clean_line(app.get("version"), limit=50) or None,
        name=clean_line(app.get("name"), limit=200),
        fields=fields,
    )


def build_in(text: str) -> str | None:
    """Give the genome build that a title or key names, as `hg19` or `hg38`; None where it names none or both."""
    named = [build for build, pattern in _BUILDS if pattern.search(text)]
    return named[0] if len(named) == 1 else None


def _read_field(param: Mapping[str, object]) -> Field | None:
    name = loose.as_text(param.get("id"))
    if name is None or not _is_key(name):
        return None
    kind = (loose.as_text(param.get("type")) or "").lower()
    default = loose.as_text(param.get("value"))
    bound: dict[str, tuple[Choice, ...]] = {}
    if kind == "binded_list":
        for item in loose.dicts(param.get("values"), _MAX_CHOICES):
            key = loose.as_text(item.get("key"))
            if key is not None and _is_key(key):
                bound[key] = _choices(item.get("values"))
    return Field(
        id=name,
        type=kind,
        label=clean_line(param.get("description")) or name,
        default=default if default is not None and _is_key(default) else None,
        choices=() if bound else _choices(param.get("values")),
        bind=loose.as_text(param.get("bind")),
        bound=bound,
    )


def _choices(values: object) -> tuple[Choice, ...]:
    """Read choices: the title is `value` in an `app_list`, `label` in a `binded_list` (cloudgene3 `PropertyResponse`)."""
    found: dict[str, Choice] = {}
    for item in loose.dicts(values, _MAX_CHOICES):
        key = loose.as_text(item.get("key"))
        if key is None or not _is_key(key):
            continue
        label = clean_line(item.get("value")) or clean_line(item.get("label")) or key
        found.setdefault(key, Choice(key, label))
    return tuple(found.values())


def _is_key(text: str) -> bool:
    """Say whether a text of the remote can be kept and sent back as it is: short, and nothing unprintable in it."""
    return len(text) <= _KEY_LIMIT and text.isprintable()


def _base(app_id: str) -> str:
    return app_id.partition("@")[0]


def _version(app_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", app_id.partition("@")[2]))


def _rank(base: str) -> int | None:
    if base == "imputationserver2":
        return 0
    if _SPECIAL.search(base):
        return None
    if base.startswith("imputationserver"):
        return 1
    return 2 if base.startswith("minimac4") else None
