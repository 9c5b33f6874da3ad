"""Users' sealed credentials."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from app.core.models import StoredCredential, build
from app.db.queries import Executor, load

_sql = load("credentials")


@dataclass(frozen=True, slots=True)
class SealedCredential:
    """A credential to be sealed: what is stored, and what its secret is bound to."""

    user_id: int
    service_id: int
    label: str
    credential_type: str
    secret: bytes = field(repr=False)
    secret_key_id: str
    origin: str
    expires_at: datetime | None


def _credential(row: asyncpg.Record | None) -> StoredCredential | None:
    return build(StoredCredential, row) if row is not None else None


async def list_credentials(
    db: Executor, user_id: int, *, limit: int, offset: int
) -> tuple[list[StoredCredential], int]:
    """Give a page of a user's credentials and the number of all."""
    rows = await _sql.list_credentials.rows(db, user_id=user_id, limit=limit, offset=offset)
    total: int = await _sql.count_credentials.value(db, user_id=user_id)
    return [build(StoredCredential, row) for row in rows], total


async def find_own(db: Executor, user_id: int, credential_id: int) -> StoredCredential | None:
    """Give one credential of a user's by id."""
    row = await _sql.get_credential.row(db, user_id=user_id, credential_id=credential_id)
    return _credential(row)


async def find_for_service(db: Executor, user_id: int, service_id: int) -> StoredCredential | None:
    """Give a user's credential for a service."""
    return _credential(await _sql.find_credential.row(db, user_id=user_id, service_id=service_id))


async def list_for_services(
    db: Executor, user_id: int, service_ids: Sequence[int]
) -> dict[int, StoredCredential]:
    """Give a user's credentials for some services, by service, asked for at once."""
    rows = await _sql.list_credentials_for.rows(db, user_id=user_id, service_ids=list(service_ids))
    return {row["service_id"]: build(StoredCredential, row) for row in rows}


async def upsert_credential(db: Executor, new: SealedCredential) -> tuple[StoredCredential, bool]:
    """Store a credential in the place of any former one; give it, and whether there was none."""
    row = await _sql.upsert_credential.row(
        db,
        user_id=new.user_id,
        service_id=new.service_id,
        label=new.label,
        credential_type=new.credential_type,
        secret=new.secret,
        secret_key_id=new.secret_key_id,
        origin=new.origin,
        expires_at=new.expires_at,
    )
    if row is None:
        raise LookupError("an upsert gave no row")
    return build(StoredCredential, row), row["is_new"]


async def update_credential(db: Executor, changed: StoredCredential) -> StoredCredential | None:
    """Write label, whether it is used, and the secret as sealed for its origin."""
    row = await _sql.update_credential.row(
        db,
        user_id=changed.user_id,
        credential_id=changed.id,
        label=changed.label,
        is_active=changed.is_active,
        secret=changed.secret,
        secret_key_id=changed.secret_key_id,
        origin=changed.origin,
    )
    return _credential(row)


async def note_report(
    db: Executor,
    asked: StoredCredential,
    *,
    is_valid: bool,
    account_name: str | None,
    expires_at: datetime | None,
    now: datetime,
) -> StoredCredential | None:
    """Write down what the service said of a credential; None when it was replaced meanwhile."""
    row = await _sql.note_report.row(
        db,
        credential_id=asked.id,
        secret=asked.secret,
        is_valid=is_valid,
        account_name=account_name,
        expires_at=expires_at,
        now=now,
    )
    return _credential(row)


async def delete_credential(db: Executor, user_id: int, credential_id: int) -> int | None:
    """Forget a credential; give the service's id, or None when there was none."""
    service_id: int | None = await _sql.delete_credential.value(
        db, user_id=user_id, credential_id=credential_id
    )
    return service_id
