"""Is this request valid for this service and panel? Pure: each function gives what the job will say, or raises what to tell.

Everything may be judged before the whole form has arrived: what was not said yet is None. The service's own form, as it was last
read (`Service.live_form`, an `app.adapters.base.ServiceDescription` as JSON), narrows the choices; the adapter checks them
again against the form of the hour.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.errors import FieldError, InvalidInput, NotFound
from app.core.models import Panel, Service
from app.core.names import one_line

BUILDS = ("hg19", "hg38")
DEFAULT_BUILD = "hg38"
FIELDS = frozenset(
    {
        "name",
        "description",
        "service_id",
        "reference_panel_id",
        "input_format",
        "build",
        "phasing",
        "population",
        "options",
    }
)
MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 10_000
MAX_OPTIONS = 32
MAX_OPTION_CHARS = 1000

_FALLBACK_POPULATIONS = ("mixed", "all", "off")
_BUILD_NAMES = {
    "hg19": "hg19",
    "grch37": "hg19",
    "b37": "hg19",
    "hg38": "hg38",
    "grch38": "hg38",
    "b38": "hg38",
}
_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off", "none", "no_phasing", "nophasing"})
_NO_PHASING = frozenset({"nophasing", "none", "no", "off"})
_WHERE_NUMBERS_ARE = (
    "GET /services lists the services, GET /services/{id}/reference-panels the panels of one."
)
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, as far as it is known. `phasing` is a bool or an engine's name."""

    name: str | None = None
    description: str = ""
    service_id: int | None = None
    reference_panel_id: int | None = None
    input_format: str = "vcf"
    build: str = DEFAULT_BUILD
    phasing: bool | str = True
    population: str | None = None
    options: Mapping[str, str] | None = None


def refuse(field: str, code: str, message: str, action: str | None = None) -> InvalidInput:
    """Give the refusal of one field."""
    return InvalidInput(message, code=code, action=action, errors=[FieldError(field, message)])


def read_fields(fields: Mapping[str, str]) -> Asked:
    """Read the text fields of the form; absent and empty ones have their defaults. Raises InvalidInput."""
    given = {name: value.strip() for name, value in fields.items() if value.strip()}
    name = one_line(given.get("name", ""))
    if len(name) > MAX_NAME_CHARS:
        limit = f"The name is longer than {MAX_NAME_CHARS} characters"
        raise refuse("name", "invalid_field", limit, "Choose a shorter one.")
    description = given.get("description", "")
    if len(description) > MAX_DESCRIPTION_CHARS:
        limit = f"The description is longer than {MAX_DESCRIPTION_CHARS} characters"
        raise refuse("description", "invalid_field", limit, "Write a shorter one.")
    return Asked(
        name=name or None,
        description=description,
        service_id=_number("service_id", given.get("service_id")),
        reference_panel_id=_number("reference_panel_id", given.get("reference_panel_id")),
        input_format=_format(given.get("input_format")),
        build=_build(given.get("build")),
        phasing=_phasing(given.get("phasing")),
        population=_population(given.get("population")),
        options=_options(given.get("options")),
    )


def judge_service(service: Service | None) -> Service:
    """Give the service. Raises NotFound, InvalidInput when it takes no jobs."""
    if service is None:
        raise NotFound(
            "There is no such imputation service",
            code="service_not_found",
            action="GET /services lists them.",
        )
    if not service.is_active:
        message = f"{service.name} is switched off on this platform"
        raise refuse("service_id", "service_disabled", message, "Choose another service.")
    return service


def judge_panel(panel_id: int, service: Service, panels: Sequence[Panel]) -> Panel:
    """Give the panel, one of the service's `panels`. Raises InvalidInput naming them."""
    usable = [panel for panel in panels if panel.is_active]
    for panel in usable:
        if panel.id == panel_id:
            return panel
    offered = _listed(f"{panel.id} ({panel.name})" for panel in usable)
    raise refuse(
        "reference_panel_id",
        "unknown_panel",
        f"{service.name} has no such reference panel",
        f"Choose one of its panels: {offered}.",
    )


def judge_build(asked: Asked, service: Service) -> str:
    """Give the build of the input. The panel's may differ: the servers lift over. Raises InvalidInput."""
    known = service.supported_builds or list(BUILDS)
    if asked.build in known:
        return asked.build
    message = f"{service.name} does not take input in {asked.build}"
    raise refuse("build", "unknown_build", message, f"It takes: {_listed(known)}.")


def judge_phasing(asked: Asked, service: Service) -> tuple[bool, str | None]:
    """Give (is it phased, by which engine; None: the service's default). Raises InvalidInput."""
    listed = _strings(service, "phasings")
    engines = [key for key in listed if _bare(key) not in _NO_PHASING]
    if asked.phasing is True:
        return True, None
    if asked.phasing is False:
        if listed and len(engines) == len(listed):
            message = f"{service.name} always phases"
            raise refuse("phasing", "unknown_phasing", message, f"Choose: {_listed(engines)}.")
        return False, None
    for key in engines:
        if key.lower() == asked.phasing.lower():
            return True, key
    if not listed:
        return True, asked.phasing
    message = f"{service.name} does not offer this phasing"
    choices = _listed(["true", "false", *engines])
    raise refuse("phasing", "unknown_phasing", message, f"Choose: {choices}.")


