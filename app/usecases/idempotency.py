"""The same request twice is one act: a request may carry an Idempotency-Key, and its answer is kept with what it created.

The answer is written in the transaction that creates, so there is never one without the other. Of two equal requests at the same
time, the second waits at the key for the first to commit, undoes its own work with `AlreadyDone`, and is given the first's answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from app.core.errors import IdempotencyKeyReused
from app.db import idempotency as db
from app.db.queries import Connection
from app.usecases.deps import Deps

A_MOMENT = timedelta(seconds=10)
"""Within it, the same wish at a page is a double click."""


class AlreadyDone(Exception):
    """Raised inside the transaction of a request whose twin was faster: roll back and give the twin's answer."""


@dataclass(frozen=True, slots=True)
class Once:
    """A request that is to take effect once. Use cases that create something get one, or None."""

    user_id: int | None
    """Whose key it is; None in a request that makes its own user."""
    route: str
    key: str
    fingerprint: str
    status: int
    render: Callable[[Any], Any]
    """How the route shows what was created."""

    async def remember(
        self,
        connection: Connection,
        created: Any,
        status: int | None = None,
        owner_id: int | None = None,
    ) -> None:
        """Keep the answer; call it last in the transaction that creates. Raises AlreadyDone."""
        owner = self.user_id if owner_id is None else owner_id
        if owner is None:
            raise RuntimeError("nobody owns the key of this request")
        body = msgspec.json.encode(self.render(created))
        answer = db.KeptAnswer(self.fingerprint, status or self.status, body)
        if not await db.remember_answer(
            connection, user_id=owner, route=self.route, key=self.key, answer=answer
        ):
            raise AlreadyDone


async def find_answer(
    deps: Deps, *, user_id: int, route: str, key: str, content: bytes
) -> db.KeptAnswer | None:
    """Give the answer that this very request was given before.

    Raises IdempotencyKeyReused when the key stood on a request with another `content`.
    """
    kept = await db.find_answer(deps.pool, user_id=user_id, route=route, key=key)
    if kept is not None and not deps.vault.is_fingerprint(kept.fingerprint, content):
        raise IdempotencyKeyReused(
            "This Idempotency-Key stood on another request",
            action="Use a new key for each new request, and the same key only to repeat one.",
        )
    return kept
