"""Typed functions over the queries of the links that a job's remote has."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.models import build
from app.db.queries import Executor, load

REMOTE_LINKS = load("remote_links")


@dataclass(frozen=True, slots=True)
class LinkedInput:
    """An input file behind a link; `travel_name` is its name in the job. `is_indexed` without `index_key`: it has no index."""

    link_id: UUID
    job_id: UUID
    user_id: int
    first_fetched_at: datetime | None
    travel_name: str
    id: int
    storage_key: str
    size_bytes: int
    sha256: str | None
    content_type: str
    is_indexed: bool
    index_key: str | None
    index_bytes: int | None
    index_sha256: str | None


async def find_linked_input(
    db: Executor, link_id: UUID, file_id: int, now: datetime
) -> LinkedInput | None:
    """Give the input file of a link that is good now, or None."""
    row = await REMOTE_LINKS.find_input.row(db, link_id=link_id, file_id=file_id, now=now)
    return build(LinkedInput, row) if row is not None else None
