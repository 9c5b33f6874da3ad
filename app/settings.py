"""The settings: the only reader of the environment.

Each setting `x` is `FIP_X`; each may instead be `FIP_X_FILE`, the path of a file with the value (secrets from a mounted
volume). Absent ones have the value below; nothing here is a default secret. `docs/operations.md` lists all of them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network
MIB = 1024 * 1024
GIB = 1024 * MIB
DAY_S = 86_400.0


class SettingsError(Exception):
    """Raised when a setting cannot be used; the message names it and never shows a secret's value."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Sizes are bytes, durations seconds."""

    data_dir: Path = Path("data")
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    """Every absolute link is built from it, never from the Host header. Empty: `http://127.0.0.1:PORT`."""

    database_url: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    storage_url: str = ""
    smtp_url: str = field(default="", repr=False)
    mail_from: str = "Federated Imputation Platform <no-reply@localhost>"

    jwt_secret: str = field(default="", repr=False)
    credential_keys: str = field(default="", repr=False)
    link_secret: str = field(default="", repr=False)
    metrics_token: str = field(default="", repr=False)

    trusted_proxies: tuple[Network, ...] = ()
    allowed_networks: tuple[Network, ...] = ()
    cors_origins: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    registration: str = "closed"
    bcrypt_cost: int = 12
    token_lifetime_s: float = DAY_S
    log_format: str = "auto"
    log_level: str = "info"

    pool_size: int = 32
    worker_max_steps: int = 64
    service_max_steps: int = 4
    lease_s: float = 60.0
    dispatch_interval_s: float = 1.0
    poll_interval_s: float = 0.0
    """Overrides the interval of every service when above 0 (tests, trials)."""
    recovery_wait_s: float = 60.0
    """Between two searches for a job whose submission's answer was lost."""
    settle_wait_s: float = 5.0
    """Between a remote's word «done» and the first look at its results, which appear a little later."""
    retry_base_s: float = 5.0
    retry_max_s: float = 900.0
    health_interval_s: float = 60.0
    panel_sync_interval_s: float = 21_600.0
    """Between two readings of a service's panels and options by itself; 0: never."""
    credential_check_interval_s: float = DAY_S
    """Between two looks at a stored credential, give or take a tenth; 0: none."""
    remote_connect_timeout_s: float = 30.0
    remote_answer_timeout_s: float = 60.0
    upload_answer_timeout_s: float = 600.0
    remote_read_timeout_s: float = 120.0
    shutdown_grace_s: float = 10.0

    max_upload_bytes: int = 20 * GIB
    max_file_bytes: int = 10 * GIB
    max_files_per_job: int = 25
    max_stored_bytes_per_user: int = 200 * GIB
    max_open_jobs_per_user: int = 500
    max_result_bytes: int = 500 * GIB
    min_free_bytes: int = 256 * MIB
    upload_idle_timeout_s: float = 120.0
    inspect_timeout_s: float = 3600.0
    link_lifetime_s: float = 3600.0
    mail_link_lifetime_s: float = 7 * DAY_S
    input_retention_s: float = 90 * DAY_S
    result_retention_s: float = 365 * DAY_S
    rate_limit_per_minute: int = 600
    login_attempts_per_minute: int = 10
    mail_max_attempts: int = 20

    def __post_init__(self) -> None:
        if self.registration not in ("open", "closed"):
            raise SettingsError("FIP_REGISTRATION is neither 'open' nor 'closed'")
        if self.log_format not in ("auto", "json", "console"):
            raise SettingsError("FIP_LOG_FORMAT is not 'auto', 'json' or 'console'")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise SettingsError("FIP_LOG_LEVEL is not 'debug', 'info', 'warning' or 'error'")
        if not 4 <= self.bcrypt_cost <= 16:
            raise SettingsError("FIP_BCRYPT_COST is not between 4 and 16")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("FIP_TLS_CERT and FIP_TLS_KEY go together")
        if self.public_url and urlsplit(self.public_url).scheme not in ("http", "https"):
            raise SettingsError("FIP_PUBLIC_URL is not an http or https address")

    @property
    def base_url(self) -> str:
        """The address that links begin with, without a trailing slash."""
        scheme = "https" if self.tls_cert else "http"
        return (self.public_url or f"{scheme}://127.0.0.1:{self.port}").rstrip("/")


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(item) for item in _words(text))


def _words(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.replace(";", ",").split(",") if item.strip())


_READERS: dict[Any, Any] = {
    Path: Path,
    str: str,
    int: int,
    float: float,
    tuple[Network, ...]: _networks,
    tuple[str, ...]: _words,
}


def load_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings; `overrides` (from the command line) win when they are not None.

    Raises SettingsError naming the variable, for a value that cannot be read or a variable nobody knows.
    """
    env = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    known = set()
    for item in fields(Settings):
        name = f"FIP_{item.name.upper()}"
        known |= {name, f"{name}_FILE"}
        if (text := _text(env, name)) is None:
            continue
        try:
            values[item.name] = _READERS[item.type](text)
        except ValueError:
            raise SettingsError(f"{name} cannot be read as its kind of value") from None
    if unknown := sorted(name for name in env if name.startswith("FIP_") and name not in known):
        raise SettingsError(f"nobody knows the setting {unknown[0]}; docs/operations.md lists all")
    values |= {name: value for name, value in overrides.items() if value is not None}
    return Settings(**values)


def _text(env: Mapping[str, str], name: str) -> str | None:
    path = env.get(f"{name}_FILE")
    if name in env and path:
        raise SettingsError(f"{name} and {name}_FILE are both set")
    if not path:
        return env.get(name)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"the file of {name}_FILE cannot be read: {error.strerror}") from None
