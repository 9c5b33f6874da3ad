"""What a person chose on the page of a new job, and how the form of `POST /jobs` says the same. Pure.

The page's own fields carry the id of the service that they are about: `service=3` (one for each service), `panel-3=7` (one for
each panel), `population-3-7` (of that panel), `phasing-3`, `option-3-r2Filter`. Everything reads them from here: the address of a
half-filled page, the form that is sent without scripts, and the check before an upload.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import AppError, FieldError, InvalidInput
from app.core.models import Job, Panel, Service
from app.core.submission import Asked, judge_population
from app.core.targets import MAX_TARGETS, TARGETS_FIELD

NO_PHASING = "false"
DEFAULT_PHASING = "true"
_NO_ENGINE = frozenset({"nophasing", "none", "no", "off"})
_SERVICE_FIELD = re.compile(r"(panel|population|phasing|option)-([0-9]{1,18})(?:-(.+))?")
_TARGET = re.compile(rf"{TARGETS_FIELD}\[([0-9]{{1,2}})\](?:\.(\w+))?")
_ID = re.compile(r"[0-9]{1,18}")
_PAGE_WORDS = {"service_id": "service", "reference_panel_id": "panel", "options": "option"}
_OF_A_SERVICE = frozenset({"service", "panel", "population", "phasing", "option"})
_MODES = {"imputation": "Quality control and imputation", "qconly": "Quality control only"}


@dataclass(frozen=True, slots=True)
class Place:
    """One chosen service and what was chosen there; an empty text means that nothing was said. `populations` are by panel."""

    service_id: int
    panel_ids: tuple[int, ...] = ()
    populations: Mapping[int, str] = field(default_factory=dict)
    phasing: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that was chosen, besides files that are still to be sent."""

    name: str = ""
    description: str = ""
    build: str = ""
    places: tuple[Place, ...] = ()
    file_ids: tuple[int, ...] = ()

    @property
    def targets(self) -> list[tuple[Place, int | None]]:
        """Give a place and a panel for each job that will be made; None where the panel is still to be chosen."""
        return [(place, panel) for place in self.places for panel in place.panel_ids or (None,)]

    def place(self, service_id: int) -> Place | None:
        """Give what was chosen for a service; None when the service was not."""
        return next((item for item in self.places if item.service_id == service_id), None)


@dataclass(frozen=True, slots=True)
class Question:
    """One more field of a service's own form, as it is asked. `kind` is choice, checkbox, text or number."""

    id: str
    kind: str
    label: str
    default: str
    choices: tuple[tuple[str, str], ...] = ()


def read_choices(fields: Iterable[tuple[str, str]]) -> Choices:
    """Read the page's fields; what makes no sense is passed over. Of a field that comes twice, the last counts."""
    plain: dict[str, str] = {}
    services: list[int] = []
    files: list[int] = []
    panels: dict[int, list[int]] = {}
    populations: dict[int, dict[int, str]] = {}
    phasings: dict[int, str] = {}
    options: dict[int, dict[str, str]] = {}
    for name, raw in fields:
        value = raw.strip()
        what, service_id, rest = _parts(name)
        if name == "service":
            _add_id(services, value)
        elif name == "input_file_id":
            _add_id(files, value)
        elif what == "panel":
            _add_id(panels.setdefault(service_id, []), value)
        elif what == "population" and (panel_id := _number(rest)) is not None:
            populations.setdefault(service_id, {})[panel_id] = value
        elif what == "phasing":
            phasings[service_id] = value
        elif what == "option" and rest:
            options.setdefault(service_id, {})[rest] = value
        else:
            plain[name] = value
    places = tuple(
        Place(
            service_id,
            tuple(panels.get(service_id, ())),
            populations.get(service_id, {}),
            phasings.get(service_id, ""),
            options.get(service_id, {}),
        )
        for service_id in services[:MAX_TARGETS]
    )
    return Choices(
        plain.get("name", ""),
        plain.get("description", ""),
        plain.get("build", ""),
        places,
        tuple(files),
    )


def _parts(name: str) -> tuple[str, int, str]:
    match = _SERVICE_FIELD.fullmatch(name)
    return ("", 0, "") if match is None else (match[1], int(match[2]), match[3] or "")


def choices_of(job: Job, panels: Iterable[Panel], file_ids: Iterable[int]) -> Choices:
    """Give the choices that a job was made of, with those `panels` of its service that can be chosen now."""
    offered = list(panels)
    panel = next(
        (item for item in offered if item.id == job.reference_panel_id),
        next((item for item in offered if item.key == job.panel_key), None),
    )
    place = Place(
        job.service_id,
        () if panel is None else (panel.id,),
        {} if panel is None else {panel.id: job.population or ""},
        (job.phasing_engine or DEFAULT_PHASING) if job.phasing else NO_PHASING,
        job.options,
    )
    return Choices(job.name, job.description, job.build, (place,), tuple(file_ids))


