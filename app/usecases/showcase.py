"""Services as visitors see them: with their panels, and how the one who looks stands with each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from app.core.browsing import Wanted, builds_of, fits, population_keys
from app.core.models import Panel, Service
from app.db import services as db
from app.db.offers import UsualDuration
from app.usecases.catalogue import EVERY_SERVICE, list_services
from app.usecases.deps import Actor, Deps
from app.usecases.standing import Standing, list_standings
from app.usecases.waits import list_usual_durations

_HEALTH = {"up": 0, "unknown": 1, "maintenance": 2, "down": 3}


@dataclass(frozen=True, slots=True)
class Shown:
    """A service with its active panels. `standing` is the visitor's, where the service asks for a credential."""

    service: Service
    panels: list[Panel]
    standing: Standing | None
    usual: UsualDuration | None

    @property
    def populations(self) -> int:
        """How many populations its panels tell."""
        return len(population_keys(self.panels))

    @property
    def builds(self) -> list[str]:
        """Its builds, and those of its panels."""
        return sorted(builds_of(self.service, self.panels))


# By health unless said otherwise: what can be used now stands first. Names decide between equals.
_ORDERS: Mapping[str, Callable[[Shown], tuple[Any, ...]]] = MappingProxyType(
    {
        "health": lambda item: (_HEALTH.get(item.service.health, 1), item.service.name.casefold()),
        "name": lambda item: (item.service.name.casefold(),),
        "panels": lambda item: (-len(item.panels), item.service.name.casefold()),
        "wait": lambda item: (
            item.usual.median_s if item.usual else float("inf"),
            item.service.name.casefold(),
        ),
    }
)


async def list_shown(
    deps: Deps, actor: Actor | None, wanted: Wanted
) -> tuple[list[Shown], list[Panel]]:
    """Give the active services that fit, and all panels there are (for the choices of the filter)."""
    services, _ = await list_services(
        deps, is_active=True, api_type=None, limit=EVERY_SERVICE, offset=0
    )
    usual = await list_usual_durations(deps)
    standings = (
        {item.service.id: item for item in await list_standings(deps, actor)} if actor else {}
    )
    by_service = await db.list_active_panels(deps.pool, [service.id for service in services])
    shown = [
        Shown(service, panels, standings.get(service.id), usual.get(service.id))
        for service in services
        if fits(wanted, service, panels := by_service.get(service.id, []))
    ]
    shown.sort(key=_ORDERS[wanted.sort])
    return shown, [panel for panels in by_service.values() for panel in panels]
