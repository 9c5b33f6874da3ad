"""The watch over stored credentials: their people are told of an end before it comes, once, whichever process sees it.

That something was told is written, by compare-and-set, in the transaction that tells it.
"""

import random
from collections.abc import Sequence

from app.core.expiry import FIRST_CHECK, HORIZON, Nearness, next_check, shown_end, to_tell
from app.core.notices import CredentialNews, NoticeEvent
from app.db import credential_watch as db
from app.db.credential_watch import WATCH, Ending
from app.db.queries import Connection
from app.usecases.deps import Deps
from app.usecases.notices import announce_credential

MAX_PER_PAGE = 200


async def watch_ends(deps: Deps) -> int:
    """Keep up with what is stored, and tell what ends; give how many were told."""
    await follow_stored(deps)
    return await tell_ends(deps)


async def follow_stored(deps: Deps) -> int:
    """Begin to watch what was stored or replaced since; give how many that were."""
    check_at = next_check(deps.now(), FIRST_CHECK, random.random)
    return await WATCH.follow_stored.run(deps.pool, check_at=check_at)


async def tell_ends(deps: Deps) -> int:
    """Tell the ends that are near, or over, and were not told yet; give how many."""
    now, told, after = deps.now(), 0, 0
    while page := await db.list_ending(
        deps.pool, now + HORIZON, Nearness.OVER, after, MAX_PER_PAGE
    ):
        for ending in page:
            near = to_tell(ending.expires_at, now, ending.told, ending.told_for)
            if near is not None:
                told += await _tell(deps, ending, near)
        after = page[-1].id
    if told:
        await deps.enqueue("deliver_mail", key="mail")
    return told


async def _tell(deps: Deps, ending: Ending, near: Nearness) -> bool:
    async with deps.pool.acquire() as conn, conn.transaction():
        if not await db.mark_told(conn, ending, near):
            return False
        await tell_end(deps, conn, ending, near)
    return True


async def tell_end(deps: Deps, conn: Connection, ending: Ending, near: Nearness) -> None:
    """Tell an end in the caller's transaction: to the credential's user, or to the administrators for a shared one."""
    over = near is Nearness.OVER
    event = NoticeEvent.CREDENTIAL_EXPIRED if over else NoticeEvent.CREDENTIAL_EXPIRING
    key = f"credential:{ending.subject}:{event}:{near}:{ending.expires_at.isoformat()}"
    news = CredentialNews(is_shared=ending.credential_id is None, ends=shown_end(ending.expires_at))
    for user_id in await audience(conn, ending.user_id):
        await announce_credential(
            conn,
            user_id,
            ending.service_id,
            event,
            news,
            key=f"{key}:{user_id}",
            settings=deps.settings,
            now=deps.now(),
        )


async def audience(conn: Connection, user_id: int | None) -> Sequence[int]:
    """Give whom a credential concerns: its user, or (None: a shared one) the administrators."""
    return [user_id] if user_id is not None else await db.list_admins(conn)
