"""Services as they are shown: without their secrets, and to administrators with what needs their eyes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.core.models import Service
from app.core.services import visible_config, warnings_for_users
from app.usecases.catalogue import Written
from app.usecases.discovery import Discovery
from app.usecases.monitoring import HealthReport


class ChoiceOut(msgspec.Struct, frozen=True):
    """A value: `key` is submitted, `label` is shown."""

    key: str
    label: str


class ServiceHealthOut(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a service at the last look: `up`, `down`, `maintenance`, or `unknown` before the first one."""

    state: str
    message: str | None
    checked_at: datetime | None
    latency_ms: float | None

    @classmethod
    def of(cls, service: Service) -> "ServiceHealthOut":
        return cls(
            state=service.health,
            message=service.health_message,
            checked_at=service.health_checked_at,
            latency_ms=service.latency_ms,
        )


class CapabilityPanelOut(msgspec.Struct, frozen=True, kw_only=True):
    """A reference panel as the service itself lists it."""

    key: str
    name: str
    version: str | None
    builds: list[str]
    populations: list[ChoiceOut]


class OptionOut(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the service's own form: `kind` is choice, checkbox, text or number."""

    id: str
    kind: str
    label: str
    default: str | None
    choices: list[ChoiceOut]


class CapabilitiesOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a service offers, as it was read from it at `read_at`. `dialect` is the kind of server that answers.

    `limits`: what counts for each account (`max_remote_jobs`), null where there is no limit that we know.
    """

    read_at: datetime | None
    dialect: str | None
    server_name: str | None
    app_id: str | None
    app_version: str | None
    panels: list[CapabilityPanelOut]
    populations: list[ChoiceOut]
    builds: list[str]
    phasings: list[str]
    default_phasing: str | None
    modes: list[str]
    options: list[OptionOut]
    limits: dict[str, int | None]
    warnings: list[str] | UnsetType = UNSET
    """What does not fit the service's settings; administrators alone see it."""

    @classmethod
    def of(cls, service: Service, *, for_admin: bool) -> "CapabilitiesOut | None":
        form = service.live_form
        if form is None:
            return None
        populations = {
            item["key"]: item for panel in form["panels"] for item in panel["populations"]
        }
        warnings = {"warnings": form.get("warnings", [])} if for_admin else {}
        return msgspec.convert(
            {
                "dialect": None,
                **{name: value for name, value in form.items() if name != "warnings"},
                **warnings,
                "read_at": service.description_read_at,
                "populations": list(populations.values()),
                "limits": {"max_remote_jobs": service.max_remote_jobs},
            },
            cls,
        )


class ServiceOut(msgspec.Struct, frozen=True, kw_only=True):
    """A service without its secrets. `max_remote_jobs` counts for each account; durations end in `_s` (seconds)."""

    id: int
    name: str
    slug: str
    description: str
    api_type: str
    base_url: str
    supported_builds: list[str]
    location: str | None
    country: str | None
    institution: str | None
    city: str | None
    latitude: float | None
    longitude: float | None
    is_active: bool
    maintenance: bool
    """An administrator's word: jobs are taken and wait until it is over."""
    maintenance_message: str | None
    health: ServiceHealthOut
    credential_kind: str
    credential_policy: str
    shared_with: dict[str, Any] | UnsetType = UNSET
    """Whom the shared token is for; administrators alone see it."""
    allow_insecure: bool
    max_remote_jobs: int | None
    poll_interval_s: float
    wait_limit_s: float
    api_config: dict[str, Any]
    warnings: Sequence[str]
    created_at: datetime
    updated_at: datetime
    capabilities: CapabilitiesOut | UnsetType | None = UNSET
    """What it offers, read live; null before it was read. Not in the list of services."""

    @classmethod
    def of(
        cls,
        service: Service,
        *,
        for_admin: bool = False,
        warnings: Sequence[str] = (),
        whole: bool = False,
    ) -> "ServiceOut":
        return cls(
            id=service.id,
            name=service.name,
            slug=service.slug,
            description=service.description,
            api_type=service.api_type,
            base_url=service.base_url,
            supported_builds=service.supported_builds,
            location=service.location,
            country=service.country,
            institution=service.institution,
            city=service.city,
            latitude=service.latitude,
            longitude=service.longitude,
            maintenance=service.maintenance,
            maintenance_message=service.maintenance_message,
            is_active=service.is_active,
            health=ServiceHealthOut.of(service),
            credential_kind=service.credential_kind,
            credential_policy=service.credential_policy,
            shared_with=service.shared_with if for_admin else UNSET,
            allow_insecure=service.allow_insecure,
            max_remote_jobs=service.max_remote_jobs,
            poll_interval_s=service.poll_interval_s,
            wait_limit_s=service.wait_limit_s,
            api_config=visible_config(
                service.api_config, has_token=service.shared_secret is not None
            ),
            warnings=(*warnings_for_users(service), *warnings),
            created_at=service.created_at,
            updated_at=service.updated_at,
            capabilities=CapabilitiesOut.of(service, for_admin=for_admin) if whole else UNSET,
        )

    @classmethod
    def of_written(cls, written: Written) -> "ServiceOut":
        return cls.of(written.service, for_admin=True, warnings=written.warnings)


class HealthCheckOut(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a service."""

    checked_at: datetime
    state: str
    latency_ms: float | None
    message: str | None


class LatencyOut(msgspec.Struct, frozen=True, kw_only=True):
    """How long a service took to answer in the last 24 hours, over so many looks; null where there was none."""

    looks: int
    median_ms: float | None
    p95_ms: float | None


class IncidentOut(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a service was `down` or in `maintenance`. `ended_at` is null while it goes on."""

    state: str
    began_at: datetime
    ended_at: datetime | None
    duration_s: float
    message: str | None


class ServiceHealthHistoryOut(msgspec.Struct, frozen=True, kw_only=True):
    """A service's health now, and what was seen before, newest first.

    `uptime` is the share 0..1 of the known time of the last `24h`, `7d` and `30d` in which it was up, null where nothing is
    known; maintenance counts neither way. `incidents` are the last 20 of 30 days, newest first. A look whose state is `unknown`
    failed alone: the second in a row makes a service `down`.
    """

    service_id: int
    state: str
    message: str | None
    checked_at: datetime | None
    latency_ms: float | None
    uptime: dict[str, float | None]
    latency_24h: LatencyOut
    incidents: list[IncidentOut]
    history: list[HealthCheckOut]

    @classmethod
    def of(cls, report: HealthReport) -> "ServiceHealthHistoryOut":
        service = report.service
        return cls(
            service_id=service.id,
            state=service.health,
            message=service.health_message,
            checked_at=service.health_checked_at,
            latency_ms=service.latency_ms,
            uptime=report.uptime,
            latency_24h=msgspec.convert(report.latency, LatencyOut, from_attributes=True),
            incidents=[
                msgspec.convert(item, IncidentOut, from_attributes=True)
                for item in report.incidents
            ],
            history=[
                msgspec.convert(item, HealthCheckOut, from_attributes=True)
                for item in report.history
            ],
        )


class ProposalOut(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of service that answers at the address. `service` is the body of the `POST /services` that adds it; `notes` say what
    could not be read, and what to see to.
    """

    api_type: str
    dialect: str | None
    version: str | None
    name: str | None
    base_url: str
    credential_kind: str
    apps: list[ChoiceOut]
    panels: list[CapabilityPanelOut]
    builds: list[str]
    notes: list[str]
    service: dict[str, Any]


class DiscoveryOut(msgspec.Struct, frozen=True, kw_only=True):
    """What answers at an address. `tried` has a word about every kind of service that is known here, by `api_type`."""

    proposals: list[ProposalOut]
    tried: dict[str, str]

    @classmethod
    def of(cls, discovery: Discovery) -> "DiscoveryOut":
        return cls(
            proposals=[
                msgspec.convert(
                    {
                        **msgspec.to_builtins(item.found),
                        "notes": list(item.notes),
                        "service": item.service,
                    },
                    ProposalOut,
                )
                for item in discovery.proposals
            ],
            tried=discovery.tried,
        )
