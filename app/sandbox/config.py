"""The settings of the sandbox; whoever starts it makes one of these."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.sandbox.faults import Faults
from app.sandbox.panels import DEFAULT_PANELS, Panel

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class SandboxUser:
    """An account that exists from the start. Without a password it cannot log in."""

    username: str
    password: str = ""
    full_name: str = ""
    mail: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """Settings; the defaults are those of a Cloudgene server where one is known.

    data_dir: everything the sandbox keeps: accounts, jobs, uploads, the prepared reference.
    public_url: base of links in scripts; empty means what the request's Host says.
    dialect: which member of the family is spoken under ``/api/v2``: Cloudgene of either generation, or the
        simple dialect of the platform's original design.
    topmed: what TOPMed's site adds to Cloudgene: a ``.md5`` beside each archive, and results in object storage.
    users: fixed API tokens (any text) and whose they are, beside the issued JWTs.
    demo_user: an account whose JWT is issued at start; ``run`` writes it, with the server's address,
        to ``data_dir/demo-account.json`` (mode 0600).
    engine: ``auto`` imputes if the tools and the example data are there; ``real`` insists on it.
    fetch_example: lets the example data be fetched with apt where root and missing.
    max_jobs_per_user: open jobs per account (Michigan and TOPMed: 3); None or 0 = no limit.
    upload_limit_bytes: of a whole submission (Cloudgene's ``uploadLimit``: 5000 MB).
    min_samples, max_samples: imputationserver2's ``nextflow.config``; 0 = off.
    max_downloads: per file (cloudgene3 ``CloudgeneJob.MAX_DOWNLOAD``).
    export_delay_s: how long state 4 is visible before the download rows exist.
    notify_after_s, retention_s: after its end a job becomes 8 or 9, then 7 and its files go.
    print_password: the last step names the results' password, as on sites without mail.
    instant_result_limit_bytes: larger inputs come back shortened from the instant engine.
    tool_timeout_s: for each run of a tool of the real engine.
    canceling_s: how long a cancelled run of the WES dialect says CANCELING before it is CANCELED; 0 = not at all.
    wes_auth: whether the WES dialect asks for a token; without, every run is everybody's.
    workflows: what a WES client may name as ``workflow_url``.
    link_hosts: the hosts that input is fetched from and results are pushed to.
    link_timeout_s: for each of these transfers to move on at all.
    control: the side door ``/sandbox/...``; None = only where ``host`` is a loopback address.
    control_token: when set, the side door wants it in ``X-Sandbox-Token``.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8082
    public_url: str = ""
    name: str = "Sandbox Imputation Server"
    dialect: Literal["cloudgene3", "cloudgene2", "simple"] = "cloudgene3"
    topmed: bool = False
    users: Mapping[str, SandboxUser] = field(default_factory=dict)
    demo_user: SandboxUser | None = None
    engine: Literal["auto", "real", "instant"] = "auto"
    fetch_example: bool = True
    panels: tuple[Panel, ...] = DEFAULT_PANELS
    max_jobs_per_user: int | None = 3
    max_running: int = 4
    upload_limit_bytes: int = 5_000_000_000
    min_samples: int = 20
    max_samples: int = 50_000
    max_downloads: int = 10
    export_delay_s: float = 0.2
    notify_after_s: float = 4 * _DAY_S
    retention_s: float = 7 * _DAY_S
    token_lifetime_s: float = 30 * _DAY_S
    print_password: bool = True
    instant_result_limit_bytes: int = 64 * 1024 * 1024
    tool_timeout_s: float = 1800.0
    threads: int = 2
    canceling_s: float = 0.3
    wes_auth: bool = True
    workflows: tuple[str, ...] = ("imputation.nf", "https://github.com/sandbox/imputation")
    link_hosts: frozenset[str] = frozenset({"127.0.0.1", "::1", "localhost"})
    link_timeout_s: float = 60.0
    faults: Faults = field(default_factory=Faults)
    control: bool | None = None
    control_token: str = ""

    @property
    def has_control(self) -> bool:
        """Whether the side door exists."""
        if self.control is not None:
            return self.control
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