def judge_population(asked: Asked, panel: Panel) -> str | None:
    """Give the panel's key of the population; unasked `mixed`, else `all`, else `off`. Raises InvalidInput."""
    keys = [str(item["key"]) for item in panel.populations]
    if not keys:  # the panel does not tell: the service will
        return asked.population
    by_word = {str(item.get("label", "")).lower(): str(item["key"]) for item in panel.populations}
    by_word |= {key.lower(): key for key in keys}
    for wanted in _FALLBACK_POPULATIONS if asked.population is None else (asked.population,):
        if (key := by_word.get(wanted.lower())) is not None:
            return key
    message = (
        f"The panel {panel.name} needs a population"
        if asked.population is None
        else f"The panel {panel.name} does not have this population"
    )
    raise refuse("population", "unknown_population", message, f"Choose: {_listed(keys)}.")


def judge_options(asked: Asked, service: Service) -> dict[str, str]:
    """Give the options beyond the common fields. Raises InvalidInput naming what the service's form has."""
    options = dict(asked.options or {})
    if not options or service.live_form is None:
        return options
    form = {str(item["id"]): item for item in service.live_form.get("options", [])}
    if "mode" in options:
        modes = _strings(service, "modes")
        matching = [key for key in modes if _bare(key) == _bare(options["mode"])]
        if not matching and _bare(options["mode"]) != "imputation":
            message = f"{service.name} does not offer this mode"
            raise refuse("options", "unknown_option", message, f"Choose: {_listed(modes)}.")
        options["mode"] = matching[0] if matching else options["mode"]
    for name, value in options.items():
        if name != "mode":
            _judge_option(name, value, form, service)
    return options


def _judge_option(
    name: str, value: str, form: Mapping[str, Mapping[str, Any]], service: Service
) -> None:
    if name not in form:
        message = f"{service.name} has no such option"
        raise refuse("options", "unknown_option", message, f"Choose: {_listed(['mode', *form])}.")
    keys = [str(choice["key"]) for choice in form[name].get("choices", [])]
    if form[name].get("kind") == "choice" and value.lower() not in [key.lower() for key in keys]:
        message = f"The option {name} does not have this value"
        raise refuse("options", "unknown_option", message, f"Choose: {_listed(keys)}.")


def _number(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise refuse(field, "invalid_field", f"{field} is not a number", _WHERE_NUMBERS_ARE)
    return int(text)


def _format(text: str | None) -> str:
    if text is None or text.lower() in ("vcf", "vcf.gz", "vcf_gz"):
        return "vcf"
    message = "Only bgzipped VCF files are taken"
    action = "Convert PLINK files: plink2 --bfile data --export vcf bgz, then one file for each chromosome."
    raise refuse("input_format", "unknown_format", message, action)


def _build(text: str | None) -> str:
    if text is None:
        return DEFAULT_BUILD
    build = _BUILD_NAMES.get(text.lower())
    if build is None:
        message = "This genome build is not known"
        raise refuse("build", "unknown_build", message, f"Choose: {_listed(BUILDS)}.")
    return build


def _phasing(text: str | None) -> bool | str:
    if text is None or text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    if not _TOKEN.fullmatch(text):
        message = "phasing is true, false, or the name of an engine"
        raise refuse("phasing", "unknown_phasing", message, "Choose true to use the default one.")
    return text


def _population(text: str | None) -> str | None:
    if text is not None and (len(text) > MAX_NAME_CHARS or not text.isprintable()):
        action = "GET /services/{id}/reference-panels lists the populations of each panel."
        raise refuse("population", "unknown_population", "This population is not known", action)
    return text


def _options(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    return read_options(value)


def read_options(value: object) -> dict[str, str]:
    """Read the options from what their JSON says. Raises InvalidInput."""
    if not isinstance(value, dict) or len(value) > MAX_OPTIONS:
        message = f"options is a JSON object of at most {MAX_OPTIONS} names and values"
        raise refuse("options", "invalid_options", message, 'For example {"r2Filter": "0.3"}.')
    return {
        name: _option(name, item) for name, item in value.items() if item is not None and item != ""
    }


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        text = str(value).strip()
    else:
        text = ""
    is_plain = 0 < len(text) <= MAX_OPTION_CHARS and text.isprintable()
    if not is_plain or not _TOKEN.fullmatch(name):
        message = "An option has a plain name, and a text, a number, true or false as its value"
        raise refuse("options", "invalid_options", message, 'For example {"r2Filter": "0.3"}.')
    return text


def _strings(service: Service, name: str) -> list[str]:
    return [str(item) for item in (service.live_form or {}).get(name) or []]


def _bare(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def _listed(words: Iterable[str]) -> str:
    every = list(words)
    more = ", …" if len(every) > _SHOWN else ""
    return (", ".join(every[:_SHOWN]) + more) or "none are listed yet"