def page_fields(choices: Choices) -> list[tuple[str, str]]:
    """Give the page's fields that say the same, but for name and description: for an address that leads back."""
    pairs = [("build", choices.build)]
    pairs += [("input_file_id", str(file_id)) for file_id in choices.file_ids]
    for place in choices.places:
        pairs += [
            ("service", str(place.service_id)),
            *((f"panel-{place.service_id}", str(panel_id)) for panel_id in place.panel_ids),
            *(
                (f"population-{place.service_id}-{panel_id}", place.populations.get(panel_id, ""))
                for panel_id in place.panel_ids
            ),
            (f"phasing-{place.service_id}", place.phasing),
            *((f"option-{place.service_id}-{name}", text) for name, text in place.options.items()),
        ]
    return [(name, value) for name, value in pairs if value]


def form_fields(choices: Choices) -> dict[str, str]:
    """Give the fields of `POST /jobs`, without files: of one job by themselves, of several as `targets`."""
    fields = {"name": choices.name, "description": choices.description, "build": choices.build}
    targets = [_target(place, panel_id) for place, panel_id in choices.targets]
    if len(targets) > 1:
        fields[TARGETS_FIELD] = json.dumps(targets)
    elif targets:
        target = targets[0]
        options = target.pop("options", None)
        fields |= {name: str(value) for name, value in target.items()}
        if options:
            fields["options"] = json.dumps(options)
    return {name: value for name, value in fields.items() if value}


def _target(place: Place, panel_id: int | None) -> dict[str, Any]:
    options = {name: value for name, value in place.options.items() if value}
    target: dict[str, Any] = {
        "service_id": place.service_id,
        "reference_panel_id": panel_id,
        "population": "" if panel_id is None else place.populations.get(panel_id, ""),
        "phasing": place.phasing,
        "options": options,
    }
    return {name: value for name, value in target.items() if value}


def ensure_chosen(choices: Choices) -> None:
    """Raise InvalidInput that names all that is still to be chosen."""
    wrong: list[FieldError] = []
    if not choices.build:
        wrong.append(FieldError("build", "Choose the genome build of your files"))
    if not choices.places:
        wrong.append(FieldError("service", "Choose at least one service"))
    wrong += [
        FieldError(f"panel-{place.service_id}", "Choose a reference panel")
        for place in choices.places
        if not place.panel_ids
    ]
    if wrong:
        raise InvalidInput(
            wrong[0].message if len(wrong) == 1 else "Something is still to be chosen",
            code="missing_field",
            action="The marked places say what.",
            errors=wrong,
        )


def at_page_fields(error: AppError, choices: Choices) -> AppError:
    """Let an error of `POST /jobs` name the page's fields."""
    error.errors = tuple(
        FieldError(_page_field(item.field, choices), item.message) for item in error.errors
    )
    return error


def _page_field(name: str, choices: Choices) -> str:
    index = 0
    if match := _TARGET.fullmatch(name):
        index, name = int(match[1]), match[2] or "service"
    word = _PAGE_WORDS.get(name, name)
    targets = choices.targets
    if word not in _OF_A_SERVICE or index >= len(targets):
        return word
    place, panel_id = targets[index]
    field_name = f"{word}-{place.service_id}"
    return f"{field_name}-{panel_id}" if word == "population" and panel_id else field_name


def phasing_choices(service: Service) -> list[tuple[str, str]]:
    """Give what can be chosen for phasing as (what is sent, what is shown); the first is the default."""
    form = service.live_form or {}
    listed = [str(item) for item in form.get("phasings") or []]
    engines = [key for key in listed if _bare(key) not in _NO_ENGINE]
    default = str(form.get("default_phasing") or "")
    first = f"{_engine(default)} (the service's default)" if default else "Yes, as the service does"
    others = [(key, _engine(key)) for key in engines if key != default]
    found = [(DEFAULT_PHASING, first), *(others if len(engines) > 1 or not default else [])]
    if len(engines) < len(listed) or not listed:
        found.append((NO_PHASING, "None: my files are phased already"))
    return found


def default_population(panel: Panel) -> str:
    """Give the population that is taken where nobody chose one; nothing where one must be chosen."""
    try:
        return judge_population(Asked(), panel) or ""
    except InvalidInput:
        return ""


def questions(service: Service) -> list[Question]:
    """Give what the service's own form asks beyond the common fields."""
    form = service.live_form or {}
    modes = [str(item) for item in form.get("modes") or []]
    found = []
    if len(modes) > 1:
        first = next((key for key in modes if _bare(key) == "imputation"), modes[0])
        pairs = tuple((key, _MODES.get(_bare(key), key)) for key in modes)
        found.append(Question("mode", "choice", "What to do", first, pairs))
    for item in form.get("options") or []:
        pairs = tuple((str(one["key"]), str(one["label"])) for one in item.get("choices") or [])
        default = str(item.get("default") or "")
        found.append(Question(str(item["id"]), item["kind"], item["label"], default, pairs))
    return found


def _engine(key: str) -> str:
    return key[:1].upper() + key[1:]


def _bare(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def _add_id(ids: list[int], text: str) -> None:
    number = _number(text)
    if number is not None and number not in ids:
        ids.append(number)


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if _ID.fullmatch(text) else None
