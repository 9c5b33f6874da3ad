"""What people do with their own credentials: store, change, forget, and ask the service about them.

A stored credential is never shown again. An answer says what it is for, whether the service took it, and what looks odd.
"""

from dataclasses import dataclass, field, replace

from app.adapters.base import AdapterError, Credential, CredentialRejected, CredentialReport
from app.core.addresses import is_plain, origin_of
from app.core.credentials import clean_login, clean_token, token_warnings
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.models import Service, StoredCredential
from app.core.names import one_line
from app.db import credentials as db
from app.db import services as services_db
from app.db.queries import Executor
from app.usecases import audit
from app.usecases.credentials import (
    Secret,
    open_adapter,
    open_own,
    own_context,
    seal_secret,
    unseal,
)
from app.usecases.deps import Actor, Deps
from app.usecases.engine.wakeup import credential_replaced
from app.usecases.idempotency import Once
from app.usecases.remote_errors import as_app_error

MAX_LABEL_CHARS = 100


@dataclass(frozen=True, slots=True)
class GivenCredential:
    """A credential as somebody typed it."""

    api_token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_empty(self) -> bool:
        return self.api_token is None and self.username is None and self.password is None


@dataclass(frozen=True, slots=True)
class Held:
    """A stored credential with its service and what there is to say about it."""

    stored: StoredCredential
    service: Service
    warnings: tuple[str, ...] = ()
    is_new: bool = False

    @property
    def needs_confirmation(self) -> bool:
        """The service has moved since: the user must confirm where the credential goes."""
        return self.stored.origin != origin_of(self.service.base_url)


@dataclass(frozen=True, slots=True)
class Verified:
    """The service's word about a credential, and the credential as it now stands (None for one that is not stored)."""

    report: CredentialReport
    held: Held | None = None


async def list_credentials(
    deps: Deps, actor: Actor, *, limit: int, offset: int
) -> tuple[list[Held], int]:
    """Give a page of the own credentials and the number of all."""
    stored, total = await db.list_credentials(deps.pool, actor.id, limit=limit, offset=offset)
    services = await services_db.list_services_by_id(
        deps.pool, [item.service_id for item in stored]
    )
    # A service that was deleted between the two queries took its credentials with it.
    held = [Held(item, services[item.service_id]) for item in stored if item.service_id in services]
    return held, total


async def find_credential_for(deps: Deps, actor: Actor, service: Service) -> Held | None:
    """Give the own credential for a service, if there is one."""
    stored = await db.find_for_service(deps.pool, actor.id, service.id)
    return Held(stored, service) if stored is not None else None


async def store_credential(
    deps: Deps,
    actor: Actor,
    service_id: int,
    given: GivenCredential,
    label: str,
    once: Once | None = None,
) -> Held:
    """Store the one's credential for a service, in the place of any former one; jobs that waited for it go on.

    Raises NotFound, InvalidInput.
    """
    service = await _service_of(deps.pool, service_id)
    secret = _judge(service, given)
    sealed = _seal(deps, actor.id, service, secret, _clean_label(label))
    async with deps.pool.acquire() as connection, connection.transaction():
        stored, is_new = await db.upsert_credential(connection, sealed)
        await credential_replaced(connection, service.id, actor.id)
        await _record(connection, actor, "created" if is_new else "replaced", stored)
        held = Held(stored, service, _warnings(deps, service, secret), is_new)
        if once is not None:
            await once.remember(connection, held, 201 if is_new else 200)
    return held


async def change_credential(
    deps: Deps,
    actor: Actor,
    credential_id: int,
    *,
    given: GivenCredential,
    label: str | None = None,
    is_active: bool | None = None,
    confirm_origin: str | None = None,
) -> Held:
    """Change a credential: its label, whether it is used, where it may be sent, or the secret itself.

    `confirm_origin` must be the service's present origin, so that nobody confirms what they have not seen.
    Raises NotFound, InvalidInput, Conflict, NoCredentials.
    """
    async with deps.pool.acquire() as connection, connection.transaction():
        stored = await _own(connection, actor, credential_id)
        service = await services_db.lock_service(connection, stored.service_id)
        if service is None:
            raise NotFound("There is no such credential")
        new_label = stored.label if label is None else _clean_label(label)
        warnings: tuple[str, ...] = ()
        if not given.is_empty:
            secret = _judge(service, given)
            sealed = _seal(deps, actor.id, service, secret, new_label)
            stored, _ = await db.upsert_credential(connection, sealed)
            warnings = _warnings(deps, service, secret)
        elif confirm_origin is not None:
            stored = _move(deps, stored, service, confirm_origin)
        active = stored.is_active if is_active is None else is_active
        changed = await db.update_credential(
            connection, replace(stored, label=new_label, is_active=active)
        )
        if changed is None:
            raise NotFound("There is no such credential")
        await credential_replaced(connection, service.id, actor.id)
        await _record(connection, actor, "changed" if given.is_empty else "replaced", changed)
    return Held(changed, service, warnings)


async def delete_credential(deps: Deps, actor: Actor, credential_id: int) -> None:
    """Forget a credential. Raises NotFound."""
    async with deps.pool.acquire() as connection, connection.transaction():
        stored = await _own(connection, actor, credential_id)
        if await db.delete_credential(connection, actor.id, credential_id) is None:
            raise NotFound("There is no such credential")  # somebody was faster
        await _record(connection, actor, "deleted", stored)


