"""The form of a service: the same settings as the API takes, the dialect's own ones from its schema."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from multidict import MultiDict, MultiMapping

from app.adapters.presets import ServicePreset
from app.core.errors import AppError, FieldError, InvalidInput
from app.core.models import Service
from app.usecases.service_fields import DEFAULTS, NewService, ServiceChange, fields_of
from app.web import schema_form
from app.web.endpoint import Call
from app.web.pages import Form
from app.web.reading import is_text

CONFIG = "api_config"
DAY_S = 86_400.0
_TEXTS = ("name", "description", "base_url", "credential_kind", "credential_policy")
_MAY_BE_EMPTY = ("location", "country", "institution", "city")
_NUMBERS = {"latitude": False, "longitude": False, "poll_interval_s": False, "wait_limit_s": False, "max_remote_jobs": True}  # fmt: skip
"""Fields that hold numbers, and whether these are whole ones."""
_NEEDED_NUMBERS = ("poll_interval_s", "wait_limit_s")
_PLACES = re.compile(r"`([^`]+)`")
_BESIDE = frozenset({"allow_insecure"})
"""What a schema has and is set beside it."""
LABELS = {
    "name": "Name",
    "slug": "Short name",
    "description": "Description",
    "base_url": "Base URL",
    "allow_insecure": "Allow plain http",
    "country": "Country",
    "institution": "Institution",
    "city": "City",
    "location": "Place in words",
    "latitude": "Latitude",
    "longitude": "Longitude",
    "credential_kind": "What it asks for",
    "credential_policy": "Whose it is",
    "shared_users": "And with these users",
    "poll_interval_s": "Ask after a job every (seconds)",
    "wait_limit_s": "Tell the owner after (days)",
    "max_remote_jobs": "Jobs of an account at a time",
    "supported_builds": "Genome builds of the input",
    "shared_with": "Shared with",
    "api_token": "Token",
    "api_config": "What this kind of service can be told",
}
"""What the fields are called, on the page and where it is said that one is wrong."""
T = TypeVar("T", bound=msgspec.Struct)


class ServiceForm(Form):
    """Everything that can be set about a service of one kind. `wait_limit_s` is asked for in days."""

    def __init__(
        self,
        schema: type[msgspec.Struct],
        fields: MultiMapping[str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        given = {**DEFAULTS, **(settings or {})}
        shared = given["shared_with"]
        super().__init__(
            fields,
            {
                **{name: _plain(value) for name, value in given.items()},
                "supported_builds": given["supported_builds"],
                "wait_limit_s": _plain(given["wait_limit_s"] / DAY_S),
                "shared_roles": shared.get("roles", []),
                "shared_users": ", ".join(shared.get("users", [])),
            },
        )
        self._described = tuple(
            item for item in schema_form.describe(schema) if item.key not in _BESIDE
        )
        if fields is None:
            self._texts = schema_form.fill(self._described, given[CONFIG], CONFIG)
        else:
            self._texts = {
                name: text for name, text in fields.items() if name.startswith(f"{CONFIG}.")
            }
        self.config = schema_form.show(self._described, self._texts, CONFIG)

    def new(self, **more: Any) -> NewService:
        """Give what was typed as a new service. Raises InvalidInput."""
        return _convert({**self._body(), **more}, NewService)

    def change(self, service: Service) -> ServiceChange:
        """Give what was typed as a change of a service: only what differs. Raises InvalidInput."""
        body = self._body()
        config = {
            key: value
            for key, value in body.pop(CONFIG).items()
            if value != service.api_config.get(key)
        }
        changed = {name: value for name, value in body.items() if value != getattr(service, name)}
        return _convert({**changed, **({CONFIG: config} if config else {})}, ServiceChange)

    def refuse(self, error: AppError) -> "ServiceForm":
        """Note why it was refused, each reason at the field that is drawn for it."""
        super().refuse(error)
        found = dict(self.errors)
        self.errors = {}
        for place, words in found.items():
            self.errors.setdefault(self._field_of(place), words)
        for place in _PLACES.findall(error.message) if error.message.startswith(CONFIG) else ():
            name = schema_form.nearest(
                f"{CONFIG}.{place.removeprefix('$').strip('.')}", self.config
            )
            if name is not None:
                self.errors.setdefault(name, _mended(error.message))
                break
        self.message = _mended(self.message or "")
        return self

    def label(self, place: str) -> str:
        """Give what a field is called, those of the dialect's own settings with the groups that they are in."""
        if place.startswith(f"{CONFIG}."):
            return ", ".join(schema_form.labels_of(place, self.config)) or LABELS[CONFIG]
        return LABELS.get(place) or LABELS.get(place.partition(".")[0]) or "The form"

    def _field_of(self, place: str) -> str:
        if place == f"{CONFIG}.api_token":
            return "api_token"
        if place.startswith("shared_with.users"):
            return "shared_users"
        if place.startswith(CONFIG):
            return schema_form.nearest(place, self.config) or place
        return place

    def _body(self) -> dict[str, Any]:
        sent = self._fields if self._fields is not None else MultiDict[str]()
        if odd := [name for name, text in sent.items() if not is_text(text)]:
            raise _refused([FieldError(odd[0], "holds a character that is not text")])
        texts = {name: sent.get(name, "").strip() for name in (*_TEXTS, *_MAY_BE_EMPTY)}
        read = schema_form.read(self._described, self._texts, CONFIG)
        errors = list(read.errors)
        body: dict[str, Any] = {name: texts[name] for name in _TEXTS}
        body["description"] = body["description"].replace("\r\n", "\n")
        body |= {name: texts[name] or None for name in _MAY_BE_EMPTY}
        for name, whole in _NUMBERS.items():
            try:
                body[name] = _number(sent.get(name, ""), whole=whole)
            except ValueError as error:
                errors.append(FieldError(name, str(error)))
                continue
            if body[name] is None and name in _NEEDED_NUMBERS:
                errors.append(FieldError(name, "is missing"))
        if errors:
            raise _refused(errors)
        body["wait_limit_s"] = round(body["wait_limit_s"] * DAY_S, 3)
        body["supported_builds"] = list(sent.getall("supported_builds", []))
        body["allow_insecure"] = "allow_insecure" in sent
        body["shared_with"] = {"roles": list(sent.getall("shared_roles", []))}
        if users := [name for name in re.split(r"[,\s]+", sent.get("shared_users", "")) if name]:
            body["shared_with"]["users"] = users
        body[CONFIG] = {item.key: read.value.get(item.key) for item in self._described}
        return body


