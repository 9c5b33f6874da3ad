"""What a service offers, by its configuration, and what in it does not fit the server that answers. Pure."""

from collections.abc import Iterator, Mapping

from app.adapters.base import Choice, Option, Panel, ServiceDescription
from app.adapters.wes.config import PanelChoice, WesConfig
from app.adapters.wes.dialects import TRAITS
from app.adapters.wes.filling import default_phasing, offered_builds, option_names
from app.adapters.wes.info import ServiceInfo, detect, spelt
from app.adapters.wes.template import PER_FILE, names_in


def description_of(config: WesConfig, info: ServiceInfo) -> ServiceDescription:
    """Give the description of a service. The dialect shown is the one that answers, whatever is configured."""
    return ServiceDescription(
        app_id=config.workflow.url,
        app_version=config.workflow.type_version,
        server_name=info.name,
        panels=tuple(_panel(key, panel) for key, panel in config.panels.items()),
        builds=offered_builds(config),
        phasings=tuple(config.maps.phasing),
        default_phasing=default_phasing(config),
        modes=(),
        options=tuple(_option(config, name) for name in option_names(config)),
        dialect=detect(info),
        warnings=tuple(_warnings(config, info)),
    )


def _panel(key: str, panel: PanelChoice) -> Panel:
    listed = panel.populations
    labels = listed if isinstance(listed, dict) else {item: item for item in listed}
    return Panel(
        key=key,
        name=panel.name or key,
        populations=tuple(Choice(item, label) for item, label in labels.items()),
        builds=panel.builds,
    )


def _option(config: WesConfig, name: str) -> Option:
    declared = config.options.get(name)
    if declared is None:
        return Option(name, "text", name)
    choices = tuple(Choice(key, label) for key, label in declared.choices.items())
    kind = "choice" if choices else declared.kind
    return Option(name, kind, declared.label or name, declared.default, choices)


def _warnings(config: WesConfig, info: ServiceInfo) -> Iterator[str]:
    seen = detect(info)
    used = config.dialect if config.dialect != "auto" else seen
    if used != seen:
        yield f"The configured dialect is {used}, and the server answers as {seen}."
    yield from _of_workflow(config, info)
    yield from _of_traits(config, used)
    if used == "starter-kit":
        yield from _of_starter_kit(config)
    if config.params and not names_in(config.params) & (
        PER_FILE | {"input_urls", "input_names", "samplesheet_url"}
    ):
        yield "No parameter names the input."
    if not config.panels:
        yield "No panels are configured: the keys of panels entered by hand are sent as they are."


def _of_workflow(config: WesConfig, info: ServiceInfo) -> Iterator[str]:
    workflow = config.workflow
    unset = [name for name in ("url", "type", "type_version") if not getattr(workflow, name)]
    if unset:
        yield f"No jobs can be sent before `workflow` has: {', '.join(unset)}."
    if workflow.type and info.types:
        kind = spelt(workflow.type, tuple(info.types))
        if kind is None:
            yield f"The server does not offer the workflow type {workflow.type}. It offers: {_types(info.types)}."
        elif (
            workflow.type_version
            and info.types[kind]
            and spelt(workflow.type_version, info.types[kind]) is None
        ):
            yield (
                f"The server does not offer {kind} {workflow.type_version}. "
                f"It offers: {', '.join(info.types[kind][:20])}."
            )
    if workflow.engine and info.engines and spelt(workflow.engine, info.engines) is None:
        yield f"The server does not name the engine {workflow.engine}. It names: {', '.join(info.engines[:20])}."


def _of_traits(config: WesConfig, dialect: str) -> Iterator[str]:
    traits, workflow = TRAITS[dialect], config.workflow
    if traits.engine == "needed" and not workflow.engine:
        yield f"A server of the kind {dialect} needs `workflow.engine`."
    if traits.engine == "refused" and workflow.engine:
        yield f"A server of the kind {dialect} refuses `workflow.engine`: leave it out."
    if traits.strings_only and not config.params_as_strings:
        odd = [name for name, value in config.params.items() if _may_be_no_string(value)]
        if odd:
            yield (
                f"A server of the kind {dialect} takes strings only; set `params_as_strings` for: "
                f"{', '.join(odd[:20])} (they are sent as strings in any case)."
            )
    if not traits.attachments and (config.input_mode == "attachment" or workflow.attachments):
        yield f"A server of the kind {dialect} drops files that are sent along: jobs are refused."
    if traits.search in {"none", "listed"}:
        yield (
            f"A server of the kind {dialect} cannot show whether a run is there whose id was lost: "
            "then a person has to decide."
        )


def _of_starter_kit(config: WesConfig) -> Iterator[str]:
    """Each top value goes through Java's `URI.create`: only plain scalars and addresses pass, anything else is a 409."""
    for name, value in config.params.items():
        if isinstance(value, dict | list) or value is None:
            if not config.params_as_strings:
                yield f"The starter kit takes no lists or objects, as the parameter {name} is."
        elif isinstance(value, str):
            if value in {"{input_urls}", "{input_names}"}:
                yield f"The starter kit takes one address for {name}, not several: use a sample sheet."
            elif any(not _is_uri_char(c) for c in value if c not in "{}"):
                yield f"The starter kit takes no blanks or special characters, as the parameter {name} has."


def _is_uri_char(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in "-_.!~*'();/?:@&=+$,#")


def _may_be_no_string(value: object) -> bool:
    return not isinstance(value, str) or value in {"{input_urls}", "{input_names}", "{phasing}"}


def _types(types: Mapping[str, tuple[str, ...]]) -> str:
    return ", ".join(
        f"{name} {'/'.join(versions[:5])}".strip() for name, versions in list(types.items())[:20]
    )
