"""Which services ask a user for a credential, and how the user stands with each."""

from dataclasses import dataclass
from datetime import timedelta

from app.core import policy
from app.core.models import Service
from app.usecases.catalogue import EVERY_SERVICE, list_services
from app.usecases.deps import Actor, Deps
from app.usecases.own_credentials import Held, find_credential_for, list_credentials

ENDS_SOON = timedelta(days=7)
"""As long before its end as people are told of it by mail (design §5)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A service that asks for a credential, and the user's own, if there is one. `is_shared`: an administrator lends one."""

    service: Service
    held: Held | None
    is_shared: bool = False

    @property
    def state(self) -> str:
        """Give one word: missing, shared, unconfirmed, disabled, rejected, untested, or verified."""
        if self.held is None:
            return "shared" if self.is_shared else "missing"
        stored = self.held.stored
        if self.held.needs_confirmation:
            return "unconfirmed"
        if not stored.is_active:
            return "disabled"
        if stored.rejected_at is not None:
            return "rejected"
        return "verified" if stored.is_verified else "untested"


async def list_standings(deps: Deps, actor: Actor) -> list[Standing]:
    """Give the services that ask for a credential, those first for which the user has one."""
    services, _ = await list_services(
        deps, is_active=True, api_type=None, limit=EVERY_SERVICE, offset=0
    )
    held, _ = await list_credentials(deps, actor, limit=EVERY_SERVICE, offset=0)
    own = {item.service.id: item for item in held}
    asking = [item for item in services if item.credential_kind != "none" and item.id not in own]
    return [
        *(Standing(item.service, item) for item in held),
        *(Standing(item, None, policy.may_use_shared(item, actor.user)) for item in asking),
    ]


async def find_standing(deps: Deps, actor: Actor, service: Service) -> Standing | None:
    """Give how the user stands with one service; None where it asks for nothing."""
    if service.credential_kind == "none":
        return None
    own = await find_credential_for(deps, actor, service)
    return Standing(service, own, policy.may_use_shared(service, actor.user))
