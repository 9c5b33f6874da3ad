"""What makes held jobs due again."""

from datetime import UTC, datetime

from app.core.jobs import Stage
from app.db.engine import ENGINE
from app.db.queries import Connection, Executor


async def credential_replaced(conn: Connection, service_id: int, user_id: int | None) -> None:
    """Let the jobs go on that wait for this user's credential (None: for the shared one, which may be anybody's)."""
    now = datetime.now(UTC)
    await ENGINE.wake_held.run(
        conn, service_id=service_id, user_id=user_id, stage=Stage.CREDENTIAL_NEEDED, now=now
    )
    await ENGINE.wake_polls.run(conn, service_id=service_id, user_id=user_id, now=now)


async def service_recovered(db: Executor, service_id: int) -> None:
    """Let the jobs go on that wait for this service."""
    now = datetime.now(UTC)
    await ENGINE.wake_held.run(
        db, service_id=service_id, user_id=None, stage=Stage.SERVICE_UNAVAILABLE, now=now
    )
    await ENGINE.wake_polls.run(db, service_id=service_id, user_id=None, now=now)
