"""What a service and its panels may look like as administrators enter them, and what everybody may see of them."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from app.core.addresses import is_plain
from app.core.credentials import secret_keys
from app.core.errors import FieldError, InvalidInput
from app.core.models import Service
from app.core.names import one_line
from app.core.policy import check_shared_with

BUILDS = ("hg19", "hg38")
MAX_LINE_CHARS = 200
MAX_TEXT_CHARS = 4000
MAX_URL_CHARS = 500
MAX_SLUG_CHARS = 63
MAX_POPULATIONS = 200
MAX_CONFIG_CHARS = 16_384
MAX_CONFIG_DEPTH = 8
MIN_POLL_INTERVAL_S = 1.0
_DAY_S = 86_400.0
_PORTS = {"http": 80, "https": 443}

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?|[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*/*")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_KEY = re.compile(r"[!-~]{1,200}")
# A JSON Web Token, a token of H3Africa, an HTTP credential, a login inside an address, or an address that is signed.
_SECRET_VALUE = re.compile(
    r"eyJ[\w-]{8,}\.|\bh3a_[\w-]{6,}|\b(?:bearer|basic)\s+\S{8,}|://[^/\s@]+@"
    r"|[?&](?:x-amz-(?:signature|security-token)|x-goog-signature|sig|signature|(?:\w+_)?token)=[^&\s{]",
    re.IGNORECASE,
)
_SHOWN_ONLY = ("has_api_token",)


def refuse(field: str, message: str, code: str | None = None) -> InvalidInput:
    """Give the refusal of one field. `message` never repeats the value."""
    return InvalidInput(f"{field} {message}", code=code, errors=[FieldError(field, message)])


def clean_slug(slug: str) -> str:
    """Give a short name as it stands in addresses and commands. Raises InvalidInput."""
    short = slug.strip()
    if not _SLUG.fullmatch(short):
        raise refuse("slug", "must be 1 to 63 of a-z, 0-9 and -, and begin with a letter or digit")
    return short


def slug_of(name: str) -> str:
    """Make a short name from a name. Raises InvalidInput when nothing of it is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return clean_slug(re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG_CHARS].strip("-"))


def clean_name(value: str, field: str = "name") -> str:
    """Give a name as one line. Raises InvalidInput for an empty or a long one."""
    name = clean_line(value, field)
    if name is None:
        raise refuse(field, "must not be empty")
    return name


def clean_line(value: str | None, field: str) -> str | None:
    """Give a short text as one line, None for an empty one. Raises InvalidInput."""
    line = one_line(value or "")
    if len(line) > MAX_LINE_CHARS:
        raise refuse(field, f"must have at most {MAX_LINE_CHARS} characters")
    return line or None


def clean_text(value: str, field: str) -> str:
    """Give a text of several lines without characters that cannot be seen. Raises InvalidInput."""
    text = "\n".join(one_line(line) for line in value.splitlines()).strip()
    if len(text) > MAX_TEXT_CHARS:
        raise refuse(field, f"must have at most {MAX_TEXT_CHARS} characters")
    return text


def clean_country(value: str | None) -> str | None:
    """Give an ISO 3166-1 alpha-2 code. Raises InvalidInput."""
    if value is None or not value.strip():
        return None
    if not _COUNTRY.fullmatch(value.strip()):
        raise refuse("country", "must be a code of two letters, such as ZA")
    return value.strip().upper()


def clean_builds(value: Sequence[str], field: str) -> list[str]:
    """Give genome builds in their usual order, each once. Raises InvalidInput."""
    if not set(value) <= set(BUILDS):
        raise refuse(field, f"must hold nothing but {' and '.join(BUILDS)}")
    return [build for build in BUILDS if build in value]


def clean_base_url(value: str) -> str:
    """Give the root of a service's API: scheme and host in lower case, a path without a slash at its end.

    Raises InvalidInput for anything but a plain http or https address.
    """
    text = value.strip()
    parts, port = _split(text)
    if parts is None or parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise refuse("base_url", "must begin with https:// (or http://) and name a host")
    if "@" in parts.netloc:
        raise refuse("base_url", "must not hold a user name or password")
    if "?" in text or "#" in text:
        raise refuse("base_url", "must not hold a query or a fragment")
    climbs = any(part in (".", "..") for part in parts.path.split("/"))
    if (
        not parts.hostname.strip(".")
        or not _HOST.fullmatch(parts.hostname)
        or not _PATH.fullmatch(parts.path)
        or climbs
    ):
        raise refuse("base_url", "is not the address of a server")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    scheme = parts.scheme.lower()
    shown_port = "" if port in (None, _PORTS[scheme]) else f":{port}"
    return f"{scheme}://{host}{shown_port}{parts.path.rstrip('/')}"


def _split(text: str) -> tuple[SplitResult | None, int | None]:
    if len(text) > MAX_URL_CHARS or not text.isascii() or not text.isprintable():
        return None, None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None, None
    return (None, None) if port == 0 else (parts, port)


def check_place(latitude: float | None, longitude: float | None) -> None:
    """Raise InvalidInput where half of a place on the map is missing."""
    if (latitude is None) != (longitude is None):
        missing = "latitude" if latitude is None else "longitude"
        raise refuse(missing, "is missing: latitude and longitude go together")


def _clean_degrees(field: str, value: float | None, most: float) -> float | None:
    if value is not None and not -most <= value <= most:
        raise refuse(field, f"must be from -{most:g} to {most:g} (degrees)")
    return value


def _check_poll_interval(value: float) -> float:
    if not MIN_POLL_INTERVAL_S <= value <= _DAY_S:
        raise refuse(
            "poll_interval_s",
            f"must be at least {MIN_POLL_INTERVAL_S:g} and at most {_DAY_S:g} (seconds): more looks would only burden the service",
        )
    return value


