"""Typed functions over the queries of files."""

from datetime import datetime
from uuid import UUID

from app.core.models import File, build
from app.db.queries import Executor, load

FILES = load("files")


async def find_own_file(db: Executor, file_id: int, user_id: int) -> File | None:
    """Give a file of a user's, or None."""
    row = await FILES.get_own_file.row(db, file_id=file_id, user_id=user_id)
    return build(File, row) if row is not None else None


async def list_files(
    db: Executor, user_id: int, kind: str | None, *, limit: int, offset: int
) -> tuple[list[File], int]:
    """Give a page of a user's files, newest first, and the number of all."""
    rows = await FILES.list_files.rows(db, user_id=user_id, kind=kind, limit=limit, offset=offset)
    total = await FILES.count_files.value(db, user_id=user_id, kind=kind)
    return [build(File, row) for row in rows], int(total)


async def find_linked_file(db: Executor, link_id: UUID, file_id: int, now: datetime) -> File | None:
    """Give the file of a link that is good now, or None."""
    row = await FILES.find_linked_file.row(db, link_id=link_id, file_id=file_id, now=now)
    return build(File, row) if row is not None else None
