"""Which of the services a visitor means. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.core.countries import country_name
from app.core.models import Panel, Service

SORTS = ("health", "name", "panels", "wait")
"""How services may be sorted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a visitor looks for; empty means anything."""

    text: str = ""
    build: str = ""
    population: str = ""
    sort: str = SORTS[0]

    @property
    def is_anything(self) -> bool:
        return not (self.text or self.build or self.population)


def fits(wanted: Wanted, service: Service, panels: Sequence[Panel]) -> bool:
    """Tell whether a service, or a panel of it, is what a visitor looks for."""
    words = " ".join(
        [
            service.name, service.description, service.location or "", country_name(service.country) or "",
            service.institution or "", *(panel.name for panel in panels),
        ]
    ).casefold()  # fmt: skip
    if not all(word in words for word in wanted.text.casefold().split()):
        return False
    if wanted.build and wanted.build not in builds_of(service, panels):
        return False
    return not wanted.population or wanted.population in population_keys(panels)


def has_words(panel: Panel, text: str) -> bool:
    """Tell whether a panel has all words of a text, in its name, key, builds or populations."""
    labels = (word for item in panel.populations for word in (item["key"], item.get("label") or ""))
    words = " ".join([panel.name, panel.key, *panel.builds, *labels]).casefold()
    return all(word in words for word in text.casefold().split())


def builds_of(service: Service, panels: Iterable[Panel]) -> set[str]:
    """Give the builds of a service and its panels."""
    return {*service.supported_builds, *(build for panel in panels for build in panel.builds)}


def population_keys(panels: Iterable[Panel]) -> set[str]:
    """Give the keys of all populations of some panels."""
    return {item["key"] for panel in panels for item in panel.populations}


def population_labels(panels: Iterable[Panel]) -> list[tuple[str, str]]:
    """Give key and label of each population, in order of the labels."""
    labels = {
        item["key"]: item.get("label") or item["key"]
        for panel in panels
        for item in panel.populations
    }
    return sorted(labels.items(), key=lambda item: item[1].casefold())
