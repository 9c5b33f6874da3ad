"""Finding out what answers at an address, so that a service can be added with nothing but its base URL."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.adapters.base import AdapterError, Credential, Recognised, UntrustedAddress
from app.adapters.presets import PRESETS
from app.core import services as rules
from app.core.addresses import origin_of
from app.core.credentials import clean_token
from app.core.errors import AppError, FieldError, InvalidInput, Unavailable
from app.db import services as db
from app.usecases import audit
from app.usecases.deps import Actor, Deps
from app.usecases.remote_errors import as_app_error

DISCOVER_LIMIT_S = 45.0
"""For each dialect, all of which are asked at once: a person waits for the answer."""


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where to look. `base_url` may be any page of the service; `api_token` is used for this call alone and not stored."""

    base_url: str
    allow_insecure: bool = False
    api_token: str | None = None

    def __repr__(self) -> str:
        return "Address(…)"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What was found, and `service`: the body of a `POST /services` that adds it."""

    found: Recognised
    service: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What every dialect said of an address. `tried` says it in words, by `api_type`."""

    proposals: tuple[Proposal, ...]
    tried: dict[str, str] = field(default_factory=dict)


async def discover(deps: Deps, actor: Actor | None, address: Address) -> Discovery:
    """Ask every dialect whether it is spoken at an address.

    Raises InvalidInput for an address that cannot be, must not be reached, or where no known dialect is spoken, and
    Unavailable where nothing answered.
    """
    base_url = _root(address.base_url)
    rules.check_insecure(base_url, allow_insecure=address.allow_insecure)
    token = clean_token(address.api_token) if address.api_token is not None else None
    said = await deps.adapters.recognise(
        base_url,
        allow_insecure=address.allow_insecure,
        credential=Credential(token=token) if token else None,
        limit_s=DISCOVER_LIMIT_S,
    )
    found = [word for word in said.values() if isinstance(word, Recognised)]
    tried = {kind: _in_words(word) for kind, word in said.items()}
    await audit.record(
        deps.pool,
        "services.discovered",
        actor=actor,
        details={"origin": origin_of(base_url), "found": [item.api_type for item in found]},
    )
    if not found:
        raise _nothing(base_url, said, tried)
    proposals = [await _propose(deps, item, address.allow_insecure) for item in found]
    return Discovery(tuple(proposals), tried)


def _root(text: str) -> str:
    """Give the address without what a browser adds to it."""
    plain = text.strip().partition("#")[0].partition("?")[0]
    return rules.clean_base_url(plain if "://" in plain else f"https://{plain}")


def _in_words(word: Recognised | AdapterError | None) -> str:
    if word is None:
        return "something answers, but not in this dialect"
    if isinstance(word, Recognised):
        return f"recognised: {word.dialect or word.api_type}"
    return word.reason


def _nothing(
    base_url: str, said: dict[str, Recognised | AdapterError | None], tried: dict[str, str]
) -> AppError:
    for word in said.values():
        if isinstance(word, UntrustedAddress):
            return as_app_error("This address", word)
    where = origin_of(base_url).partition("://")[2]
    summary = "; ".join(f"{kind}: {words.rstrip('.')}" for kind, words in tried.items())
    if all(isinstance(word, AdapterError) for word in said.values()):
        return Unavailable(
            f"Nothing could be found out at {where} ({summary})",
            code="service_unavailable",
            action="See that the address is right and the service up, then try again.",
        )
    return InvalidInput(
        f"No known kind of imputation service answers at {where} ({summary})",
        code="service_not_recognised",
        action="Give the address of the service itself, with its path; or add it by hand, naming its api_type.",
        errors=[FieldError("base_url", f"{kind}: {words}") for kind, words in tried.items()],
    )


async def _propose(deps: Deps, found: Recognised, allow_insecure: bool) -> Proposal:
    name = found.name or origin_of(found.base_url).partition("://")[2]
    service: dict[str, Any] = {
        "name": name,
        "slug": _slug(name),
        "api_type": found.api_type,
        "base_url": found.base_url,
        "credential_kind": found.credential_kind,
        "api_config": dict(found.api_config),
    }
    if allow_insecure:
        service["allow_insecure"] = True
    if builds := [build for build in rules.BUILDS if build in found.builds]:
        service["supported_builds"] = builds
    notes = list(found.notes)
    for preset in PRESETS.values():
        if preset.base_url == found.base_url and preset.api_type == found.api_type:
            service |= {"preset": preset.slug, "name": preset.name, "slug": preset.slug}
            notes.append(f"This is the preset «{preset.slug}»: the rest is taken from it.")
    services, _ = await db.list_services(
        deps.pool, is_active=None, api_type=None, limit=500, offset=0
    )
    notes += [
        f"It is there already: {known.name} (id {known.id}, slug {known.slug})."
        for known in services
        if (known.base_url, known.api_type) == (found.base_url, found.api_type)
    ]
    taken = {known.slug for known in services}
    service["slug"] = _free(service["slug"], taken)
    return Proposal(found, service, tuple(notes))


def _slug(name: str) -> str:
    try:
        return rules.slug_of(name)
    except InvalidInput:
        return "service"


def _free(slug: str, taken: set[str]) -> str:
    numbered = (f"{slug[:58]}-{number}" for number in range(2, 1000))
    return slug if slug not in taken else next(item for item in numbered if item not in taken)
