"""Forms from msgspec Structs: what fields a type has, a value as the contents of a form, and contents back as a value.

Pure. The contents of a form are a flat mapping of names to texts, as browsers send them (a box that is not ticked is absent):
`fill` makes them from a value, `show` gives what to draw, `read` makes a value of them again, which leaves out whatever is as it
is by itself. Every value survives the way there and back: one that a field cannot hold (a list that is empty on purpose, a text
with line ends) is shown as JSON instead, under a name that ends in `:json`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.core.errors import FieldError
from app.web.schema_fields import Described, describe

__all__ = [
    "JSON",
    "KEY",
    "Given",
    "Row",
    "Shown",
    "describe",
    "fill",
    "labels_of",
    "names",
    "nearest",
    "parse_number",
    "read",
    "show",
]
JSON = ":json"
KEY = ":key"
MAX_ROWS = 200
_SCALARS = (int, float, bool)


@dataclass(frozen=True, slots=True)
class Shown:
    """A field as it is drawn. `rows` are those of a table, the last one blank; `json` is set where it is shown as JSON."""

    name: str
    of: Described
    text: str = ""
    inner: tuple["Shown", ...] = ()
    rows: tuple["Row", ...] = ()
    is_json: bool = False

    is_usual: bool = True

    @property
    def differs(self) -> bool:
        """Tell whether anything in it is not as it is by itself."""
        rows = self.rows[:-1]
        return (
            self.is_json
            or not self.is_usual
            or bool(rows)
            or any(item.differs for item in self.inner)
        )

    def has_any(self, places: Mapping[str, object]) -> bool:
        """Tell whether one of these places is inside."""
        return any(place.startswith(f"{self.name}.") for place in places)


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a table or list. `key` is the name of the field for its key, None in a list."""

    name: str
    number: int
    key: str | None
    key_text: str
    inner: tuple[Shown, ...]

    def has_any(self, places: Mapping[str, object]) -> bool:
        """Tell whether one of these places is inside."""
        return any(place.startswith(f"{self.name}.") for place in places)


@dataclass(slots=True)
class Given:
    """What was read, and what is wrong with it."""

    value: dict[str, Any] = field(default_factory=dict)
    errors: list[FieldError] = field(default_factory=list)


