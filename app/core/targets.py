"""One upload for several services: reading the field `targets`, and telling which of them were refused, and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.errors import AppError, FieldError, InvalidInput
from app.core.submission import Asked, read_fields, read_options, refuse

TARGETS_FIELD = "targets"
MAX_TARGETS = 10
PLACE_FIELDS = ("service_id", "reference_panel_id")
"""What a form says either by itself or in each target."""
TARGET_FIELDS = (*PLACE_FIELDS, "build", "phasing", "population", "options", "name")

_EXAMPLE = 'For example [{"service_id": 1, "reference_panel_id": 3}, {"service_id": 2, "reference_panel_id": 7}].'
_KINDS: Mapping[str, tuple[type, ...]] = {
    "service_id": (int, str),
    "reference_panel_id": (int, str),
    "build": (str,),
    "phasing": (bool, str),
    "population": (str,),
    "name": (str,),
}
_MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Target:
    """What one job of a batch is asked to be; `own` names the fields that it says itself, the others are the form's."""

    asked: Asked
    own: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one of several was refused. `place` names its service and panel, as far as they are there."""

    index: int
    error: AppError
    place: Mapping[str, object] = field(default_factory=dict)


def read_targets(text: str, common: Mapping[str, str]) -> list[Target]:
    """Read the field; what a target does not say is as in the `common` fields. Raises InvalidInput."""
    read_fields(common)  # what is wrong there is no target's fault
    targets, refusals = [], []
    for index, item in enumerate(_read_list(text)):
        try:
            targets.append(_read_target(item, common))
        except InvalidInput as error:
            refusals.append(Refusal(index, error))
    if refusals:
        raise refuse_several(refusals)
    return targets


def refuse_several(refusals: Sequence[Refusal], word: str = TARGETS_FIELD) -> AppError:
    """Give the refusal of the first, as it would be for a single job, with `target`; `errors` and `refused` list all of them."""
    first = refusals[0]
    error = first.error
    listed = [item for refusal in refusals for item in _field_errors(refusal, word)]
    refused = [_told(refusal) for refusal in refusals]
    error.errors = tuple(listed[:_MAX_SHOWN])
    error.extra = {**error.extra, **first.place, "target": first.index, "refused": refused}
    return error


def refuse_repeated(index: int, earlier: int) -> InvalidInput:
    """Give the refusal of a target that asks for what an `earlier` one asks for already."""
    return InvalidInput(
        f"Targets {earlier} and {index} ask for the same: service, panel and all settings",
        code="repeated_target",
        action="Send each target once.",
    )


def _field_errors(refusal: Refusal, word: str) -> list[FieldError]:
    where = f"{word}[{refusal.index}]"
    if not refusal.error.errors:
        return [FieldError(where, refusal.error.message)]
    return [FieldError(f"{where}.{item.field}", item.message) for item in refusal.error.errors]


def _told(refusal: Refusal) -> dict[str, object]:
    error = refusal.error
    told = {
        **error.extra,
        **refusal.place,
        "target": refusal.index,
        "code": error.code,
        "message": error.message,
        "action": error.action,
    }
    return {name: value for name, value in told.items() if value is not None}


def _read_list(text: str) -> list[dict[str, Any]]:
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, list) and len(value) > MAX_TARGETS:
        message = f"There are more than {MAX_TARGETS} targets"
        raise refuse(TARGETS_FIELD, "too_many_targets", message, "Send the others as another one.")
    if (
        not isinstance(value, list)
        or not value
        or not all(isinstance(item, dict) for item in value)
    ):
        message = f"targets is a JSON list of 1 to {MAX_TARGETS} objects, each name once in each"
        raise refuse(TARGETS_FIELD, "invalid_targets", message, _EXAMPLE)
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return named


def _read_target(item: Mapping[str, Any], common: Mapping[str, str]) -> Target:
    if not item.keys() <= set(TARGET_FIELDS):
        raise InvalidInput(
            "The target has a field that is not known here",
            code="unknown_field",
            action=f"The fields of a target are: {', '.join(TARGET_FIELDS)}.",
        )
    own = {name: value for name, value in item.items() if value is not None and value != ""}
    texts = {name: _text(name, value) for name, value in own.items() if name != "options"}
    asked = read_fields({**common, **texts})
    if "options" in own:
        asked = replace(asked, options=read_options(own["options"]))
    for name in PLACE_FIELDS:
        if getattr(asked, name) is None:
            action = "Each target names its service and one of that service's panels."
            raise refuse(name, "missing_field", f"{name} is missing", action)
    return Target(
        asked, frozenset(name for name in own if name == "options" or texts[name].strip())
    )


def _text(name: str, value: object) -> str:
    kinds = _KINDS[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise refuse(name, "invalid_field", f"{name} is not of a kind that is read here", _EXAMPLE)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
