"""From the platform's words to the fields of `POST /runs`. Pure.

Nothing is sent that the configuration does not name, and what it does not offer is refused here, with the choices named:
a WES server takes anything, and the workflow would fail hours later.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from app.adapters.base import Rejected, Submission
from app.adapters.wes.config import OptionField, Scalar, WesConfig
from app.adapters.wes.dialects import TRAITS
from app.adapters.wes.info import ServiceInfo, spelt
from app.adapters.wes.template import (
    Value,
    fill,
    fill_text,
    names_in,
    takes_many,
)

BUILDS = ("hg19", "hg38")
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_PLAIN = re.compile(r"[A-Za-z0-9 ._@:/+-]{1,100}")
_NONE = frozenset({"nophasing", "none", "no", "off"})
_ANY_POPULATION = ("mixed", "all", "off")
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})
_SHOWN = 20


def fields_of(
    config: WesConfig, submission: Submission, info: ServiceInfo, dialect: str
) -> list[tuple[str, str]]:
    """Give the text parts to send, in a stable order. Raises `Rejected` for what the service cannot take."""
    workflow = config.workflow
    if not workflow.url or not workflow.type or not workflow.type_version:
        raise Rejected(
            "The service cannot take jobs yet: an administrator has to name its workflow (url, type and version)."
        )
    _check_files(config, submission, dialect)
    values, per_file = _values(config, submission)
    strings = config.params_as_strings or TRAITS[dialect].strings_only
    params = fill(config.params, values, per_file, as_strings=strings)
    kind = spelt(workflow.type, tuple(info.types)) or workflow.type
    version = spelt(workflow.type_version, info.types.get(kind, ())) or workflow.type_version
    engine_parameters = {
        name: fill_text(text, values) for name, text in workflow.engine_parameters.items()
    }
    tags = {name: fill_text(text, values) for name, text in config.tags.items()}
    fields = [
        ("workflow_params", msgspec.json.encode(params).decode()),
        ("workflow_type", kind),
        ("workflow_type_version", version),
        ("workflow_url", workflow.url),
        ("workflow_engine", workflow.engine),
        ("workflow_engine_version", workflow.engine_version),
        (
            "workflow_engine_parameters",
            msgspec.json.encode(engine_parameters).decode() if engine_parameters else None,
        ),
        ("tags", msgspec.json.encode(tags).decode() if tags else None),
    ]
    return [(name, value) for name, value in fields if value is not None]


def secrets_of(submission: Submission) -> tuple[str, ...]:
    """Give what must not appear in words that come back: the links of the job and the password of its results."""
    links = (submission.samplesheet_url, submission.upload_url, submission.archive_password)
    urls = (item.url for item in submission.files)
    return tuple(text for text in (*links, *urls) if text)


def offered_builds(config: WesConfig) -> tuple[str, ...]:
    """Give the builds that the configuration takes: those of the map, else those of the panels, else all."""
    of_panels = dict.fromkeys(build for panel in config.panels.values() for build in panel.builds)
    return tuple(config.maps.build) or tuple(of_panels) or BUILDS


def default_phasing(config: WesConfig) -> str | None:
    """Give what `phasing=True` means: the first key of the map that is an engine."""
    return next((key for key in config.maps.phasing if not means_none(key)), None)


def means_none(key: str) -> bool:
    """Say whether a key of `maps.phasing` stands for no phasing."""
    return "".join(c for c in key.lower() if c.isalnum()) in _NONE


def option_names(config: WesConfig) -> tuple[str, ...]:
    """Give the options that a job may set: the declared ones, else those that the templates use."""
    if config.options:
        return tuple(config.options)
    used = names_in([config.params, config.tags, config.workflow.engine_parameters])
    return tuple(
        sorted(name.removeprefix("option.") for name in used if name.startswith("option."))
    )


def _check_files(config: WesConfig, submission: Submission, dialect: str) -> None:
    files = submission.files
    if not files:
        raise Rejected("A job needs at least one input file.")
    names = [item.name.lower() for item in files]
    if config.input_mode == "attachment":
        names += [item.name.lower() for item in config.workflow.attachments]
    if len(set(names)) != len(names):
        raise Rejected("Two files of the job have the same name.")
    if not all(_FILE_NAME.fullmatch(item.name) for item in files):
        raise Rejected("Input files must have plain names.")
    if len(files) > 1 and not takes_many(config.params):
        raise Rejected("The service's workflow takes one input file: send one job for each.")
    sends_files = config.input_mode == "attachment" or config.workflow.attachments
    if sends_files and not TRAITS[dialect].attachments:
        raise Rejected(
            "The service drops files that are sent along: an administrator has to choose another input mode."
        )
    used = names_in(config.params)
    if config.input_mode != "attachment" and not all(item.url for item in files):
        raise Rejected("The links to the input files could not be made.")
    if "samplesheet_url" in used and not submission.samplesheet_url:
        raise Rejected("The link to the sample sheet could not be made.")
    if "upload_url" in used and not submission.upload_url:
        raise Rejected("The address for the results could not be made.")


def _values(
    config: WesConfig, submission: Submission
) -> tuple[dict[str, Value], list[dict[str, Value]]]:
    """Give what the placeholders stand for, and of each file its own."""
    if submission.mode is not None and _bare(submission.mode) != "imputation":
        raise Rejected("The service offers no choice of mode.")
    per_file: list[dict[str, Value]] = [
        {"input_url": item.url, "input_name": item.name} for item in submission.files
    ]
    panel_value, populations = _panel(config, submission.panel_key)
    values: dict[str, Value] = {
        "input_urls": tuple(item.url for item in submission.files if item.url),
        "input_names": tuple(item.name for item in submission.files),
        **per_file[0],
        "samplesheet_url": submission.samplesheet_url,
        "upload_url": submission.upload_url,
        "panel.key": submission.panel_key,
        "panel.value": panel_value,
        "build": _build(config, submission.build),
        "phasing": _phasing(config, submission.phasing),
        "population": _population(config, populations, submission.population),
        "job_id": submission.name,
        **_options(config, submission.options),
    }
    return values, per_file


def _panel(config: WesConfig, asked: str) -> tuple[Scalar, tuple[str, ...]]:
    """Give the panel's value and populations. Where no panels are configured, the key itself is the value."""
    if not config.panels:
        return asked, ()
    panel = config.panels.get(asked)
    if panel is None:
        raise Rejected(_unknown("reference panel", asked, tuple(config.panels)))
    return panel.value, tuple(panel.populations)


