"""Filling templates of workflow parameters. Pure.

`{name}` is replaced inside strings only. A string that is exactly one placeholder becomes the value with its type (a list stays
a list). One that stands for nothing (no population was chosen) is left out together with its key. A list of one item that
names `{input_url}` or `{input_name}` is repeated for every input file, as CWL's lists of File objects need. `{{name}}` is
a literal `{name}`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

Value = str | int | float | bool | Sequence[str] | None

NAMES = (
    "input_urls",
    "input_url",
    "input_name",
    "input_names",
    "samplesheet_url",
    "upload_url",
    "panel.value",
    "panel.key",
    "build",
    "phasing",
    "population",
    "job_id",
)
PER_FILE = frozenset({"input_url", "input_name"})
_PLACEHOLDER = re.compile(r"\{(?P<quote>\{?)(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,80})\}(?P<end>\}?)")
_OPTION = re.compile(r"option\.[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}")


class _Nothing:
    """The value of a placeholder that stands for nothing."""


_NOTHING = _Nothing()


def names_in(template: object) -> frozenset[str]:
    """Give the placeholders that a template uses."""
    return frozenset(name for text in _strings(template) for name in _names(text))


def unknown_names(template: object) -> str | None:
    """Say which placeholder is unknown and which there are; None where all are known."""
    for name in sorted(names_in(template)):
        if name not in NAMES and not _OPTION.fullmatch(name):
            choices = ", ".join(f"{{{item}}}" for item in NAMES)
            return f"{{{name}}}. There are: {choices}, {{option.X}}"
    return None


def takes_many(template: object) -> bool:
    """Say whether a template has room for more than one input file."""
    if names_in(template) & {"input_urls", "input_names", "samplesheet_url"}:
        return True
    if isinstance(template, Mapping):
        return any(takes_many(item) for item in template.values())
    return isinstance(template, list) and (
        _is_repeated(template) or any(takes_many(item) for item in template)
    )


def fill(
    template: Mapping[str, object],
    values: Mapping[str, Value],
    per_file: Sequence[Mapping[str, Value]],
    *,
    as_strings: bool,
) -> dict[str, object]:
    """Give the parameters. `per_file` holds `input_url` and `input_name` of each file; `as_strings` makes texts of all top values."""
    filled = _fill(dict(template), values, per_file)
    assert isinstance(filled, dict)  # noqa: S101 - a dict gives a dict
    return {name: as_text(value) for name, value in filled.items()} if as_strings else filled


def fill_text(text: str, values: Mapping[str, Value]) -> str:
    """Fill one string, always giving a string."""

    def replaced(match: re.Match[str]) -> str:
        if match["quote"] and match["end"]:
            return f"{{{match['name']}}}"
        return f"{match['quote']}{as_text(values.get(match['name']))}{match['end']}"

    return _PLACEHOLDER.sub(replaced, text)


def as_text(value: object) -> str:
    """Give a value as the text that stands in a string: lists of plain values separated by spaces, others as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return msgspec.json.encode(value).decode()


def _fill(
    template: object, values: Mapping[str, Value], per_file: Sequence[Mapping[str, Value]]
) -> object:
    if isinstance(template, str):
        match = _PLACEHOLDER.fullmatch(template)
        if match is None or match["quote"] or match["end"]:
            return fill_text(template, values)
        value = values.get(match["name"])
        if value is None:
            return _NOTHING
        return list(value) if isinstance(value, tuple) else value
    if isinstance(template, Mapping):
        filled = {name: _fill(item, values, per_file) for name, item in template.items()}
        return {name: item for name, item in filled.items() if item is not _NOTHING}
    if isinstance(template, list):
        if _is_repeated(template):
            repeated = (_fill(template[0], {**values, **own}, per_file) for own in per_file)
            return [item for item in repeated if item is not _NOTHING]
        items = (_fill(item, values, per_file) for item in template)
        return [item for item in items if item is not _NOTHING]
    return template


def _is_repeated(template: Sequence[object]) -> bool:
    return len(template) == 1 and bool(names_in(template[0]) & PER_FILE)


def _names(text: str) -> Iterator[str]:
    for match in _PLACEHOLDER.finditer(text):
        if not (match["quote"] and match["end"]):
            yield match["name"]


def _strings(template: object) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for item in template.values():
            yield from _strings(item)
    elif isinstance(template, list):
        for item in template:
            yield from _strings(item)
