"""The log of acts, which nobody can change."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.models import build
from app.db.queries import Executor, load

_sql = load("audit")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which thing, from where, when. `user_id` is None where nobody was known."""

    id: int
    user_id: int | None
    action: str
    resource_type: str | None
    resource_id: str | None
    details: dict[str, Any]
    address: str | None
    timestamp: datetime


async def insert_audit(
    db: Executor,
    *,
    user_id: int | None,
    action: str,
    resource_type: str | None,
    resource_id: str | None,
    details: dict[str, Any],
    address: str | None,
) -> None:
    """Write one act down."""
    await _sql.insert_audit.run(
        db,
        user_id=user_id,
        action=action,
        resource_type=resource_type,
        resource_id=resource_id,
        details=details,
        address=address,
    )


async def list_audit(
    db: Executor,
    *,
    user_id: int | None,
    action: str | None,
    noun: str | None = None,
    since: datetime | None = None,
    limit: int,
    offset: int,
) -> tuple[list[AuditEntry], int]:
    """Give a page of acts, newest first, and the number of all; of everybody when `user_id` is None.

    `noun` keeps the acts whose name begins with it, such as `credential`.
    """
    wanted = {"user_id": user_id, "action": action, "noun": noun, "since": since}
    rows = await _sql.list_audit.rows(db, **wanted, limit=limit, offset=offset)
    total: int = await _sql.count_audit.value(db, **wanted)
    return [build(AuditEntry, row) for row in rows], total
