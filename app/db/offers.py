"""What services offer to somebody who is about to submit."""

from dataclasses import dataclass
from datetime import datetime

from app.core.models import build
from app.db.queries import Executor, load

OFFERS = load("offers")


@dataclass(frozen=True, slots=True)
class UsualDuration:
    """How long a service's latest `jobs` took: half of them at most `median_s`, nine of ten at most `p90_s`."""

    service_id: int
    jobs: int
    median_s: float
    p90_s: float


async def list_usual_durations(
    db: Executor, since: datetime, service_id: int | None = None
) -> dict[int, UsualDuration]:
    """Give how long jobs usually take, by service, of one or of all active ones; those without jobs since then are left out."""
    rows = await OFFERS.list_usual_durations.rows(db, since=since, service_id=service_id)
    return {row["service_id"]: build(UsualDuration, row) for row in rows}
