"""What makes held jobs due again.

Accounts first, jobs second: a step that is about to hold a job compares its account's mark under a lock (`changes.record`). It
either sees the new mark and does not wait, or holds the job before it is looked for here.
"""

from app.core.jobs import Stage
from app.db.engine import ENGINE
from app.db.queries import Connection


async def credential_replaced(conn: Connection, service_id: int, user_id: int | None) -> None:
    """Let the jobs go on that wait for this user's credential (None: for the shared one, which may be anybody's).

    Inside the transaction that replaces it.
    """
    await _wake(conn, service_id, user_id, Stage.CREDENTIAL_NEEDED)


async def credential_doubted(conn: Connection, service_id: int, user_id: int | None) -> None:
    """Let the engine look at the jobs of a credential that was refused elsewhere: it meets the refusal itself, and holds them."""
    await _wake(conn, service_id, user_id, Stage.WAITING_FOR_SLOT)


async def service_recovered(conn: Connection, service_id: int) -> None:
    """Let the jobs go on that wait for this service, inside the transaction that says so."""
    await _wake(conn, service_id, None, Stage.SERVICE_UNAVAILABLE)


async def service_reconfigured(conn: Connection, service_id: int) -> None:
    """Let go on what waits for this service, and look again for results that its former configuration did not find."""
    await service_recovered(conn, service_id)
    await _wake(conn, service_id, None, Stage.RESULTS_BLOCKED)


async def _wake(conn: Connection, service_id: int, user_id: int | None, stage: Stage) -> None:
    await ENGINE.wake_polls.run(conn, service_id=service_id, user_id=user_id)
    await ENGINE.wake_held.run(conn, service_id=service_id, user_id=user_id, stage=stage)
