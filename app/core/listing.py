"""How a list of jobs may be ordered, and how the jobs of one batch are brought together. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, TypeVar
from uuid import UUID


class JobOrder(StrEnum):
    """Orders of a list of jobs; `sql/jobs.sql` knows the same words. What is equal in one is newest first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    STATUS = "status"
    """As a job passes them: queued, running, then those that ended."""
    PROGRESS = "progress"
    """The furthest first."""
    DURATION = "duration"
    """Those first that took, or have taken so far, the longest since a worker took them."""


ORDER_WORDS: Mapping[JobOrder, str] = MappingProxyType(
    {
        JobOrder.NEWEST: "Newest first",
        JobOrder.OLDEST: "Oldest first",
        JobOrder.NAME: "Name",
        JobOrder.STATUS: "Status",
        JobOrder.PROGRESS: "Progress",
        JobOrder.DURATION: "Longest first",
    }
)
"""What people read."""


class InBatch(Protocol):
    """Anything that may belong to a batch."""

    @property
    def batch_id(self) -> UUID | None: ...


T = TypeVar("T", bound=InBatch)


def gather(items: Iterable[T]) -> list[T]:
    """Give the items with those of one batch together, where the first of them stands; otherwise their order stays."""
    groups: dict[object, list[T]] = {}
    for place, item in enumerate(items):
        groups.setdefault(item.batch_id or place, []).append(item)
    return [item for group in groups.values() for item in group]
