"""Typed functions over the queries of the watch over stored credentials."""

from dataclasses import dataclass
from datetime import datetime

from app.core.models import StoredCredential, build
from app.db.queries import Executor, load

WATCH = load("credential_watch")


@dataclass(frozen=True, slots=True)
class Ending:
    """A credential whose end is near or over; without `credential_id` and `user_id` the shared one of its service.

    `told` is how near it was when that was told last, of the end `told_for`.
    """

    id: int
    service_id: int
    credential_id: int | None
    user_id: int | None
    expires_at: datetime
    told: int
    told_for: datetime | None

    @property
    def subject(self) -> str:
        """Name the credential in the keys of notices."""
        return (
            f"shared:{self.service_id}" if self.credential_id is None else str(self.credential_id)
        )


@dataclass(frozen=True, slots=True)
class Check:
    """A credential in hand, to ask its service about; `rejected_at` is the shared one's."""

    id: int
    service_id: int
    credential_id: int | None
    secret_md5: str
    check_until: datetime
    rejected_at: datetime | None


async def list_ending(
    db: Executor, horizon: datetime, last: int, after: int, max_rows: int
) -> list[Ending]:
    """Give credentials that end before `horizon` and whose end was not told to the `last`, by id, from `after` on."""
    rows = await WATCH.list_ending.rows(
        db, horizon=horizon, last=last, after=after, max_rows=max_rows
    )
    return [build(Ending, row) for row in rows]


async def mark_told(db: Executor, ending: Ending, told: int) -> bool:
    """Note that an end is told now; false when another process did, or the credential was replaced."""
    row = await WATCH.mark_told.row(
        db,
        id=ending.id,
        told=told,
        expires_at=ending.expires_at,
        was=ending.told,
        was_for=ending.told_for,
    )
    return row is not None


async def claim_check(
    db: Executor, now: datetime, until: datetime, refused_before: datetime, per_service: int
) -> Check | None:
    """Take the next credential in hand; None when none is due."""
    row = await WATCH.claim_check.row(
        db, now=now, until=until, refused_before=refused_before, per_service=per_service
    )
    return row and build(Check, row)


async def get_checked(db: Executor, check: Check) -> StoredCredential | None:
    """Give the user's credential that a look is for; None when it is gone."""
    row = await WATCH.get_checked_credential.row(db, credential_id=check.credential_id)
    return row and build(StoredCredential, row)


async def list_admins(db: Executor) -> list[int]:
    """Give the ids of the administrators."""
    return [row["id"] for row in await WATCH.list_admins.rows(db)]
