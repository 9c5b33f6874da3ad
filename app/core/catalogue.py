"""What administrators may say of services and panels."""

import re
from collections.abc import Sequence
from typing import Any

from app.core.errors import FieldError, InvalidInput
from app.core.names import one_line

BUILDS = ("hg19", "hg38")
MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 4000
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def check_slug(slug: str | None, name: str) -> str:
    """Give a short name, made from the long one when absent. Raises InvalidInput."""
    made = slug if slug is not None else _NOT_SLUG.sub("-", name.casefold()).strip("-")[:63]
    if not _SLUG.fullmatch(made):
        raise refuse("slug", "must be 1 to 63 lower-case letters, digits and hyphens")
    return made


def check_line(text: str, field: str, limit: int = MAX_NAME_CHARS) -> str:
    """Give a text as one line that is not empty. Raises InvalidInput."""
    line = one_line(text)
    if not line or len(line) > limit:
        raise refuse(field, f"must have 1 to {limit} characters")
    return line


def check_builds(builds: Sequence[str], *, may_be_empty: bool = False) -> list[str]:
    """Give builds in their order, each once. Raises InvalidInput."""
    if not set(builds) <= set(BUILDS) or not (builds or may_be_empty):
        raise refuse("builds", f"must be of {', '.join(BUILDS)}")
    return [build for build in BUILDS if build in builds]


def merge(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Give a configuration after a change that names only some keys; null removes one (RFC 7396, one level deep)."""
    return {key: value for key, value in {**old, **change}.items() if value is not None}


def refuse(field: str, message: str) -> InvalidInput:
    """Give a refusal that names a field."""
    return InvalidInput(f"{field} {message}", errors=[FieldError(field, message)])
