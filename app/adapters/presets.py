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
    allow_insecure: bool = False
    api_config: Mapping[str, object] = field(default_factory=dict)
    panels: tuple[PanelPreset, ...] = ()


_ILIFU_PANELS: Mapping[str, object] = {
    "h3africa-v6": {
        "value": "h3africa-v6",
        "name": "H3Africa Reference Panel",
        "populations": [],
        "builds": ["hg38"],
    }
}
_ILIFU_PARAMS: Mapping[str, object] = {
    "input": "{samplesheet_url}",
    "panel": "{panel.value}",
    "build": "{build}",
    "phasing": "{phasing}",
    "population": "{population}",
    "job_id": "{job_id}",
    "upload_url": "{upload_url}",
}
_ILIFU_COMMON: Mapping[str, object] = {
    # Lists, profiles and paths do not pass either server: a small workflow of the site takes flat texts and holds them itself.
    "params": _ILIFU_PARAMS,
    "params_as_strings": True,
    "input_mode": "samplesheet-url",
    "maps": {
        "build": {"hg19": "b37", "hg38": "b38"},
        "phasing": {"eagle": "eagle", "none": "no_phasing"},
    },
    "panels": _ILIFU_PANELS,
}
_ILIFU_WORDS = (
    "The WES server of ILIFU, with plain http and without a credential, for networks that it trusts. Its operators have to "
    "install the workflow that imputes; its address goes into api_config.workflow.url"
)


def _ilifu(slug: str, name: str, config: Mapping[str, object], server: str) -> ServicePreset:
    """Give a preset of the one address at which two kinds of servers have answered."""
    return ServicePreset(
        slug=slug,
        name=name,
        api_type="ga4gh_wes",
        base_url="http://ga4gh-starter-kit.ilifu.ac.za:6000/ga4gh/wes/v1",
        allow_insecure=True,
        credential_kind="none",
        credential_policy="per_user",
        description=f"{_ILIFU_WORDS} ({server}).",
        location="Cape Town",
        country="ZA",
        api_config={**_ILIFU_COMMON, **config},
        panels=(PanelPreset("h3africa-v6", "H3Africa Reference Panel", (), ("hg38",)),),
    )


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
        ServicePreset(
            slug="topmed",
            name="TOPMed Imputation Server",
            api_type="michigan",
            base_url="https://imputation.biodatacatalyst.nhlbi.nih.gov",
            description=(
                "The TOPMed panel of the NHLBI BioData Catalyst, GRCh38. A personal account and an API token (profile page, "
                "valid for 30 days) are needed. Its operators ask for one look a minute at most."
            ),
            location="Ann Arbor, Michigan",
            country="US",
            institution="NHLBI BioData Catalyst",
            city="Ann Arbor",
            latitude=42.2780,
            longitude=-83.7382,
            poll_interval_s=120.0,
            api_config={"min_poll_s": 60.0},
        ),
        _ilifu(
            "ilifu",
            "ILIFU",
            {
                "dialect": "weskit",
                "workflow": {"type": "NFL", "type_version": "22.10.0"},
            },
            "WESkit, as seen since 2024",
        ),
        _ilifu(
            "ilifu-starter-kit",
            "ILIFU (starter kit)",
            {
                "dialect": "starter-kit",
                "workflow": {"type": "NEXTFLOW", "type_version": "21.04.0"},
            },
            "the GA4GH starter kit, as seen in 2023",
        ),
    )
}