def _build(config: WesConfig, asked: str) -> Scalar:
    offered = offered_builds(config)
    if asked not in offered:
        raise Rejected(_unknown("build", asked, offered))
    return config.maps.build.get(asked, asked)


def _phasing(config: WesConfig, asked: bool | str) -> Scalar:
    table = config.maps.phasing
    if not table:
        if isinstance(asked, str):
            raise Rejected("The service offers no choice of phasing.")
        return asked
    if asked is True:
        engine = default_phasing(config)
        if engine is None:
            raise Rejected("The service lists no phasing engine.")
        return table[engine]
    for key, value in table.items():
        if means_none(key) if asked is False else key.lower() == str(asked).lower():
            return value
    raise Rejected(_unknown("phasing", "none" if asked is False else str(asked), tuple(table)))


def _population(config: WesConfig, listed: Sequence[str], asked: str | None) -> Scalar | None:
    """Give the population's value; None leaves it out. Nothing asked takes «mixed» or the like where it is listed."""
    table = config.maps.population
    offered = tuple(listed) or tuple(table)
    if not offered:
        if asked is None or asked.lower() in _ANY_POPULATION:
            return None
        if "population" in names_in(config.params) and _PLAIN.fullmatch(asked):
            return asked
        raise Rejected("The service offers no choice of population.")
    for wanted in (asked,) if asked is not None else _ANY_POPULATION:
        for key in offered:
            if key.lower() == wanted.lower():
                return table.get(key, key)
    if asked is None:
        return None
    raise Rejected(_unknown("population", asked, offered))


def _options(config: WesConfig, asked: Mapping[str, str]) -> dict[str, Value]:
    names = option_names(config)
    for name in asked:
        if name not in names:
            raise Rejected(_unknown("option", name, names))
    return {f"option.{name}": _option(config, name, asked.get(name)) for name in names}


def _option(config: WesConfig, name: str, asked: str | None) -> Value:
    declared = config.options.get(name)
    value = asked if asked is not None else (declared.default if declared else None)
    if value is None or not value.strip():
        return None
    value = value.strip()
    if not value.isprintable() or len(value) > 1000:
        raise Rejected(f"The option {name} needs a short line of text.")
    return value if declared is None else _typed(name, declared, value)


def _typed(name: str, declared: OptionField, value: str) -> Value:
    """Give an option's value as its kind has it. Raises `Rejected`."""
    if declared.choices:
        for key in declared.choices:
            if key.lower() == value.lower():
                return key
        raise Rejected(_unknown(name, value, tuple(declared.choices)))
    if declared.kind == "checkbox":
        if value.lower() not in _YES | _NO:
            raise Rejected(f"The option {name} is yes or no.")
        return value.lower() in _YES
    if declared.kind == "number":
        if not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", value):
            raise Rejected(f"The option {name} is a number.")
        return float(value) if "." in value else int(value)
    return value


def _bare(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def _unknown(what: str, asked: str, choices: Sequence[str]) -> str:
    """Say that something is not offered and what is. What was asked is shown where it is plain."""
    named = f" {asked}" if _PLAIN.fullmatch(asked) else ""
    listed = ", ".join(choices[:_SHOWN]) or "none"
    more = ", …" if len(choices) > _SHOWN else ""
    return f"The service does not offer the {what}{named}. It offers: {listed}{more}."
