"""What an administrator may set for a WES service, in its `api_config`. No secret ever stands there."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Scalar = str | int | float | bool
Dialect = Literal[
    "generic", "starter-kit", "weskit", "sapporo", "toil", "wes-service", "galaxy", "auto"
]
InputMode = Literal["url", "attachment", "samplesheet-url"]


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A small workflow file of ours that is sent along. `name` is flat."""

    name: Annotated[str, Meta(title="File name", description="A flat name, such as main.nf.")]
    content: Annotated[
        str, Meta(title="Content", description="The text of the file.", extra={"long": True})
    ]


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """What is run. Fields that are not set are not sent: servers refuse those they do not know."""

    url: Annotated[
        str | None,
        Meta(
            title="Workflow address",
            description="Where the server fetches the workflow, or its name among the attachments.",
        ),
    ] = None
    type: Annotated[
        str | None,
        Meta(
            title="Workflow type",
            description="As the server lists it, such as NFL, NEXTFLOW, CWL or SMK.",
        ),
    ] = None
    type_version: Annotated[
        str | None,
        Meta(title="Version of the type", description="As the server lists it, such as 22.10.0."),
    ] = None
    engine: Annotated[
        str | None, Meta(title="Engine", description="Only for servers of WES 1.1 that ask for it.")
    ] = None
    engine_version: Annotated[
        str | None, Meta(title="Version of the engine", description="Only together with an engine.")
    ] = None
    engine_parameters: Annotated[
        dict[str, str],
        Meta(title="Engine parameters", description="Passed to the engine as they are."),
    ] = {}
    attachments: Annotated[
        tuple[Attachment, ...],
        Meta(
            title="Attached files",
            description="Small files of a workflow that are sent along with every job.",
        ),
    ] = ()


class PanelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A reference panel: `value` is what the workflow takes. `populations` are keys, or keys with labels."""

    value: Annotated[
        Scalar, Meta(title="Value", description="What the workflow takes for this panel.")
    ]
    name: Annotated[
        str | None, Meta(title="Name", description="What people read; the key where empty.")
    ] = None
    populations: Annotated[
        dict[str, str] | list[str],
        Meta(title="Populations", description="Keys, or keys with labels."),
    ] = []
    builds: Annotated[
        tuple[str, ...],
        Meta(
            title="Builds",
            description="Those of the panel: hg19, hg38. Empty where it is not told.",
        ),
    ] = ()


class Maps(msgspec.Struct, frozen=True, kw_only=True):
    """From the platform's words to the workflow's. A map that is not empty lists all that is offered."""

    build: Annotated[
        dict[str, Scalar],
        Meta(
            title="Genome builds",
            description="From hg19 and hg38 to the workflow's words. Where given, only these are offered.",
        ),
    ] = {}
    phasing: Annotated[
        dict[str, Scalar],
        Meta(
            title="Phasing",
            description="From the platform's engines (eagle, beagle, none) to the workflow's words.",
        ),
    ] = {}
    population: Annotated[
        dict[str, Scalar],
        Meta(
            title="Populations", description="From the keys of populations to the workflow's words."
        ),
    ] = {}


class OptionField(msgspec.Struct, frozen=True, kw_only=True):
    """A field beyond the common ones, for the placeholder `{option.X}`. `choices` are keys with labels."""

    label: Annotated[
        str | None, Meta(title="Label", description="What people read; the key where empty.")
    ] = None
    kind: Annotated[
        Literal["choice", "checkbox", "text", "number"],
        Meta(title="Kind", description="How it is asked for."),
    ] = "text"
    default: Annotated[
        str | None, Meta(title="Usual value", description="What is sent where nothing is chosen.")
    ] = None
    choices: Annotated[
        dict[str, str],
        Meta(title="Choices", description="Keys with labels, for the kind «choice»."),
    ] = {}


class PathMap(msgspec.Struct, frozen=True, kw_only=True):
    """How a path at the service becomes an address. Both may hold `{run_id}`; an empty prefix stands for relative names."""

    prefix: Annotated[
        str,
        Meta(title="Path begins with", description="May hold {run_id}; empty for relative names."),
    ]
    replace: Annotated[
        str,
        Meta(
            title="Address instead",
            description="Begins with https:// or drs:// and may hold {run_id}.",
        ),
    ]


class OutputsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is fetched. `mode`: `auto`, `held` (only shown, never fetched), `none` (no outputs are looked for)."""

    mode: Annotated[
        Literal["auto", "held", "none"],
        Meta(
            title="What happens to results",
            description="auto: fetched; held: only shown where they lie, never fetched; none: no results are looked for.",
        ),
    ] = "auto"
    include: Annotated[
        tuple[str, ...] | None,
        Meta(
            title="Only these files",
            description="Patterns of names, such as *.vcf.gz. All where empty.",
        ),
    ] = None
    exclude: Annotated[
        tuple[str, ...] | None,
        Meta(title="Not these files", description="Patterns of names that are left out."),
    ] = None
    file_url_map: Annotated[
        tuple[PathMap, ...],
        Meta(
            title="Where paths are served",
            description="For servers that tell paths instead of addresses: how a path becomes an address.",
        ),
    ] = ()
    drs_insecure: Annotated[
        bool,
        Meta(
            title="Results by plain http (DRS)",
            description="drs:// addresses are resolved with http instead of https.",
        ),
    ] = False
    max_files: Annotated[
        int,
        Meta(
            title="Most files of a job",
            description="A run that lists more is refused: from 1 to 20000.",
        ),
    ] = 1000


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """How the credential travels. `name` is a header's, `token_url` where user name and password give a token."""

    kind: Annotated[
        Literal["none", "bearer", "header", "password"],
        Meta(
            title="How the credential travels",
            description="bearer is usual; header for a header of its own; password where user name and password give a token.",
        ),
    ]
    name: Annotated[
        str | None, Meta(title="Name of the header", description="Only for the kind «header».")
    ] = None
    token_url: Annotated[
        str | None,
        Meta(title="Address that gives tokens", description="Only for the kind «password»."),
    ] = None


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """`lost_after_s`: how long the service may not know a run before the run is lost."""

    lost_after_s: Annotated[
        float,
        Meta(
            title="Lost after (seconds)",
            description="How long the server may not know a run before the run counts as lost.",
        ),
    ] = 900.0


class WesConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole `api_config` of a WES service. Reference: docs/adapters.md."""

    allow_insecure: bool = False
    dialect: Annotated[
        Dialect,
        Meta(title="Server software", description="auto looks at what the server says of itself."),
    ] = "auto"
    workflow: Annotated[
        Workflow,
        Meta(
            title="Workflow",
            description="What is run. What is left empty is not sent: servers refuse fields they do not know.",
        ),
    ] = Workflow()
    params: Annotated[
        dict[str, object],
        Meta(
            title="Workflow parameters",
            description="A JSON object. Placeholders such as {samplesheet_url}, {panel.value}, {build}, {phasing}, {population} and {job_id} are filled in for every job.",
        ),
    ] = {}
    params_as_strings: Annotated[
        bool,
        Meta(
            title="Parameters as text",
            description="The server takes parameters as one text instead of an object.",
        ),
    ] = False
    maps: Annotated[
        Maps,
        Meta(
            title="Words of the workflow",
            description="From the platform's words to the workflow's. A map that is not empty lists all that is offered.",
        ),
    ] = Maps()
    panels: Annotated[
        dict[str, PanelChoice],
        Meta(
            title="Reference panels",
            description="What people choose from. A WES server cannot list them itself.",
        ),
    ] = {}
    options: Annotated[
        dict[str, OptionField],
        Meta(
            title="Further fields",
            description="Fields that people fill in for a job, for placeholders such as {option.chunk}.",
        ),
    ] = {}
    tags: Annotated[
        dict[str, str],
        Meta(
            title="Tags",
            description="Sent with every run, by which it is found again. They are shown in lists: no links there.",
        ),
    ] = msgspec.field(default_factory=lambda: {"platform_job_id": "{job_id}"})
    input_mode: Annotated[
        InputMode,
        Meta(
            title="How the input arrives",
            description="url: as a link; attachment: sent along; samplesheet-url: as a link to a table of links.",
        ),
    ] = "url"
    outputs: Annotated[
        OutputsConfig, Meta(title="Results", description="What is fetched when a run has ended.")
    ] = OutputsConfig()
    auth: Annotated[
        Auth | None,
        Meta(
            title="Credential",
            description="How the credential is sent; found by itself where empty.",
        ),
    ] = None
    poll: Annotated[Poll, Meta(title="Looking after runs")] = Poll()
    user_agent: Annotated[
        str | None,
        Meta(
            title="Name of the platform",
            description="What it calls itself to this server (User-Agent); the usual one where empty.",
        ),
    ] = None
