"""Answers kept for requests that carried an Idempotency-Key."""

from dataclasses import dataclass

from app.core.models import build
from app.db.queries import Connection, Executor, load

_sql = load("idempotency")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered, and the fingerprint of what was asked."""

    fingerprint: str
    status: int
    body: bytes


async def find_answer(db: Executor, *, user_id: int, route: str, key: str) -> KeptAnswer | None:
    """Give the answer kept for a key of a user's, if there is one."""
    row = await _sql.find_answer.row(db, user_id=user_id, route=route, key=key)
    return build(KeptAnswer, row) if row is not None else None


async def remember_answer(
    connection: Connection, *, user_id: int, route: str, key: str, answer: KeptAnswer
) -> bool:
    """Keep an answer; False when the key already has one. Waits for a transaction that is about to keep one."""
    kept = await _sql.remember_answer.value(
        connection,
        user_id=user_id,
        route=route,
        key=key,
        fingerprint=answer.fingerprint,
        status=answer.status,
        body=answer.body,
    )
    return kept is not None
