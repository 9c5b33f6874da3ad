"""What somebody who is about to submit can choose: services with their panels, whether they may be used, and how long it may take."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from uuid import UUID

from app.core.browsing import Wanted, fits
from app.core.choosing import Choices, choices_of
from app.core.errors import NotFound
from app.core.models import File, Panel, Service
from app.db.offers import UsualDuration
from app.db.services import find_service, list_active_panels, list_panels, list_services
from app.usecases.catalogue import EVERY_SERVICE
from app.usecases.creation import find_inputs
from app.usecases.deps import Actor, Deps
from app.usecases.files import list_files
from app.usecases.jobs import get_job
from app.usecases.standing import Standing, judge_standings
from app.usecases.waits import list_usual_durations

SHOWN_SERVICES = 25
"""Services drawn on the page of a new job beside the chosen ones; words find the others."""
SHOWN_FILES = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """A service that takes jobs, with the panels that can be chosen."""

    service: Service
    panels: list[Panel]
    standing: Standing
    usual: UsualDuration | None


async def list_offers(
    deps: Deps, actor: Actor, chosen: Collection[int], words: str = ""
) -> tuple[list[Offer], int]:
    """Give services that take jobs: the chosen ones, and the first of those that fit the words; and how many fit in all.

    Whether one may be used is asked for those alone that are given.
    """
    services, _ = await list_services(
        deps.pool, is_active=True, api_type=None, limit=EVERY_SERVICE, offset=0
    )
    panels = await list_active_panels(deps.pool, [service.id for service in services])
    wanted = Wanted(words)
    fitting = [
        service.id for service in services if fits(wanted, service, panels.get(service.id, []))
    ]
    given = {*chosen, *fitting[:SHOWN_SERVICES]}
    drawn = [service for service in services if service.id in given]
    usual = await list_usual_durations(deps)
    standings = await judge_standings(deps, actor, drawn)
    offers = [
        Offer(
            service,
            panels.get(service.id, []),
            standings[service.id],
            usual.get(service.id),
        )
        for service in drawn
    ]
    return offers, len(fitting)


async def list_choosable_files(
    deps: Deps, actor: Actor, chosen: tuple[int, ...]
) -> tuple[list[File], int]:
    """Give the stored files to choose from, those that are `chosen` first, then the newest; and the number of all."""
    newest, total = await list_files(deps, actor, "input", limit=SHOWN_FILES, offset=0)
    first = [file for file_id in chosen if (file := await _find(deps, actor, file_id)) is not None]
    ids = {file.id for file in first}
    return [*first, *(file for file in newest if file.id not in ids)], total


async def _find(deps: Deps, actor: Actor, file_id: int) -> File | None:
    try:
        return (await find_inputs(deps, actor, [file_id]))[0]
    except NotFound:
        return None


async def choices_like(deps: Deps, actor: Actor, job_id: UUID) -> Choices:
    """Give the choices of a job of the actor's, as far as they can be made again. Raises NotFound."""
    detail = await get_job(deps, actor, job_id)
    panels, _ = await list_panels(deps.pool, detail.job.service_id, inactive_too=False)
    files = [
        file.file_id for file in detail.inputs if await _find(deps, actor, file.file_id) is not None
    ]
    choices = choices_of(detail.job, panels, files)
    service = await find_service(deps.pool, detail.job.service_id)
    return choices if service is not None and service.is_active else replace(choices, places=())
