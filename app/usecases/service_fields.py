"""What an administrator may set about a service, and what stands where nothing is said."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.adapters.presets import PRESETS, ServicePreset
from app.core import services as rules

DEFAULTS: dict[str, Any] = {
    "description": "",
    "location": None,
    "country": None,
    "supported_builds": list(rules.BUILDS),
    "credential_kind": "token",
    "credential_policy": "per_user",
    "shared_with": {"roles": ["user", "admin"]},
    "allow_insecure": False,
    "api_config": {},
    "is_active": True,
    "poll_interval_s": 30.0,
    "wait_limit_s": 7 * 86_400.0,
    "max_remote_jobs": None,
    "institution": None,
    "city": None,
    "latitude": None,
    "longitude": None,
    "maintenance": False,
    "maintenance_message": None,
}
_OF_PRESETS = (
    "name",
    "description",
    "base_url",
    "location",
    "country",
    "supported_builds",
    "credential_kind",
    "credential_policy",
    "poll_interval_s",
    "wait_limit_s",
    "allow_insecure",
    "max_remote_jobs",
    "institution",
    "city",
    "latitude",
    "longitude",
)


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator sets about a service; absent fields stay (or are the usual ones of a new service).

    `api_config` is changed key by key, null removes one. Its `api_token` is the shared token: it is stored encrypted, shown
    never, and used only where `credential_policy` is `shared`. `maintenance` holds the service's jobs, with
    `maintenance_message` as the reason: submissions are taken, and wait. Degrees north and east for `latitude`, `longitude`.
    """

    name: str | UnsetType = UNSET
    slug: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    api_type: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    location: str | UnsetType | None = UNSET
    country: str | UnsetType | None = UNSET
    supported_builds: list[str] | UnsetType = UNSET
    credential_kind: Literal["none", "token", "password"] | UnsetType = UNSET
    credential_policy: Literal["per_user", "shared"] | UnsetType = UNSET
    shared_with: dict[str, Any] | UnsetType = UNSET
    allow_insecure: bool | UnsetType = UNSET
    api_config: dict[str, Any] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    poll_interval_s: float | UnsetType = UNSET
    wait_limit_s: float | UnsetType = UNSET
    max_remote_jobs: int | UnsetType | None = UNSET
    institution: str | UnsetType | None = UNSET
    city: str | UnsetType | None = UNSET
    latitude: float | UnsetType | None = UNSET
    longitude: float | UnsetType | None = UNSET
    maintenance: bool | UnsetType = UNSET
    maintenance_message: str | UnsetType | None = UNSET


class NewService(ServiceChange, frozen=True, kw_only=True):
    """A service to be added. With `preset`, every field that is absent is the preset's."""

    preset: str | None = None


def preset_of(name: str | None) -> ServicePreset | None:
    """Give a preset by its name. Raises InvalidInput for one that is not known."""
    if name is None:
        return None
    if name not in PRESETS:
        raise rules.refuse("preset", f"must be one of: {', '.join(PRESETS)}")
    return PRESETS[name]


def fields_of(preset: ServicePreset) -> dict[str, Any]:
    """Give what a preset says about a service."""
    values = {name: getattr(preset, name) for name in _OF_PRESETS}
    return {
        **values,
        "supported_builds": list(preset.supported_builds),
        "api_config": dict(preset.api_config),
    }
