"""Opening credentials for services: stored sealed, opened only inside the step that calls the service, never shown.

A credential is sealed for its user, its service and the service's origin. When an administrator moves the service to another
origin, the credential cannot be used until its user confirms the new one.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from app.adapters.base import Adapter, Credential
from app.core.addresses import origin_of
from app.core.credentials import token_expiry
from app.core.errors import Conflict, NoCredentials
from app.core.models import Service, StoredCredential, User
from app.core.policy import may_use_shared
from app.db import accounts as accounts_db
from app.db import credentials as db
from app.db.queries import Executor
from app.security.vault import VaultError
from app.usecases.deps import Deps

_SETTINGS = "Go to Settings → Service Credentials"


class Secret(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed: a token, or a user name and a password."""

    token: str | None = None
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "Secret(…)"

    @property
    def expires_at(self) -> datetime | None:
        """When it ends by its own word."""
        return token_expiry(self.token) if self.token is not None else None

    def as_credential(self) -> Credential:
        """Give what adapters take."""
        return Credential(self.token, self.username, self.password)


@dataclass(frozen=True, slots=True)
class OpenedCredential:
    """A credential ready for an adapter. `source` is `user`, `shared`, or `none` where the service asks for none."""

    credential: Credential | None
    source: str
    credential_id: int | None = None
    expires_at: datetime | None = None
    rejected_at: datetime | None = None


def no_credentials(service: Service) -> NoCredentials:
    """Give the refusal of a user who has stored no credential for a service that asks for one."""
    return NoCredentials(
        f"You must configure your {service.name} API credentials before submitting jobs",
        action=_SETTINGS,
        extra={"service_id": service.id, "service_name": service.name},
    )


async def open_credential(
    deps: Deps, service: Service, user_id: int, executor: Executor | None = None
) -> OpenedCredential:
    """Open what a user's jobs at a service are sent with: the user's own credential, else the shared one where allowed.

    Raises NoCredentials: none is stored (`no_credentials`), the service moved and the user has not confirmed
    (`credential_unconfirmed`), or it does not open with any of our keys (`credential_unreadable`).
    """
    executor = executor or deps.pool
    if service.credential_kind == "none":
        return OpenedCredential(None, "none")
    stored = await db.find_for_service(executor, user_id, service.id)
    user = None
    if service.credential_policy == "shared" and (stored is None or not stored.is_active):
        user = await accounts_db.find_user(executor, user_id)
    return open_found(deps, service, stored, user)


def open_found(
    deps: Deps, service: Service, stored: StoredCredential | None, user: User | None
) -> OpenedCredential:
    """Open the stored credential that was found for a user, else the shared one where allowed. Raises NoCredentials as `open_credential`."""
    if service.credential_kind == "none":
        return OpenedCredential(None, "none")
    if stored is not None and stored.is_active:
        return open_own(deps, service, stored)
    if user is not None and is_lent(service, user):
        return open_shared(deps, service)
    raise no_credentials(service)


def is_lent(service: Service, user: User) -> bool:
    """Tell whether there is a shared credential that the user may use."""
    return service.shared_secret is not None and may_use_shared(service, user)


def open_own(deps: Deps, service: Service, stored: StoredCredential) -> OpenedCredential:
    """Open a user's credential. Raises NoCredentials."""
    if stored.origin != origin_of(service.base_url):
        raise NoCredentials(
            f"{service.name} has moved to {origin_of(service.base_url)}: confirm that your credential may be sent there",
            code="credential_unconfirmed",
            action=_SETTINGS,
            extra={"service_id": service.id, "service_name": service.name},
        )
    secret = unseal(deps, service, stored)
    return OpenedCredential(
        secret.as_credential(), "user", stored.id, stored.expires_at, stored.rejected_at
    )


def unseal(deps: Deps, service: Service, stored: StoredCredential) -> Secret:
    """Give what is sealed, wherever it may be sent. Raises NoCredentials."""
    bound = own_context(stored.user_id, stored.service_id, stored.origin)
    try:
        text = deps.vault.open(stored.secret, stored.secret_key_id, *bound)
    except VaultError:
        raise NoCredentials(
            f"Your credential for {service.name} cannot be opened any longer: store it again",
            code="credential_unreadable",
            action=_SETTINGS,
            extra={"service_id": service.id, "service_name": service.name},
        ) from None
    return msgspec.json.decode(text, type=Secret)


def open_shared(deps: Deps, service: Service) -> OpenedCredential:
    """Open a service's shared credential, whoever may use it. Raises NoCredentials."""
    if service.shared_secret is None:
        raise no_credentials(service)
    try:
        text = deps.vault.open(
            service.shared_secret,
            service.shared_secret_key_id or "",
            *shared_context(service.id, service.base_url),
        )
    except VaultError:
        raise no_credentials(service) from None
    secret = msgspec.json.decode(text, type=Secret)
    return OpenedCredential(secret.as_credential(), "shared", expires_at=secret.expires_at)


def own_context(user_id: int, service_id: int, origin: str) -> tuple[object, ...]:
    """Give what a user's secret is bound to."""
    return ("credential", user_id, service_id, origin)


def shared_context(service_id: int, base_url: str) -> tuple[object, ...]:
    """Give what a service's shared secret is bound to."""
    return ("shared", service_id, origin_of(base_url))


def seal_secret(deps: Deps, secret: Secret, context: tuple[object, ...]) -> tuple[bytes, str]:
    """Seal a secret; give it and the id of its key."""
    return deps.vault.seal(msgspec.json.encode(secret).decode(), *context)


def open_adapter(deps: Deps, service: Service, credential: Credential | None) -> Adapter:
    """Bind an adapter to a service. Raises Conflict when the service's configuration cannot be used."""
    try:
        return deps.adapters.open(
            service.api_type,
            base_url=service.base_url,
            config={**service.api_config, "allow_insecure": service.allow_insecure},
            credential=credential,
        )
    except ValueError as error:
        raise Conflict(
            f"{service.name} is not configured rightly: {error}",
            code="service_misconfigured",
            action="Tell the administrator.",
        ) from None