async def verify_credential(deps: Deps, actor: Actor, credential_id: int) -> Verified:
    """Ask the service about a stored credential, and keep its word. Raises NotFound, NoCredentials, Unavailable, Conflict."""
    stored = await _own(deps.pool, actor, credential_id)
    service = await _service_of(deps.pool, stored.service_id)
    report = await _ask(deps, service, open_own(deps, service, stored).credential)
    async with deps.pool.acquire() as connection, connection.transaction():
        changed = await db.note_report(
            connection,
            stored,
            is_valid=report.valid,
            account_name=report.account_name,
            expires_at=report.expires_at,
            now=deps.now(),
        )
        if changed is None:
            raise Conflict("The credential was replaced meanwhile", action="Test it once more.")
        if report.valid:
            await credential_replaced(connection, service.id, actor.id)
        await _record(connection, actor, "verified", changed, valid=report.valid)
    return Verified(report, Held(changed, service))


async def test_credential(
    deps: Deps, actor: Actor, service_id: int, given: GivenCredential
) -> tuple[Verified, tuple[str, ...]]:
    """Ask the service about a credential that is not stored; give its word and our warnings.

    Raises NotFound, InvalidInput, Unavailable, Conflict.
    """
    service = await _service_of(deps.pool, service_id)
    secret = _judge(service, given)
    report = await _ask(deps, service, secret.as_credential())
    await audit.record(
        deps.pool,
        "credential.tested",
        actor=actor,
        resource_type="service",
        resource_id=service.id,
        details={"valid": report.valid},
    )
    return Verified(report), _warnings(deps, service, secret)


async def _ask(deps: Deps, service: Service, credential: Credential | None) -> CredentialReport:
    adapter = open_adapter(deps, service, credential)
    try:
        return await adapter.verify_credential()
    except CredentialRejected as error:
        return CredentialReport(valid=False, message=error.reason)
    except AdapterError as error:
        raise as_app_error(service.name, error) from error


def _judge(service: Service, given: GivenCredential) -> Secret:
    if service.credential_kind == "none":
        raise InvalidInput(
            f"{service.name} asks for no credential",
            code="no_credential_needed",
            action="Submit jobs to it without one.",
        )
    is_token = service.credential_kind == "token"
    unwanted = "username" if is_token else "api_token"
    if getattr(given, unwanted) is not None:
        wanted = "api_token" if is_token else "username and password"
        raise InvalidInput(
            f"{service.name} asks for {wanted}",
            code="invalid_credential",
            action=f"Send {wanted} instead.",
            errors=[FieldError(unwanted, "is not what this service asks for")],
        )
    if is_token:
        return Secret(token=clean_token(given.api_token or ""))
    username, password = clean_login(given.username or "", given.password or "")
    return Secret(username=username, password=password)


def _warnings(deps: Deps, service: Service, secret: Secret) -> tuple[str, ...]:
    warnings: tuple[str, ...] = ()
    if secret.token is not None:
        warnings = token_warnings(secret.token, secret.expires_at, deps.now())
    if is_plain(service.base_url):
        warnings = (*warnings, f"The connection to {service.name} is not encrypted")
    return warnings


def _seal(
    deps: Deps, user_id: int, service: Service, secret: Secret, label: str
) -> db.SealedCredential:
    origin = origin_of(service.base_url)
    sealed, key_id = seal_secret(deps, secret, own_context(user_id, service.id, origin))
    return db.SealedCredential(
        user_id=user_id,
        service_id=service.id,
        label=label,
        credential_type=service.credential_kind,
        secret=sealed,
        secret_key_id=key_id,
        origin=origin,
        expires_at=secret.expires_at,
    )


def _move(
    deps: Deps, stored: StoredCredential, service: Service, confirmed: str
) -> StoredCredential:
    origin = origin_of(service.base_url)
    try:
        is_present = origin_of(confirmed) == origin
    except ValueError:
        is_present = False
    if not is_present:
        raise Conflict(
            "That is not where the service is now", code="origin_changed", extra={"origin": origin}
        )
    secret = unseal(deps, service, stored)
    sealed, key_id = seal_secret(deps, secret, own_context(stored.user_id, service.id, origin))
    return replace(stored, secret=sealed, secret_key_id=key_id, origin=origin)


def _clean_label(label: str) -> str:
    return one_line(label)[:MAX_LABEL_CHARS]


async def _own(executor: Executor, actor: Actor, credential_id: int) -> StoredCredential:
    stored = await db.find_own(executor, actor.id, credential_id)
    if stored is None:
        raise NotFound("There is no such credential")
    return stored


async def _service_of(executor: Executor, service_id: int) -> Service:
    service = await services_db.find_service(executor, service_id)
    if service is None:
        raise NotFound("There is no such service")
    return service


async def _record(
    executor: Executor, actor: Actor, what: str, stored: StoredCredential, **details: object
) -> None:
    await audit.record(
        executor,
        f"credential.{what}",
        actor=actor,
        resource_type="credential",
        resource_id=stored.id,
        details={"service_id": stored.service_id, **details},
    )
