"""The local queue: an account's submissions that wait for a slot, or for what keeps all of them from being sent."""

from dataclasses import replace

from app.core.changes import Change, hold
from app.core.jobs import Stage
from app.core.models import Job, Service, build
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply, in_seconds
from app.usecases.engine.remote import poll_interval

MAX_IN_LINE = 500
"""Jobs told at a time; those beyond are due still, and are told in the next round."""


async def queue_up(deps: Deps, account_id: int, service: Service, *, slots: int | None) -> None:
    """Let the due submissions wait for a slot, and say to those that did not yet that they wait, and at which place.

    `slots` are those that the service allows: should one have become free meanwhile, nothing is done. None: the service itself
    says that it is full.
    """
    at = in_seconds(deps, max(poll_interval(deps, service), deps.settings.retry_base_s))
    rows = await ENGINE.queue_up.rows(
        deps.pool, account_id=account_id, now=deps.now(), at=at, slots=slots, max_rows=MAX_IN_LINE
    )
    for row in rows:
        job, place = build(Job, row), row["place"]
        said = f"Waiting for a free slot at {service.name}: {_before(place)}"
        change = hold(Stage.WAITING_FOR_SLOT, said, at, queue_position=place)
        await apply(deps, job, change, seen=job.updated_at)


def _before(place: int) -> str:
    return {0: "the job is the next", 1: "1 job is before it"}.get(
        place, f"{place} jobs are before it"
    )


async def hold_line(deps: Deps, account_id: int, change: Change) -> None:
    """Hold an account's other due submissions as one of them was: for the same reason, until the same time.

    Nothing is done when the account was woken since (`Change.mark`).
    """
    now = deps.now()
    async with deps.pool.acquire() as conn, conn.transaction():
        mark = await ENGINE.hold_wake_mark.value(conn, account_id=account_id)
        if change.stage is None or mark != change.mark:
            return
        at = change.fields["next_action_at"]
        await ENGINE.defer_submissions.run(
            conn, account_id=account_id, stage=change.stage, at=at, now=now
        )
    rows = await ENGINE.list_due_submissions.rows(
        deps.pool, account_id=account_id, now=now, max_rows=MAX_IN_LINE
    )
    notices = (NoticeEvent.CREDENTIAL_NEEDED,) if change.stage is Stage.CREDENTIAL_NEEDED else ()
    told = replace(change, message=str(change.fields["hold_reason"]), notices=notices)
    for row in rows:
        job = build(Job, row)
        await apply(deps, job, told, seen=job.updated_at)
