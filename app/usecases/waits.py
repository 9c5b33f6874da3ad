"""How long jobs took at services, as far as it may be told: times of a few jobs would tell of single people's work."""

from app.core.expiry import LOOKS_BACK
from app.db import offers as db
from app.db.offers import UsualDuration
from app.usecases.deps import Deps

FEWEST_JOBS = 5
"""Times of fewer jobs are told to nobody."""


async def list_usual_durations(
    deps: Deps, service_id: int | None = None
) -> dict[int, UsualDuration]:
    """Give how long jobs usually took lately, by service, of one or of all active ones; services with too few jobs are left out."""
    told = await db.list_usual_durations(deps.pool, deps.now() - LOOKS_BACK, service_id)
    return {number: item for number, item in told.items() if item.jobs >= FEWEST_JOBS}
