"""What an administrator may set for a WES service, in its `api_config`. No secret ever stands there."""

from typing import Literal

import msgspec

Scalar = str | int | float | bool
Dialect = Literal[
    "generic", "starter-kit", "weskit", "sapporo", "toil", "wes-service", "galaxy", "auto"
]
InputMode = Literal["url", "attachment", "samplesheet-url"]


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A small workflow file of ours that is sent along. `name` is flat."""

    name: str
    content: str


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """What is run. Fields that are not set are not sent: servers refuse those they do not know."""

    url: str | None = None
    type: str | None = None
    type_version: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    engine_parameters: dict[str, str] = {}
    attachments: tuple[Attachment, ...] = ()


class PanelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A reference panel: `value` is what the workflow takes. `populations` are keys, or keys with labels."""

    value: Scalar
    name: str | None = None
    populations: dict[str, str] | list[str] = []
    builds: tuple[str, ...] = ()


class Maps(msgspec.Struct, frozen=True, kw_only=True):
    """From the platform's words to the workflow's. A map that is not empty lists all that is offered."""

    build: dict[str, Scalar] = {}
    phasing: dict[str, Scalar] = {}
    population: dict[str, Scalar] = {}


class OptionField(msgspec.Struct, frozen=True, kw_only=True):
    """A field beyond the common ones, for the placeholder `{option.X}`. `choices` are keys with labels."""

    label: str | None = None
    kind: Literal["choice", "checkbox", "text", "number"] = "text"
    default: str | None = None
    choices: dict[str, str] = {}


class PathMap(msgspec.Struct, frozen=True, kw_only=True):
    """How a path at the service becomes an address. Both may hold `{run_id}`; an empty prefix stands for relative names."""

    prefix: str
    replace: str


class OutputsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is fetched. `mode`: `auto`, `held` (only shown, never fetched), `none` (no outputs are looked for)."""

    mode: Literal["auto", "held", "none"] = "auto"
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    file_url_map: tuple[PathMap, ...] = ()
    drs_insecure: bool = False
    max_files: int = 1000


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """How the credential travels. `name` is a header's, `token_url` where user name and password give a token."""

    kind: Literal["none", "bearer", "header", "password"]
    name: str | None = None
    token_url: str | None = None


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """`lost_after_s`: how long the service may not know a run before the run is lost."""

    lost_after_s: float = 900.0


class WesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole `api_config` of a WES service. Reference: docs/adapters.md."""

    allow_insecure: bool = False
    dialect: Dialect = "auto"
    workflow: Workflow = Workflow()
    params: dict[str, object] = {}
    params_as_strings: bool = False
    maps: Maps = Maps()
    panels: dict[str, PanelChoice] = {}
    options: dict[str, OptionField] = {}
    tags: dict[str, str] = msgspec.field(default_factory=lambda: {"platform_job_id": "{job_id}"})
    input_mode: InputMode = "url"
    outputs: OutputsConfig = OutputsConfig()
    auth: Auth | None = None
    poll: Poll = Poll()
    user_agent: str | None = None
