"""How people get a credential at a service, in steps. Pure: by kind of service and what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.core.models import Service


@dataclass(frozen=True, slots=True)
class Guide:
    """What to do at the service, in order, and what to know of such a credential."""

    steps: tuple[str, ...]
    note: str = ""


# Cloudgene's own page has tokens under the user's profile, shows each once, and ends it after the days chosen there
# (contracts/michigan.md §1).
_MICHIGAN = Guide(
    (
        "Sign in at the service's own page, or register there.",
        "Open your profile: the menu under your user name.",
        "Under «API Access», press «Create API Token». Choose how long it lasts.",
        "Copy the token at once, it is shown only then, and paste it here.",
    ),
    "Such a token ends by itself, often after 30 days. We remind you a week before. "
    "Making a new one at the service ends the former.",
)
_WES_TOKEN = Guide(
    (
        "Ask those who run the service for an account, if you have none.",
        "Get an access token (bearer token) by the way they name: a page of theirs, or a command.",
        "Copy the token and paste it here, without the word «Bearer».",
    ),
    "If the token is short-lived, jobs are held when it ends, and go on when you store another.",
)
_PASSWORD = Guide(
    (
        "Ask those who run the service for an account, if you have none.",
        "Type the user name and the password that you have there.",
    ),
    "The password is kept encrypted and is sent to this service only.",
)
_GUIDES: Mapping[tuple[str, str], Guide] = MappingProxyType(
    {
        ("michigan", "token"): _MICHIGAN,
        ("ga4gh_wes", "token"): _WES_TOKEN,
    }
)


def guide_for(service: Service) -> Guide:
    """Give the steps that lead to a credential for a service."""
    if service.credential_kind == "password":
        return _PASSWORD
    return _GUIDES.get((service.api_type, service.credential_kind), _WES_TOKEN)
