"""How a batch stands: derived from what its jobs came to, never stored."""

from collections.abc import Iterable, Mapping
from enum import IntFlag, StrEnum
from types import MappingProxyType

from app.core.jobs import TERMINAL, Status


class BatchStatus(StrEnum):
    """What users filter batches by."""

    OPEN = "open"
    """At least one job goes on."""
    COMPLETED = "completed"
    """All have results."""
    FAILED = "failed"
    """None has results, and at least one failed."""
    MIXED = "mixed"
    """Some have results, some have not."""
    CANCELLED = "cancelled"
    """All were cancelled, or deleted."""


class Seen(IntFlag):
    """What the jobs of a batch came to; `sql/batches.sql` computes the same bits."""

    OPEN = 1
    COMPLETED = 2
    FAILED = 4
    CANCELLED = 8


_BITS: Mapping[Status, Seen] = MappingProxyType(
    {status: Seen[status.name] if status in TERMINAL else Seen.OPEN for status in Status}
)
_ALL = range(int(Seen.OPEN | Seen.COMPLETED | Seen.FAILED | Seen.CANCELLED) + 1)


def sum_up(seen: Seen) -> BatchStatus:
    """Give the status of a batch whose jobs came to this."""
    if Seen.OPEN in seen:
        return BatchStatus.OPEN
    if Seen.COMPLETED in seen:
        return BatchStatus.COMPLETED if seen == Seen.COMPLETED else BatchStatus.MIXED
    return BatchStatus.FAILED if Seen.FAILED in seen else BatchStatus.CANCELLED


def status_of(statuses: Iterable[Status]) -> BatchStatus:
    """Give the status of a batch with jobs in these statuses."""
    seen = Seen(0)
    for status in statuses:
        seen |= _BITS[status]
    return sum_up(seen)


def seen_in(statuses: Iterable[BatchStatus]) -> list[int]:
    """Give every combination that is summed up as one of these: what a query looks for."""
    wanted = frozenset(statuses)
    return [bits for bits in _ALL if sum_up(Seen(bits)) in wanted]
