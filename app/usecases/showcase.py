"""Services as visitors see them: with their panels, and how the one who looks stands with each."""

from dataclasses import dataclass

from app.core.browsing import Wanted, fits
from app.core.expiry import LOOKS_BACK
from app.core.models import Panel, Service
from app.db import services as db
from app.db.offers import UsualDuration, list_usual_durations
from app.usecases.catalogue import list_services
from app.usecases.deps import Actor, Deps
from app.usecases.standing import Standing, list_standings

_MAX = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """A service with its active panels. `standing` is the visitor's, where the service asks for a credential."""

    service: Service
    panels: list[Panel]
    standing: Standing | None
    usual: UsualDuration | None


async def list_shown(
    deps: Deps, actor: Actor | None, wanted: Wanted
) -> tuple[list[Shown], list[Panel]]:
    """Give the active services that fit, and all panels there are (for the choices of the filter)."""
    services, _ = await list_services(deps, is_active=True, api_type=None, limit=_MAX, offset=0)
    usual = await list_usual_durations(deps.pool, deps.now() - LOOKS_BACK)
    standings = (
        {item.service.id: item for item in await list_standings(deps, actor)} if actor else {}
    )
    shown, every = [], []
    for service in services:
        panels, _ = await db.list_panels(deps.pool, service.id, inactive_too=False)
        every.extend(panels)
        if fits(wanted, service, panels):
            standing = standings.get(service.id)
            shown.append(Shown(service, panels, standing, usual.get(service.id)))
    return shown, every
