"""Asking a service with settings that are not stored yet, so that an administrator sees what they come to before saving them."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.adapters.base import (
    Adapter,
    AdapterError,
    Credential,
    CredentialReport,
    Health,
    ServiceDescription,
)
from app.core.errors import NoCredentials, Unavailable
from app.core.models import Service
from app.db import services as db
from app.usecases import audit
from app.usecases.catalogue import settle_change, settle_new
from app.usecases.credentials import open_credential
from app.usecases.deps import Actor, Deps
from app.usecases.service_fields import NewService, ServiceChange

TRIAL_LIMIT_S = 40.0
"""A person waits for the answer, for each of the calls."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a service said. Each of the three is None where it could not be asked, and `troubles` says why.

    `credential` tells what was used: `none`, `given` (typed in), `user` (the administrator's own), or `shared`.
    """

    credential: str
    took_s: float | None = None
    health: Health | None = None
    report: CredentialReport | None = None
    description: ServiceDescription | None = None
    troubles: tuple[str, ...] = field(default=())

    @property
    def is_good(self) -> bool:
        """Tell whether everything that was asked was answered well."""
        rejected = self.report is not None and not self.report.valid
        return self.description is not None and not self.troubles and not rejected


async def try_new(deps: Deps, actor: Actor, new: NewService, token: str | None) -> Trial:
    """Ask a service that is not there yet, with a token for this once. Raises InvalidInput."""
    _, api_type, values, shared = settle_new(deps, new)
    token = token or (shared if isinstance(shared, str) else None)
    needs = values["credential_kind"] != "none"
    credential = Credential(token=token) if token and needs else None
    await _note(deps, actor, None)
    adapter = _open(deps, api_type, values, credential)
    return await _ask(adapter, credential, "given" if credential else "none")


async def try_change(
    deps: Deps, actor: Actor, service: Service, change: ServiceChange, token: str | None
) -> Trial:
    """Ask a service as a change would make it: with the token given, else the asker's own or the shared one. Raises InvalidInput."""
    changed, shared = settle_change(deps, service, change)
    token = token or (shared if isinstance(shared, str) else None)
    source, credential = "none", None
    if token and changed.credential_kind != "none":
        source, credential = "given", Credential(token=token)
    elif changed.credential_kind != "none":
        try:
            opened = await open_credential(deps, changed, actor.id)
            source, credential = opened.source, opened.credential
        except NoCredentials:
            pass
    await _note(deps, actor, service)
    values = {name: getattr(changed, name) for name in db.SETTABLE}
    return await _ask(_open(deps, changed.api_type, values, credential), credential, source)


def _open(
    deps: Deps, api_type: str, values: Mapping[str, Any], credential: Credential | None
) -> Adapter:
    config = {**values["api_config"], "allow_insecure": values["allow_insecure"]}
    return deps.adapters.open(
        api_type, base_url=values["base_url"], config=config, credential=credential
    )


async def _note(deps: Deps, actor: Actor, service: Service | None) -> None:
    await audit.record(
        deps.pool,
        "service.tried",
        actor=actor,
        resource_type="service" if service else None,
        resource_id=service.id if service else None,
    )


async def _ask(adapter: Adapter, credential: Credential | None, source: str) -> Trial:
    began = time.monotonic()
    health = await _answer(adapter.health())
    if isinstance(health, str):
        return Trial(source, troubles=(health,))
    took_s = time.monotonic() - began
    troubles = []
    report = await _answer(adapter.verify_credential()) if credential else None
    description = await _answer(adapter.describe())
    if isinstance(report, str):
        troubles.append(f"The credential could not be tested: {report}")
        report = None
    if isinstance(description, str):
        troubles.append(f"What it offers could not be read: {description}")
        description = None
    elif credential is not None and credential.shows_in(msgspec.json.encode(description).decode()):
        raise Unavailable(
            "The service shows the credential itself in what it lists: nothing of it is shown here",
            code="credential_echoed",
            action="Replace the credential at the service, and tell its operators.",
        )
    return Trial(source, took_s, health, report, description, tuple(troubles))


async def _answer(call: Any) -> Any:
    """Give what a call gives, or why it gave nothing, as a text."""
    try:
        async with asyncio.timeout(TRIAL_LIMIT_S):
            return await call
    except AdapterError as error:
        return error.reason
    except TimeoutError:
        return f"it did not answer within {TRIAL_LIMIT_S:.0f} s"