def fill(fields: tuple[Described, ...], value: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Give the contents of the form that shows a value; what the value leaves out is as it is by itself."""
    texts: dict[str, str] = {}
    for item in fields:
        given = value.get(item.key)
        current = item.default if given is None else given
        name = f"{prefix}.{item.key}"
        plain = _fill_one(item, current, name)
        if plain is None or (given is not None and not _is_kept(item, given, plain, name)):
            plain = {name + JSON: _json(current)}
        texts |= plain
    return texts


def _is_kept(item: Described, value: Any, texts: dict[str, str], name: str) -> bool:
    given = Given()
    _read_one(item, texts, name, given)
    again = given.value.get(item.key, item.default)
    if given.errors:
        return False
    if item.kind == "group" and again is None:
        again = {}
    try:
        return bool(msgspec.convert(value, item.type) == msgspec.convert(again, item.type))
    except msgspec.ValidationError:
        return False


def _fill_one(item: Described, value: Any, name: str) -> dict[str, str] | None:
    """Give the contents of one field; None where its kind cannot hold the value."""
    try:
        match item.kind:
            case "check":
                return {name: "on"} if value else {}
            case "group":
                return fill(item.inner, value or {}, name)
            case "table":
                rows = [{**_row(item, one, f"{name}.{number}"), f"{name}.{number}.{KEY}": key} for number, (key, one) in enumerate((value or {}).items())]  # fmt: skip
                return {key: text for row in rows for key, text in row.items()}
            case "rows":
                rows = [
                    _row(item, one, f"{name}.{number}") for number, one in enumerate(value or ())
                ]
                return {key: text for row in rows for key, text in row.items()}
            case "json":
                return {name: _json(value) if value else ""}
            case _:
                return {name: "" if value is None else _text(item.kind, value)}
    except (
        AttributeError,
        TypeError,
    ):  # not of the kind that the type asks for: an old configuration
        return None


def _row(item: Described, value: Mapping[str, Any], name: str) -> dict[str, str]:
    return fill(item.inner, value, name)


def _text(kind: str, value: Any) -> str:
    if kind == "list":
        return "\n".join(value)
    if kind == "labels" and not isinstance(value, Mapping):
        return "\n".join(value)
    if kind in ("pairs", "labels"):
        return "\n".join(f"{key} = {one}" for key, one in value.items())
    if kind == "scalars":
        return "\n".join(f"{key} = {_scalar(one)}" for key, one in value.items())
    if kind == "scalar":
        return _scalar(value)
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _scalar(value: Any) -> str:
    """Write a scalar so that a text which looks like a number stays a text."""
    if isinstance(value, str):
        return value if _of_scalar(value) == value else _json(value)
    return _json(value)


def _of_scalar(text: str) -> Any:
    try:
        value = msgspec.json.decode(text.strip())
    except (msgspec.DecodeError, UnicodeError):
        return text.strip()
    return value if isinstance(value, (str, *_SCALARS)) else text.strip()


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def show(fields: tuple[Described, ...], texts: Mapping[str, str], prefix: str) -> tuple[Shown, ...]:
    """Give what to draw of a form with these contents; tables get a blank row at their end."""
    return tuple(_show_one(item, texts, f"{prefix}.{item.key}") for item in fields)


def _show_one(item: Described, texts: Mapping[str, str], name: str) -> Shown:
    if name + JSON in texts:
        return Shown(name + JSON, item, texts[name + JSON], is_json=True)
    if item.kind == "group":
        return Shown(name, item, inner=show(item.inner, texts, name))
    if item.kind not in ("table", "rows"):
        usual = _fill_one(item, item.default, name) or {}
        text = texts.get(name, "")
        return Shown(name, item, text, is_usual=text == usual.get(name, ""))
    numbers = _numbers(texts, name)
    blank = max(numbers, default=-1) + 1
    rows = [
        Row(
            f"{name}.{number}",
            number,
            f"{name}.{number}.{KEY}" if item.kind == "table" else None,
            texts.get(f"{name}.{number}.{KEY}", ""),
            show(item.inner, texts if number != blank else fill(item.inner, {}, f"{name}.{number}"), f"{name}.{number}"),
        )
        for number in (*numbers, blank)
    ]  # fmt: skip
    return Shown(name, item, rows=tuple(rows))


def _numbers(texts: Mapping[str, str], name: str) -> list[int]:
    """Give the numbers of the rows that something was typed into."""
    found = set()
    for key in texts:
        number = key[len(name) + 1 :].partition(".")[0] if key.startswith(f"{name}.") else ""
        if number.isdecimal() and number.isascii() and len(number) <= 6:
            found.add(int(number))
    return sorted(found)[:MAX_ROWS]


def read(fields: tuple[Described, ...], texts: Mapping[str, str], prefix: str) -> Given:
    """Give the value that a form holds, without what is as it is by itself, and what cannot be read, at its field."""
    given = Given()
    for item in fields:
        _read_one(item, texts, f"{prefix}.{item.key}", given)
    return given


def _read_one(item: Described, texts: Mapping[str, str], name: str, given: Given) -> None:
    try:
        if name + JSON in texts:
            value = _of_json(texts[name + JSON])
        elif item.kind == "group":
            inside = read(item.inner, texts, name)
            given.errors += inside.errors
            value = inside.value or None
        elif item.kind in ("table", "rows"):
            value = _read_rows(item, texts, name, given)
        else:
            value = _of_text(item, texts.get(name, "").replace("\r\n", "\n"), ticked=name in texts)
    except ValueError as error:
        given.errors.append(FieldError(name, str(error)))
        return
    if value is not None and (item.is_required or value != item.default):
        given.value[item.key] = value


def _read_rows(item: Described, texts: Mapping[str, str], name: str, given: Given) -> Any:
    table: dict[str, Any] = {}
    rows: list[Any] = []
    for number in _numbers(texts, name):
        place = f"{name}.{number}"
        typed = {key: text.replace("\r\n", "\n") for key, text in texts.items() if key.startswith(f"{place}.") and text.strip()}  # fmt: skip
        blank = {key: text for key, text in fill(item.inner, {}, place).items() if text}
        if typed == blank:
            continue
        inside = read(item.inner, texts, place)
        given.errors += inside.errors
        rows.append(inside.value)
        key = texts.get(f"{place}.{KEY}", "").strip()
        if item.kind == "table" and (not key or key in table):
            given.errors.append(FieldError(f"{place}.{KEY}", "is missing" if not key else "is there twice"))  # fmt: skip
        table[key] = inside.value
    return (table if item.kind == "table" else rows) or None


def _of_text(item: Described, text: str, *, ticked: bool) -> Any:
    if item.kind == "check":
        return ticked
    if item.kind == "long":
        return text
    if not text.strip():
        return _of_nothing(item)
    match item.kind:
        case "integer" | "number":
            return parse_number(text.strip(), whole=item.kind == "integer")
        case "scalar":
            return _of_scalar(text)
        case "list":
            return [line.strip() for line in text.split("\n") if line.strip()]
        case "labels" if not any("=" in line for line in text.split("\n")):
            return [line.strip() for line in text.split("\n") if line.strip()]
        case "pairs" | "labels" | "scalars":
            pairs = _pairs(text, may_be_bare=item.kind == "labels")
            scalars = item.kind == "scalars"
            return {key: _of_scalar(one) if scalars else one for key, one in pairs.items()}
        case "json":
            return _of_json(text)
    return " ".join(text.split("\n")).strip()


def _of_nothing(item: Described) -> Any:
    """Give what an empty field means: nothing, which is a value of its own where the usual one is not empty."""
    if item.kind in ("text", "scalar"):
        return "" if item.is_required else None
    if item.kind == "list" and item.default:
        return []
    return {} if item.kind in ("pairs", "labels", "scalars", "json") and item.default else None


def parse_number(text: str, *, whole: bool) -> float:
    """Give a number that was typed. Raises ValueError, in words."""
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise ValueError("must be a whole number" if whole else "must be a number") from None
    if not math.isfinite(value):
        raise ValueError("must be a number")
    return value


def _pairs(text: str, *, may_be_bare: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        key, sign, value = (part.strip() for part in line.partition("="))
        if not key or not (sign or may_be_bare):
            raise ValueError(f"must have lines such as «name = value»: line {number} is none")
        if key in found:
            raise ValueError(f"names something twice in line {number}")
        found[key] = value if sign else key
    return found


def _of_json(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        raise ValueError("must be valid JSON: look at quotes, commas and brackets") from None


def names(shown: tuple[Shown, ...]) -> tuple[str, ...]:
    """Give the names of all fields that are drawn, groups included."""
    found: list[str] = []
    for item in shown:
        found += [item.name, *names(item.inner)]
        for row in item.rows:
            found += [*([row.key] if row.key else []), *names(row.inner)]
    return tuple(found)


def labels_of(place: str, shown: tuple[Shown, ...]) -> list[str]:
    """Give what a field is called, after the groups and numbered rows that it is in."""
    for item in shown:
        name = item.name.removesuffix(JSON)
        if place in (item.name, name):
            return [item.of.label]
        if not place.startswith(f"{name}."):
            continue
        for number, row in enumerate(item.rows, 1):
            if place == row.key:
                return [f"{item.of.label} {number}", "Key"]
            if place.startswith(f"{row.name}."):
                return [f"{item.of.label} {number}", *labels_of(place, row.inner)]
        return [item.of.label, *labels_of(place, item.inner)]
    return []


def nearest(place: str, shown: tuple[Shown, ...]) -> str | None:
    """Give the drawn field to which something wrong belongs: the one named, or the smallest thing around it."""
    known = {name.removesuffix(JSON): name for name in names(shown)}
    parts = place.replace("[", ".").split(".")
    while parts:
        if ".".join(parts) in known:
            return known[".".join(parts)]
        parts.pop()
    return None
