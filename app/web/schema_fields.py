"""What a msgspec Struct asks for: its fields, and how each of them is asked for in a form."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

_ONES = {
    inspect.StrType: "text",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "check",
    inspect.LiteralType: "choice",
    inspect.StructType: "group",
}


@dataclass(frozen=True, slots=True)
class Described:
    """A field of a Struct. `kind` is how it is asked for; `inner` are the fields of a group, or of each row.

    Kinds: text, long, integer, number, check, choice, scalar, list, pairs, scalars (pairs whose values are scalars), labels (keys,
    or keys with labels), group, table (rows with a key), rows, json.
    """

    key: str
    kind: str
    label: str
    type: Any
    hint: str = ""
    default: Any = None
    is_required: bool = False
    choices: tuple[str, ...] = ()
    inner: tuple["Described", ...] = ()


@cache
def describe(kind: type[msgspec.Struct]) -> tuple[Described, ...]:
    """Give the fields of a Struct, with the titles and descriptions of its `Meta`."""
    told = inspect.type_info(kind)
    if not isinstance(told, inspect.StructType):
        raise TypeError("not a Struct")
    types = {item.name: item.type for item in msgspec.structs.fields(kind)}
    return tuple(_describe(item, types[item.name]) for item in told.fields)


def _describe(item: inspect.Field, kind: Any) -> Described:
    told, words, extra = item.type, {}, {}
    while isinstance(told, inspect.Metadata):
        words = told.extra_json_schema or {}
        extra = told.extra or {}
        told = told.type
    if isinstance(told, inspect.UnionType) and len(told.types) == 2:
        kinds = [one for one in told.types if not isinstance(one, inspect.NoneType)]
        told = kinds[0] if len(kinds) == 1 else told
    shape, choices, inner = _shape(told)
    if shape == "text" and extra.get("long"):
        shape = "long"
    default: Any = None
    if item.default is not msgspec.NODEFAULT:
        default = item.default
    elif item.default_factory is not msgspec.NODEFAULT:
        default = item.default_factory()
    return Described(
        item.encode_name,
        shape,
        words.get("title") or item.encode_name.replace("_", " ").capitalize(),
        kind,
        words.get("description", ""),
        msgspec.to_builtins(default),
        item.required,
        choices,
        inner,
    )


def _shape(told: inspect.Type) -> tuple[str, tuple[str, ...], tuple[Described, ...]]:
    """Give the kind of a field, what may be chosen, and what it consists of."""
    if isinstance(told, inspect.StructType):
        return "group", (), describe(told.cls)
    if isinstance(told, inspect.LiteralType):
        return "choice", tuple(str(value) for value in told.values), ()
    if isinstance(told, inspect.DictType):
        return _shape_of_values(told.value_type)
    if isinstance(told, inspect.VarTupleType | inspect.ListType):
        item = told.item_type
        if isinstance(item, inspect.StructType):
            return "rows", (), describe(item.cls)
        return ("list" if isinstance(item, inspect.StrType) else "json"), (), ()
    if isinstance(told, inspect.UnionType):
        kinds = {type(one) for one in told.types}
        if kinds == {inspect.DictType, inspect.ListType}:
            return "labels", (), ()
        return ("scalar" if _is_scalar(told) else "json"), (), ()
    return _ONES.get(type(told), "json"), (), ()


def _shape_of_values(told: inspect.Type) -> tuple[str, tuple[str, ...], tuple[Described, ...]]:
    if isinstance(told, inspect.StructType):
        return "table", (), describe(told.cls)
    if isinstance(told, inspect.StrType):
        return "pairs", (), ()
    return ("scalars" if _is_scalar(told) else "json"), (), ()


def _is_scalar(told: inspect.Type) -> bool:
    plain = (inspect.StrType, inspect.IntType, inspect.FloatType, inspect.BoolType)
    return isinstance(told, inspect.UnionType) and all(isinstance(one, plain) for one in told.types)
