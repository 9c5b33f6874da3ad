"""What is seen of services' health, and what it comes to. The looks themselves: `app.usecases.engine.upkeep`."""

from dataclasses import dataclass

from app.core.health import (
    FAILURES_UNTIL_DOWN,
    WINDOWS,
    Incident,
    Slot,
    Span,
    incidents,
    longest_gap,
    slots,
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
    """What was seen of a service, and what it comes to. `uptime` is a share 0..1 per window, None where nothing is known.

    `spans` are what all of it was made of, in the order of time.
    """

    service: Service
    history: list[HealthCheck]
    total: int
    uptime: dict[str, float | None]
    latency: Latency
    incidents: list[Incident]
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class Timeline:
    """A window in equal parts, oldest first: what was seen, and the median time to answer in ms (None: no answer)."""

    slots: list[Slot]
    latencies_ms: list[float | None]


_SLOTS = {"24h": 48, "7d": 56, "30d": 60}
"""Parts of each window: half an hour, three hours, half a day."""


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
        spans=spans,
    )


async def get_timeline(deps: Deps, report: HealthReport, window: str) -> Timeline:
    """Give how a service did over one of `WINDOWS`, part by part."""
    now, length, count = deps.now(), WINDOWS[window], _SLOTS[window]
    medians = await db.list_latencies(
        deps.pool, report.service.id, now - length, now, (length / count).total_seconds()
    )
    return Timeline(
        slots(report.spans, now, length, count), [medians.get(place) for place in range(count)]
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