def typed(call: Call) -> MultiMapping[str]:
    """Give what was sent by a form; nothing where nothing was."""
    return call.fields if call.fields is not None else MultiDict()


def settings_of(service: Service | ServicePreset) -> dict[str, Any]:
    """Give the settings that a form shows, of a service or of a preset."""
    if isinstance(service, ServicePreset):
        return {**fields_of(service), "slug": service.slug}
    return {"slug": service.slug, **{name: getattr(service, name) for name in DEFAULTS}, "name": service.name, "base_url": service.base_url}  # fmt: skip


def _plain(value: Any) -> Any:
    return f"{value:.10g}" if isinstance(value, float) else value


def _number(text: str, *, whole: bool) -> float | None:
    return schema_form.parse_number(text.strip(), whole=whole) if text.strip() else None


def _mended(message: str) -> str:
    """Give the words of a refusal as they suit a page."""
    return message.removeprefix(f"{CONFIG}: ").replace("`", "").replace("$.", "")


def _refused(errors: list[FieldError]) -> InvalidInput:
    return InvalidInput(
        "Please look at the marked fields",
        action="Mend them and send the form again.",
        errors=errors,
    )


def _convert(body: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        _, _, path = str(error).partition(" - at ")
        place = path.strip("`").removeprefix("$.") or "form"
        raise _refused([FieldError(place, "is not one of the values allowed here")]) from None
