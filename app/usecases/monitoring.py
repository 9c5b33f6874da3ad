"""What is seen of services' health, and what it comes to. The looks themselves: `app.usecases.engine.upkeep`."""

from dataclasses import dataclass

from app.core.health import (
    FAILURES_UNTIL_DOWN,
    WINDOWS,
    Incident,
    incidents,
    longest_gap,
    uptime,
)
from app.core.models import Service
from app.db import services as db
from app.db.services import HealthCheck, Latency
from app.usecases.catalogue import get_service
from app.usecases.deps import Deps
from app.usecases.engine.upkeep import check_service


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What was seen of a service, and what it comes to. `uptime` is a share 0..1 per window, None where nothing is known."""

    service: Service
    history: list[HealthCheck]
    total: int
    uptime: dict[str, float | None]
    latency: Latency
    incidents: list[Incident]


async def get_health(deps: Deps, service_id: int, limit: int, offset: int) -> HealthReport:
    """Give what was seen of a service's health: a page of looks, newest first, and what they come to. Raises NotFound."""
    service = await get_service(deps, service_id)
    now, gap = deps.now(), longest_gap(deps.settings.health_interval_s)
    spans = await db.list_spans(deps.pool, service_id, now - max(WINDOWS.values()), now, gap)
    history, total = await db.list_health(deps.pool, service_id, limit, offset)
    return HealthReport(
        service,
        history,
        total,
        uptime={name: uptime(spans, now, window) for name, window in WINDOWS.items()},
        latency=await db.measure_latency(deps.pool, service_id, now - WINDOWS["24h"]),
        incidents=incidents(spans, now),
    )


async def check_health(deps: Deps, service: Service) -> Service:
    """Look at a service now, and keep what was seen; give the service as it then stands.

    A person waits for the answer: where the look fails, the one that confirms it follows at once.
    """
    await db.note_health_check(deps.pool, service.id, deps.now())
    await check_service(deps, service)
    service = await get_service(deps, service.id)
    if 0 < service.health_failures < FAILURES_UNTIL_DOWN:
        await check_service(deps, service)
        service = await get_service(deps, service.id)
    return service
