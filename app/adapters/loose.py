"""Reading JSON of strangers: any member may be missing, null, or of another type.

Every function gives a harmless default in place of an exception, so that one odd member does not cost the whole answer.
"""

import contextlib
from datetime import UTC, datetime

_MAX_DIGITS = 18
_MILLISECONDS_FROM = 100_000_000_000
"""Epoch figures above this are milliseconds: as seconds they would lie beyond the year 5000."""


def as_dict(value: object) -> dict[str, object]:
    """Give the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Give the list, or an empty one."""
    return value if isinstance(value, list) else []


def dicts(value: object, limit: int) -> list[dict[str, object]]:
    """Give the first `limit` objects of a list, leaving out whatever is not an object."""
    return [item for item in as_list(value)[:limit] if isinstance(item, dict)]


def as_text(value: object) -> str | None:
    """Give a string that is not blank; numbers become their digits, anything else None."""
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**_MAX_DIGITS else None
    return None


def as_int(value: object) -> int | None:
    """Give a whole number, also from its decimal digits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        digits = value.strip()
        if digits.lstrip("-").isdecimal() and len(digits) <= _MAX_DIGITS:
            with contextlib.suppress(ValueError):
                return int(digits)
    return None


def as_time(value: object) -> datetime | None:
    """Give an aware UTC time from epoch seconds, epoch milliseconds, or ISO-8601; None where unset (0, -1) or odd."""
    number = as_int(value)
    try:
        if number is not None:
            if number <= 0:
                return None
            seconds = number / 1000 if number >= _MILLISECONDS_FROM else number
            return datetime.fromtimestamp(seconds, tz=UTC)
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value.strip())
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
