"""Judging the targets of one upload, each like a job of its own: one that is refused refuses all, and every refused one is told."""

from collections.abc import Mapping, Sequence

from app.core.errors import AppError
from app.core.submission import Asked
from app.core.targets import (
    PLACE_FIELDS,
    Refusal,
    Target,
    refuse_repeated,
    refuse_several,
)
from app.db.services import find_service, list_panels
from app.genotypes.facts import VcfFacts
from app.usecases.creation import judge_files
from app.usecases.deps import Actor, Deps
from app.usecases.ruling import Ruling, judge_open_jobs, missing, rule


async def judge_targets(
    deps: Deps, actor: Actor, targets: Sequence[Target], common: frozenset[str] | None = None
) -> list[Ruling]:
    """Judge all targets, and whether there may be so many jobs; `common` names the form's fields that are known yet (None: all).

    Raises NotFound, NoCredentials, InvalidInput, naming the targets that are refused; QuotaExceeded.
    """
    rulings: list[Ruling] = []
    refusals: list[Refusal] = []
    known: dict[object, int] = {}
    for index, target in enumerate(targets):
        given = None if common is None else common | target.own
        try:
            ruling = await rule(deps, actor, target.asked, given)
            if ruling is None:
                raise missing("reference_panel_id", "Each target names a service and a panel.")
            # What is not known yet may still set two apart, unless neither says it itself.
            kind = _kind_of(ruling), None if common is None else target.own - {"name"}
            if (earlier := known.setdefault(kind, index)) != index:
                raise refuse_repeated(index, earlier)
        except AppError as error:
            refusals.append(Refusal(index, error, await place_of(deps, target.asked)))
        else:
            rulings.append(ruling)
    if refusals:
        raise refuse_several(refusals)
    await judge_open_jobs(deps, actor, deps.pool, len(rulings))
    return rulings


def judge_files_of_each(rulings: Sequence[Ruling], facts: Sequence[VcfFacts]) -> None:
    """Judge the files for every target, since build and phasing may differ. Raises InvalidInput."""
    refusals = []
    for index, ruling in enumerate(rulings):
        try:
            judge_files(ruling, facts)
        except AppError as error:
            refusals.append(Refusal(index, error, _place(ruling)))
    if refusals:
        raise refuse_several(refusals)


async def place_of(deps: Deps, asked: Asked) -> dict[str, object]:
    """Name the service and the panel that are asked for, as far as they are there."""
    place: dict[str, object] = {}
    service_id, panel_id = (getattr(asked, name) for name in PLACE_FIELDS)
    service = None if service_id is None else await find_service(deps.pool, service_id)
    if service is None:
        return place
    place |= {"service_id": service.id, "service_name": service.name}
    panels, _ = await list_panels(deps.pool, service.id, inactive_too=False)
    for panel in panels:
        if panel.id == panel_id:
            place |= {"reference_panel_id": panel.id, "panel_name": panel.name}
    return place


def _place(ruling: Ruling) -> Mapping[str, object]:
    return {
        "service_id": ruling.service.id,
        "service_name": ruling.service.name,
        "reference_panel_id": ruling.panel.id,
        "panel_name": ruling.panel.name,
    }


def _kind_of(ruling: Ruling) -> object:
    return (
        ruling.service.id,
        ruling.panel.id,
        ruling.build,
        ruling.phasing,
        ruling.phasing_engine,
        ruling.population,
        tuple(sorted(ruling.options.items())),
    )
