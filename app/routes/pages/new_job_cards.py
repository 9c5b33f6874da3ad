"""What the page of a new job shows of each service: what was chosen there, what can be, and what is to be said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from multidict import MultiDict

from app.core.addresses import is_plain
from app.core.choosing import (
    Choices,
    Place,
    Question,
    default_population,
    page_fields,
    phasing_choices,
    questions,
)
from app.core.countries import country_name
from app.core.errors import AppError
from app.core.models import Panel, Service
from app.usecases.offers import Offer
from app.web.pages import Form

NEW_JOB = "/ui/jobs/new"
_CREDENTIALS = "/ui/settings/service-credentials"
_KINDS = {"michigan": "Michigan Imputation Server type", "ga4gh_wes": "GA4GH WES"}
_STORED_BUT = frozenset({"credential_unconfirmed"})


@dataclass(frozen=True, slots=True)
class Card:
    """One service on the page. `place` is what was chosen there; None when the service is not chosen."""

    offer: Offer
    place: Place | None
    back: str
    """The page as it is now, to come back to."""
    build: str

    @property
    def service(self) -> Service:
        return self.offer.service

    @property
    def id(self) -> int:
        return self.offer.service.id

    @property
    def kind(self) -> str:
        return _KINDS.get(self.service.api_type, self.service.api_type)

    @property
    def where(self) -> str:
        """Say where the service stands, as far as it is known."""
        service = self.service
        parts = [
            service.institution,
            service.city or service.location,
            country_name(service.country),
        ]
        return ", ".join(part for part in parts if part)

    @property
    def host(self) -> str:
        return urlsplit(self.service.base_url).netloc

    @property
    def is_plain(self) -> bool:
        return is_plain(self.service.base_url)

    @property
    def panels(self) -> list[Panel]:
        """Give the chosen panels; the only one that there is counts as chosen."""
        offered = self.offer.panels
        chosen = () if self.place is None else self.place.panel_ids
        found = [panel for panel in offered if panel.id in chosen]
        return found or (offered if len(offered) == 1 else [])

    def population(self, panel: Panel) -> str:
        """Give the chosen population, where the panel has it; else the default one."""
        wanted = "" if self.place is None else self.place.populations.get(panel.id, "").lower()
        keys = [item["key"] for item in panel.populations]
        return next((key for key in keys if key.lower() == wanted), default_population(panel))

    @property
    def phasings(self) -> list[tuple[str, str]]:
        return phasing_choices(self.service)

    @property
    def phasing(self) -> str:
        """Give the chosen phasing, where the service has it; else its default."""
        keys = [key for key, _ in self.phasings]
        wanted = "" if self.place is None else self.place.phasing
        form = self.service.live_form or {}
        return wanted if wanted in keys and wanted != form.get("default_phasing") else keys[0]

    @property
    def questions(self) -> list[Question]:
        return questions(self.service)

    def answer(self, question: Question) -> str:
        """Give what was answered to one of the service's own questions; else its default."""
        given = {} if self.place is None else self.place.options
        return given.get(question.id, question.default)

    @property
    def setup(self) -> str:
        """Give the page on which the credential is stored, and from which the way leads back here."""
        error = self.offer.standing.refusal
        if error is not None and error.code in _STORED_BUT:
            return _CREDENTIALS
        return f"{_CREDENTIALS}/new?{urlencode({'service': self.id, 'next': self.back})}"

    @property
    def warnings(self) -> list[str]:
        """Say what is worth knowing before a job is sent there."""
        service, found = self.service, list(self.offer.standing.warnings)
        if service.maintenance or service.health == "maintenance":
            said = f": {service.maintenance_message}" if service.maintenance_message else ""
            found.append(f"In maintenance{said}. Jobs are taken and wait until it is over.")
        elif service.health == "down":
            found.append("It does not answer at present. Jobs are taken and sent when it does.")
        if self.build and service.supported_builds and self.build not in service.supported_builds:
            known = " or ".join(service.supported_builds)
            found.append(f"It does not take input in {self.build}, only in {known}.")
        return found

    @property
    def lift_over(self) -> str:
        """Say which chosen panels are in another build than the files; nothing where none is."""
        other = [item for item in self.panels if item.builds and self.build not in item.builds]
        if not other or not self.build:
            return ""
        builds = " and ".join(sorted({build for item in other for build in item.builds}))
        word = "panel is" if len(other) == 1 else "panels are"
        return f"The {word} in {builds}: the service lifts your {self.build} positions over."


def make_cards(offers: Sequence[Offer], choices: Choices) -> list[Card]:
    """Give the cards of all services."""
    query = urlencode(page_fields(choices))
    back = f"{NEW_JOB}?{query}" if query else NEW_JOB
    return [Card(offer, choices.place(offer.service.id), back, choices.build) for offer in offers]


def make_form(choices: Choices, cards: Sequence[Card], error: AppError | None = None) -> Form:
    """Give the form as it is shown: what was chosen, with defaults where nothing was, and what is wrong."""
    fields = MultiDict(
        [("name", choices.name), ("description", choices.description), ("build", choices.build)]
    )
    for card in cards:
        if card.place is not None:
            for panel in card.panels:
                fields[f"population-{card.id}-{panel.id}"] = card.population(panel)
            fields[f"phasing-{card.id}"] = card.phasing
            for question in card.questions:
                fields[f"option-{card.id}-{question.id}"] = card.answer(question)
    form = Form(fields)
    return form if error is None else form.refuse(error)
