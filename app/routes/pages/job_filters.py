"""Which jobs a list shows, as its address says it. Nonsense in an address is left out: the list is then wider, never an error."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import msgspec

from app.core.jobs import Status
from app.core.listing import JobOrder
from app.db.jobs import JobFilter

JOBS = "/ui/jobs"
PAGE_SIZE = 25
_MAX_PAGE_SIZE = 200
_MAX_TEXT_CHARS = 200
_MAX_OFFSET = 10**7
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Tab:
    """One of the tabs over the list: its word in the address, and the statuses that it stands for."""

    word: str
    label: str
    statuses: tuple[Status, ...]


TABS: tuple[Tab, ...] = (
    Tab("", "All", ()),
    Tab("queued", "Queued", (Status.PENDING, Status.QUEUED)),
    Tab("running", "Running", (Status.RUNNING,)),
    Tab("completed", "Completed", (Status.COMPLETED,)),
    Tab("failed", "Failed", (Status.FAILED,)),
    Tab("cancelled", "Cancelled", (Status.CANCELLED,)),
)
_STATUSES_OF: Mapping[str, tuple[Status, ...]] = MappingProxyType(
    {
        "pending": (Status.PENDING,),
        "open": (Status.PENDING, Status.QUEUED, Status.RUNNING),
        **{tab.word: tab.statuses for tab in TABS if tab.word},
    }
)


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand in the address. `status` names one of the tabs, or several words with commas; `group` is on or absent."""

    status: str | None = None
    service_id: str | None = None
    q: str | None = None
    since: str | None = None
    until: str | None = None
    sort: str | None = None
    group: str | None = None
    limit: str | None = None
    offset: str | None = None


@dataclass(frozen=True, slots=True)
class ListView:
    """A list as somebody looks at it. Both dates are days in UTC, and belong to what is shown."""

    status: str = ""
    service_id: int | None = None
    q: str = ""
    since: date | None = None
    until: date | None = None
    sort: JobOrder = JobOrder.NEWEST
    group: bool = False
    limit: int = PAGE_SIZE
    offset: int = 0

    @classmethod
    def of(cls, query: ListQuery) -> "ListView":
        """Read an address."""
        words = [word.strip().lower() for word in (query.status or "").split(",")]
        sort = query.sort or ""
        return cls(
            status=",".join(dict.fromkeys(word for word in words if word in _STATUSES_OF)),
            service_id=_number(query.service_id, 1, _MAX_ID),
            q=(query.q or "").strip()[:_MAX_TEXT_CHARS],
            since=_day(query.since),
            until=_day(query.until),
            sort=JobOrder(sort) if sort in list(JobOrder) else JobOrder.NEWEST,
            group=bool(query.group),
            limit=_number(query.limit, 1, _MAX_PAGE_SIZE) or PAGE_SIZE,
            offset=_number(query.offset, 0, _MAX_OFFSET) or 0,
        )

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The statuses that are shown; none means all."""
        words = self.status.split(",") if self.status else []
        return tuple(dict.fromkeys(status for word in words for status in _STATUSES_OF[word]))

    @property
    def is_filtered(self) -> bool:
        """Whether any job may be left out."""
        return bool(self.status or self.service_id or self.q or self.since or self.until)

    def filter(self) -> JobFilter:
        """Give which jobs are meant."""
        return JobFilter(
            statuses=self.statuses or None,
            service_id=self.service_id,
            since=_midnight(self.since),
            until=_midnight(self.until, days=1),
            text=self.q or None,
        )

    def url(self, path: str = JOBS, **changes: Any) -> str:
        """Give the address of this list, with changes. What is as it is by itself is not named; the place in it only if asked."""
        view = replace(self, **{"offset": 0, **changes})
        standard = ListView()
        named = {
            name: _written(getattr(view, name))
            for name in ListView.__slots__
            if getattr(view, name) != getattr(standard, name)
        }
        return f"{path}?{urlencode(named)}" if named else path

    @property
    def here(self) -> str:
        """The address of this very page of it."""
        return self.url(offset=self.offset)

    @property
    def pages(self) -> str:
        """The address that its pages share: the pager adds how many there are on one, and which."""
        return self.url(limit=PAGE_SIZE)


def _written(value: object) -> str:
    if value is True:
        return "on"
    return value.isoformat() if isinstance(value, date) else str(value)


def _number(text: str | None, least: int, most: int) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    number = int(text)
    return number if least <= number <= most else None


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
    return day if 2000 <= day.year < 2200 else None  # beyond, no job is


def _midnight(day: date | None, days: int = 0) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day + timedelta(days=days), time(), UTC)
