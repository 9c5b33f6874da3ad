"""Which part of something a request wants: conditions and ranges of RFC 9110 §13 and §14. Pure.

A range is honoured only for bytes, only one, and only when If-Range names exactly what is there; in all other cases the answer
is the whole, which the standard allows and which never corrupts a resumed download.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

_RANGE = re.compile(
    r"bytes[ \t]*=[ \t]*([0-9]{0,19})[ \t]*-[ \t]*([0-9]{0,19})[ \t]*", re.IGNORECASE
)
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


class Verdict(Enum):
    """What to answer."""

    SEND = auto()
    NOT_MODIFIED = auto()
    PRECONDITION_FAILED = auto()
    UNSATISFIABLE = auto()


@dataclass(frozen=True, slots=True)
class Selection:
    """The bytes [start, stop) of `size_bytes`; `is_part` says that a range was asked for and is given."""

    verdict: Verdict
    start: int
    stop: int
    is_part: bool = False


def select(method: str, headers: Mapping[str, str], size_bytes: int, etag: str) -> Selection:
    """Judge a GET or HEAD. `headers` are looked up as written here, `etag` is the strong tag without quotes."""
    whole = Selection(Verdict.SEND, 0, size_bytes)
    if_match = headers.get("If-Match")
    if if_match is not None and not _names(if_match, etag, weakly=False):
        return Selection(Verdict.PRECONDITION_FAILED, 0, 0)
    if_none_match = headers.get("If-None-Match")
    if if_none_match is not None and _names(if_none_match, etag, weakly=True):
        return Selection(Verdict.NOT_MODIFIED, 0, 0)
    wanted = headers.get("Range")
    if wanted is None or method != "GET":  # RFC 9110 §14.2: only GET has ranges
        return whole
    if_range = headers.get("If-Range")
    if if_range is not None and if_range.strip() != f'"{etag}"':
        return whole
    return _cut(wanted, size_bytes) or whole


def _cut(wanted: str, size_bytes: int) -> Selection | None:
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or not (match[1] or match[2]):
        return None
    first, last = match[1], match[2]
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size_bytes - int(last))
    stop = min(size_bytes, int(last) + 1) if first and last else size_bytes
    if start >= stop:
        return Selection(Verdict.UNSATISFIABLE, 0, 0)
    return Selection(Verdict.SEND, start, stop, is_part=True)


def _names(header: str, etag: str, *, weakly: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == etag and (weakly or not weak) for weak, tag in _TAG.findall(header))
