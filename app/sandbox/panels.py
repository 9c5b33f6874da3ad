"""The reference panels the sandbox offers: a table, so that tests can offer others."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel as a server's form and its QC know it.

    ``populations`` maps what is submitted to the title shown; ``None`` means that the panel lists
    none (then the form's ``values`` is null and only an absent population is accepted).
    The thresholds are those of imputationserver-utils ``RefPanel``; ``allele_switches`` is unlimited
    there unless a panel sets it.
    """

    id: str
    title: str
    version: str = "1.0.0"
    build: str = "hg19"
    populations: dict[str, str] | None = None
    strand_flips: int = 100
    allele_switches: int = 2**31 - 1
    min_snps: int = 3
    overlap: float = 0.5
    sample_call_rate: float = 0.5
    category: str = "RefPanel"

    @property
    def key(self) -> str:
        """What the form lists and a client submits (cloudgene3 ``WdlParameterInputResponse``)."""
        return f"apps@{self.id}@{self.version}"

    def find_population(self, name: str) -> str | None:
        """The panel's own spelling of ``name``, without regard to case; None if it has no such one.

        imputationserver-utils ``RefPanel.getPopulation``.
        """
        for population in self.populations or {}:
            if population.lower() == name.lower():
                return population
        return None


DEFAULT_PANELS: tuple[Panel, ...] = (
    Panel(
        id="h3africa-sandbox",
        title="H3Africa Reference Panel (GRCh37/hg19)",
        populations={"afr": "AFR", "mixed": "Other/Mixed", "off": "Off"},
    ),
    Panel(
        id="1000g-afr-sandbox",
        title="1000 Genomes - African Subset (GRCh37/hg19)",
        populations={"afr": "AFR", "eur": "EUR", "all": "ALL"},
    ),
    Panel(
        id="agvp-sandbox",
        title="African Genome Variation Project (GRCh37/hg19)",
        populations={"off": "Off"},
        allele_switches=100,
    ),
)


def load_panels(path: Path) -> tuple[Panel, ...]:
    """The panels of a JSON file: an array of objects with the fields of ``Panel``.

    Raises:
        ValueError: not such a file.
    """
    try:
        return tuple(msgspec.convert(json.loads(path.read_bytes()), list[Panel]))
    except msgspec.ValidationError as error:
        raise ValueError(f"{path.name}: {error}") from error


def find_panel(panels: Iterable[Panel], submitted: str) -> Panel | None:
    """The panel that ``submitted`` means: ``apps@id@version``, and both ends may be left out.

    cloudgene3 ``CloudgeneContext.resolveAppLinks``. Without a version the last listed wins.
    """
    name = submitted.removeprefix("apps@")
    found = None
    for panel in panels:
        if name in {panel.id, f"{panel.id}@{panel.version}"}:
            found = panel
    return found
