"""Seeing whether a WES server answers at an address, and what an administrator still has to fill in."""

from collections.abc import Iterator, Mapping

from app.adapters.answers import Answer
from app.adapters.base import (
    AdapterError,
    Choice,
    Credential,
    Recognised,
    ServiceUnavailable,
    UntrustedAddress,
)
from app.adapters.endpoint import Endpoint
from app.adapters.failures import NotSent
from app.adapters.transport import Transport
from app.adapters.wes.client import Client, json_object
from app.adapters.wes.config import WesConfig
from app.adapters.wes.describing import description_of
from app.adapters.wes.dialects import TRAITS
from app.adapters.wes.info import ServiceInfo, detect, is_service_info, read_info
from app.adapters.wes.parsing import parse_config

PREFIX = ("ga4gh", "wes", "v1")
_PROPOSED: Mapping[str, Mapping[str, object]] = {
    "weskit": {"params_as_strings": True},
    "starter-kit": {"input_mode": "samplesheet-url"},
    "sapporo": {"auth": {"kind": "password", "token_url": "token"}},
    "galaxy": {"auth": {"kind": "header", "name": "x-api-key"}},
}


async def recognise(
    transport: Transport,
    base_url: str,
    *,
    allow_insecure: bool,
    credential: Credential | None,  # noqa: ARG001 - as every dialect's
) -> Recognised | None:
    """Look at the address itself and at `…/ga4gh/wes/v1`; give a proposal, or None where no WES server answers.

    The credential is sent to nobody: what stands at the address is not known yet, and `/service-info` is open.

    Raises `ValueError` for what cannot be a base URL, and `NotSent` (a `ServiceUnavailable`) or `UntrustedAddress` where nothing
    could be asked.
    """
    given = base_url.strip().rstrip("/").removesuffix("/service-info").removesuffix("/runs")
    roots = [given]
    if not given.endswith("/".join(PREFIX)):
        roots.append("/".join((given, *PREFIX)))
    for root in roots:
        endpoint = Endpoint.parse(root, allow_insecure=allow_insecure)
        client = Client(transport, endpoint, WesConfig(allow_insecure=allow_insecure), None)
        try:
            answer = await client.call("GET", "service-info", auth=False)
        except (NotSent, UntrustedAddress):
            raise
        except ServiceUnavailable:
            continue
        said = json_object(answer)
        if answer.status == 200 and said is not None and is_service_info(said):
            return await _proposal(client, endpoint, read_info(said))
    return None


async def _proposal(client: Client, endpoint: Endpoint, info: ServiceInfo) -> Recognised:
    dialect = detect(info)
    kind, note = await _credential_kind(client, dialect)
    config = _config(info, dialect, kind)
    description = description_of(parse_config(config), info)
    return Recognised(
        api_type="ga4gh_wes",
        base_url=endpoint.root,
        name=info.name,
        credential_kind=kind,
        dialect=dialect,
        version=info.version,
        apps=tuple(
            Choice(f"{name} {version}".strip(), f"{name} {version}".strip())
            for name, versions in info.types.items()
            for version in versions or ("",)
        ),
        panels=(),
        builds=description.builds,
        api_config=config,
        notes=tuple(_notes(info, dialect, note, description.warnings)),
    )


def _config(info: ServiceInfo, dialect: str, kind: str) -> dict[str, object]:
    """Give as much of the configuration as can be told: the type and version where there is only one."""
    workflow: dict[str, object] = {}
    if len(info.types) == 1:
        ((name, versions),) = info.types.items()
        if name and " " not in name:
            workflow["type"] = name
        if len(versions) == 1 and " " not in versions[0]:
            workflow["type_version"] = versions[0]
    config: dict[str, object] = {"workflow": workflow, **_PROPOSED.get(dialect, {})}
    if kind == "none":
        config.pop("auth", None)
    return config


async def _credential_kind(client: Client, dialect: str) -> tuple[str, str | None]:
    """Tell by the list of runs, asked without a credential, whether one is needed."""
    try:
        answer: Answer = await client.call("GET", "runs", query={"page_size": "1"}, auth=False)
    except AdapterError:
        return (
            "none",
            "The list of runs did not answer: whether a credential is needed is not known.",
        )
    if answer.status in {401, 403, 407}:
        return ("password" if dialect == "sapporo" else "token"), None
    if 200 <= answer.status < 300:
        return "none", None
    return "none", (
        f"The list of runs answered with {answer.status}: whether a credential is needed is not known."
    )


def _notes(
    info: ServiceInfo, dialect: str, note: str | None, warnings: tuple[str, ...]
) -> Iterator[str]:
    yield (
        "A WES server runs any workflow: fill in `workflow.url`, `params` and `panels` for the one that imputes, "
        "as the site's operators say."
    )
    if len(info.types) != 1 or any(len(versions) != 1 for versions in info.types.values()):
        yield "Choose `workflow.type` and `workflow.type_version` of those that the server offers."
    if TRAITS[dialect].whole_tree:
        yield (
            "This kind of server gives no way to download results: ask for `outputs.file_url_map`, or let the workflow "
            "send them to `{upload_url}`."
        )
    if note:
        yield note
    yield from warnings
