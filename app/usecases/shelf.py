"""The own uploads with what uses them, and how much room is left."""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from app.core.models import File
from app.db import files as db
from app.db.files import FILES
from app.usecases.deps import Actor, Deps


@dataclass(frozen=True, slots=True)
class User:
    """A job that has a file as its input."""

    job_id: UUID
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """A page of the own uploads, newest first. `users` has the jobs of each; sizes in bytes."""

    files: list[File]
    total: int
    users: dict[int, list[User]]
    stored_bytes: int
    allowed_bytes: int


async def list_shelf(deps: Deps, actor: Actor, *, limit: int, offset: int) -> Shelf:
    """Give a page of the actor's uploads."""
    files, total = await db.list_files(deps.pool, actor.id, "input", limit=limit, offset=offset)
    rows = await FILES.list_jobs_of_inputs.rows(
        deps.pool, file_ids=[file.id for file in files], user_id=actor.id
    )
    users: dict[int, list[User]] = defaultdict(list)
    for row in rows:
        users[row["file_id"]].append(User(row["job_id"], row["name"], row["status"]))
    stored = await FILES.sum_stored.value(deps.pool, user_id=actor.id)
    allowed = deps.settings.max_stored_bytes_per_user
    return Shelf(files, total, dict(users), int(stored), allowed)
