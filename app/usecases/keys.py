"""Rotating the keys of the vault: everything that is sealed under an older key is sealed anew under the newest.

Batches, each row by compare-and-set: it can be stopped and run again, and while the platform runs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from app.db.queries import Query, load
from app.security.vault import Vault, VaultError
from app.usecases.credentials import own_context, shared_context

KEYS = load("keys")
BATCH = 500


@dataclass(frozen=True, slots=True)
class Sealed:
    """One place where secrets are kept: how its rows are read and written, and what each is bound to."""

    name: str
    listing: Query
    writing: Query
    first: Any
    context: Callable[[Any], tuple[object, ...]]


PLACES = (
    Sealed(
        "credentials",
        KEYS.list_credentials,
        KEYS.write_credential,
        0,
        lambda row: own_context(row["user_id"], row["service_id"], row["origin"]),
    ),
    Sealed(
        "shared credentials",
        KEYS.list_shared,
        KEYS.write_shared,
        0,
        lambda row: shared_context(row["id"], row["base_url"]),
    ),
    Sealed(
        "result passwords",
        KEYS.list_archives,
        KEYS.write_archive,
        UUID(int=0),
        lambda row: ("archive", row["id"]),
    ),
    Sealed(
        "e-mails", KEYS.list_mails, KEYS.write_mail, 0, lambda row: ("outbox", row["dedup_key"])
    ),
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What became of one place: how many were sealed anew, how many could not be opened with any key."""

    name: str
    moved: int
    unreadable: int


async def rotate(pool: asyncpg.Pool, vault: Vault) -> list[Rotation]:
    """Seal everything under the vault's newest key."""
    return [await _rotate(pool, vault, place) for place in PLACES]


async def _rotate(pool: asyncpg.Pool, vault: Vault, place: Sealed) -> Rotation:
    moved = unreadable = 0
    after = place.first
    while rows := await place.listing.rows(pool, key_id=vault.key_id, after=after, max_rows=BATCH):
        after = rows[-1]["id"]
        for row in rows:
            context = place.context(row)
            try:
                secret = vault.open(row["sealed"], row["key_id"], *context)
            except VaultError:
                unreadable += 1
                continue
            sealed, key_id = vault.seal(secret, *context)
            moved += await place.writing.run(
                pool, id=row["id"], sealed=sealed, key_id=key_id, old=row["sealed"]
            )
    return Rotation(place.name, moved, unreadable)