_CLEAN: Mapping[str, Callable[[Any], Any]] = {
    "name": clean_name,
    "description": lambda value: clean_text(value, "description"),
    "base_url": clean_base_url,
    "location": lambda value: clean_line(value, "location"),
    "country": clean_country,
    "supported_builds": lambda value: clean_builds(value, "supported_builds"),
    "shared_with": check_shared_with,
    "poll_interval_s": _check_poll_interval,
    "wait_limit_s": lambda value: _within("wait_limit_s", value, 366 * _DAY_S),
    "institution": lambda value: clean_line(value, "institution"),
    "city": lambda value: clean_line(value, "city"),
    "latitude": lambda value: _clean_degrees("latitude", value, 90),
    "longitude": lambda value: _clean_degrees("longitude", value, 180),
    "maintenance_message": lambda value: clean_line(value, "maintenance_message"),
    "max_remote_jobs": lambda value: (
        None if value is None else _within("max_remote_jobs", value, 100_000)
    ),
}


def clean_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give an administrator's settings of a service as they are stored. Raises InvalidInput."""
    return {name: _CLEAN[name](value) if name in _CLEAN else value for name, value in given.items()}


def _within(field: str, value: float, most: float) -> float:
    if not 0 < value <= most:
        raise refuse(field, f"must be above 0 and at most {most:g}")
    return value


def check_insecure(base_url: str, *, allow_insecure: bool) -> None:
    """Raise InvalidInput for a plain http address that was not explicitly allowed."""
    if is_plain(base_url) and not allow_insecure:
        raise InvalidInput(
            "base_url is a plain http address: tokens and genotypes could be read on the way",
            code="insecure_base_url",
            action="Use https, or set «allow_insecure» to true where the network itself can be trusted.",
            errors=[FieldError("base_url", "must be https unless allow_insecure is true")],
        )


def merge_config(old: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Give a configuration changed key by key (null removes one). Raises InvalidInput for what looks like a secret.

    What is only shown, such as `has_api_token`, is passed over, so that an answer can be sent back.
    """
    given = {name: value for name, value in change.items() if name not in _SHOWN_ONLY}
    if _is_deep(given, MAX_CONFIG_DEPTH) or len(str(given)) > MAX_CONFIG_CHARS:
        raise refuse("api_config", "is larger or more nested than any service needs")
    if "allow_insecure" in given:
        raise refuse("api_config.allow_insecure", "stands beside api_config, not inside it")
    places = [*secret_keys(given), *_secret_values(given)]
    if places:
        raise InvalidInput(
            f"{places[0]} looks like a secret, and api_config is shown to everybody",
            code="secret_in_config",
            action="Set a shared token as «api_config.api_token»: it is stored encrypted.",
            errors=[FieldError(place, "looks like a secret") for place in places],
        )
    merged = {**old, **given}
    return {name: value for name, value in merged.items() if value is not None}


def visible_config(config: Mapping[str, Any], *, has_token: bool) -> dict[str, Any]:
    """Give the configuration as everybody may see it."""
    shown = {
        name: value
        for name, value in config.items()
        if not secret_keys({name: value}) and not _secret_values({name: value})
    }
    return {**shown, "has_api_token": has_token}


def _is_deep(value: object, left: int) -> bool:
    if not isinstance(value, Mapping | list):
        return False
    items = value.values() if isinstance(value, Mapping) else value
    return left == 0 or any(_is_deep(item, left - 1) for item in items)


def _secret_values(config: object, path: str = "api_config") -> tuple[str, ...]:
    if isinstance(config, str):
        return (path,) if _SECRET_VALUE.search(config) else ()
    if isinstance(config, Mapping):
        items = [(f"{path}.{name}", value) for name, value in config.items()]
    elif isinstance(config, list):
        items = [(path, value) for value in config]
    else:
        return ()
    return tuple(place for where, value in items for place in _secret_values(value, where))


def warnings_for_users(service: Service) -> tuple[str, ...]:
    """Say what everybody should know who uses the service."""
    if is_plain(service.base_url):
        return (
            "Credentials and genotypes travel to this service unencrypted: whoever sits on the way can read them",
        )
    return ()


def warnings_for_admins(service: Service) -> tuple[str, ...]:
    """Say what does not fit together in a service's settings."""
    has_token, shared = service.shared_secret is not None, service.credential_policy == "shared"
    if has_token and not shared:
        return (
            "A shared token is stored, and the credential policy «per_user» does not use it: everybody uses their own",
        )
    if shared and not has_token and service.credential_kind != "none":
        return (
            "The credential policy is «shared» and no shared token is stored: users need their own until there is one",
        )
    return ()


def clean_populations(value: Sequence[Mapping[str, str] | str]) -> list[dict[str, str]]:
    """Give populations as `{key, label}` objects; a plain text is a key. Raises InvalidInput."""
    if len(value) > MAX_POPULATIONS:
        raise refuse("populations", f"must be at most {MAX_POPULATIONS}")
    found: dict[str, dict[str, str]] = {}
    for item in value:
        given = {"key": item} if isinstance(item, str) else item
        key = str(given.get("key", "")).strip()
        if not _KEY.fullmatch(key):
            raise refuse("populations", "must each have a key of visible ASCII characters")
        label = clean_line(str(given.get("label") or key), "populations")
        found.setdefault(key, {"key": key, "label": label or key})
    return list(found.values())


def clean_panel_key(value: str) -> str:
    """Give what is submitted to name a panel. Raises InvalidInput."""
    key = value.strip()
    if not _KEY.fullmatch(key):
        raise refuse("key", "must be 1 to 200 visible ASCII characters")
    return key
