"""What services offer to somebody who is about to submit."""

from dataclasses import dataclass
from datetime import datetime

from app.core.models import build
from app.db.queries import Executor, load

OFFERS = load("offers")


@dataclass(frozen=True, slots=True)
class UsualDuration:
    """How long half of a service's latest jobs took at most, over so many `jobs`."""

    service_id: int
    jobs: int
    median_s: float


async def list_usual_durations(db: Executor, since: datetime) -> dict[int, UsualDuration]:
    """Give how long jobs usually take, by service; those without jobs since then are left out."""
    rows = await OFFERS.list_usual_durations.rows(db, since=since)
    return {row["service_id"]: build(UsualDuration, row) for row in rows}


@dataclass(frozen=True, slots=True)
class TookTimes:
    """How long a service's latest `jobs` took: half of them at most `median_s`, nine of ten at most `p90_s`."""

    jobs: int
    median_s: float | None
    p90_s: float | None


async def measure_jobs(db: Executor, service_id: int) -> TookTimes:
    """Give how long the last 50 completed jobs of a service took, whosever they are."""
    row = await OFFERS.measure_jobs.row(db, service_id=service_id)
    return build(TookTimes, row) if row is not None else TookTimes(0, None, None)
