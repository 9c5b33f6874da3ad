"""Public services as data: what a service row needs, so that adding one is choosing a name.

Panels stand here only where people asked for them by name before a service was ever asked; a live list of the service
replaces them. Facts: docs/adapters.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class PanelPreset:
    """A reference panel entered by hand. `key` is what is submitted; `builds` those of the panel itself."""

    key: str
    name: str
    populations: tuple[str, ...]
    builds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePreset:
    """The fields of a service row. Seconds where a name ends in `_s`; `country` is ISO 3166-1 alpha-2; degrees north and east."""

    slug: str
    name: str
    api_type: str
    base_url: str
    description: str
    location: str
    country: str
    institution: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    supported_builds: tuple[str, ...] = ("hg19", "hg38")
    credential_kind: str = "token"
    credential_policy: str = "per_user"
    poll_interval_s: float = 60.0
    wait_limit_s: float = 7 * _DAY_S
    max_remote_jobs: int = 3
    api_config: Mapping[str, object] = field(default_factory=dict)
    panels: tuple[PanelPreset, ...] = ()


PRESETS: Mapping[str, ServicePreset] = {
    preset.slug: preset
    for preset in (
        ServicePreset(
            slug="h3africa",
            name="H3Africa Imputation Service",
            api_type="michigan",
            base_url="https://impute.afrigen-d.org",
            description=(
                "Imputation with African reference panels, run by AfriGen-D. "
                "A personal account and an API token (profile page, valid for 30 days) are needed."
            ),
            location="Cape Town",
            country="ZA",
            institution="University of Cape Town",
            city="Cape Town",
            latitude=-33.9577,
            longitude=18.4612,
            panels=(
                PanelPreset(
                    "apps@h3africa-v6hc-s",
                    "H3Africa Reference Panel",
                    ("afr", "mixed", "off"),
                    ("hg38",),
                ),
                PanelPreset(
                    "1000g_afr",
                    "1000 Genomes - African Subset",
                    ("afr", "mixed", "off"),
                    ("hg38",),
                ),
                PanelPreset(
                    "agvp",
                    "African Genome Variation Project",
                    ("afr", "mixed", "off"),
                    ("hg38",),
                ),
            ),
        ),
        ServicePreset(
            slug="michigan",
            name="Michigan Imputation Server",
            api_type="michigan",
            base_url="https://imputationserver.sph.umich.edu",
            description=(
                "The Michigan Imputation Server: HRC, 1000 Genomes, CAAPA, Genome Asia and other panels. "
                "A personal account and an API token (profile page, valid for 30 days) are needed."
            ),
            location="Ann Arbor, Michigan",
            country="US",
            institution="University of Michigan",
            city="Ann Arbor",
            latitude=42.2780,
            longitude=-83.7382,
        ),
    )
}
