"""Writing down who did what, and reading it.

Every sign-in, credential, submission, download, deletion and administrative act calls `record`, in the transaction of the act
where it has one. `details` hold names and ids, never a secret or what a person typed into a field that was refused.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.db import audit as db
from app.db.audit import AuditEntry
from app.db.queries import Executor
from app.usecases.deps import Actor, Deps


async def record(
    executor: Executor,
    action: str,
    *,
    actor: Actor | None = None,
    user_id: int | None = None,
    resource_type: str | None = None,
    resource_id: object = None,
    details: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> None:
    """Write one act down. `actor` gives user and address; without one (a sign-in, the engine) name them.

    `action` is `<noun>.<what was done>`, such as `credential.created`.
    """
    await db.insert_audit(
        executor,
        user_id=actor.id if actor is not None else user_id,
        action=action,
        resource_type=resource_type,
        resource_id=str(resource_id) if resource_id is not None else None,
        details=dict(details or {}),
        address=actor.address if actor is not None else address,
    )


async def list_own(
    deps: Deps,
    actor: Actor,
    *,
    action: str | None = None,
    noun: str | None = None,
    since: datetime | None = None,
    limit: int,
    offset: int,
) -> tuple[list[AuditEntry], int]:
    """Give the acts of the one who asks (of a noun, since a time), newest first, and their number."""
    return await db.list_audit(
        deps.pool,
        user_id=actor.id,
        action=action,
        noun=noun,
        since=since,
        limit=limit,
        offset=offset,
    )


async def list_all(
    deps: Deps, *, user_id: int | None, action: str | None, limit: int, offset: int
) -> tuple[list[AuditEntry], int]:
    """Give everybody's acts, for administrators."""
    return await db.list_audit(
        deps.pool, user_id=user_id, action=action, limit=limit, offset=offset
    )
