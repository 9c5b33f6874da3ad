"""How a user stands with services: what credential they ask for, whether there is one, and whether jobs can be sent with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from app.core.errors import AppError, InvalidInput
from app.core.models import Service
from app.db import credentials as credentials_db
from app.usecases.catalogue import EVERY_SERVICE, list_services
from app.usecases.credentials import is_lent
from app.usecases.deps import Actor, Deps
from app.usecases.own_credentials import Held, find_credential_for, list_credentials
from app.usecases.ruling import foresee, judge_found

ENDS_SOON = timedelta(days=7)
"""As long before its end as people are told of it by mail (design §5)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A service and the user's own credential for it, if there is one. `is_shared`: an administrator lends one.

    `refusal` and `warnings` say why jobs cannot be sent, and what is odd; they are there where that was judged.
    """

    service: Service
    held: Held | None
    is_shared: bool = False
    refusal: AppError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """Give what jobs are sent with: none (nothing is needed), own, shared, or missing."""
        if self.service.credential_kind == "none":
            return "none"
        if self.held is not None and self.held.stored.is_active:
            return "own"
        return "shared" if self.is_shared else "missing"

    @property
    def state(self) -> str:
        """Give one word: none, missing, shared, unconfirmed, disabled, rejected, untested, or verified."""
        if self.held is None:
            return self.source
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
        *(Standing(item, None, is_lent(item, actor.user)) for item in asking),
    ]


async def find_standing(deps: Deps, actor: Actor, service: Service) -> Standing | None:
    """Give how the user stands with one service; None where it asks for nothing."""
    if service.credential_kind == "none":
        return None
    own = await find_credential_for(deps, actor, service)
    return Standing(service, own, is_lent(service, actor.user))


async def judge_standings(
    deps: Deps, actor: Actor, services: Sequence[Service]
) -> dict[int, Standing]:
    """Give how the user stands with some services, by id, and whether jobs can be sent there."""
    found = await credentials_db.list_for_services(
        deps.pool, actor.id, [service.id for service in services]
    )
    standings = {}
    for service in services:
        stored = found.get(service.id)
        held = Held(stored, service) if stored is not None else None
        standing = Standing(service, held, is_lent(service, actor.user))
        try:
            opened = judge_found(deps, actor, service, stored)
        except InvalidInput as error:
            standing = replace(standing, refusal=error)
        else:
            standing = replace(standing, warnings=await foresee(deps, service, opened))
        standings[service.id] = standing
    return standings
