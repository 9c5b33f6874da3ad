"""A user's files: uploading for later use, looking, downloading, deleting; and what is removed when its time is over."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import structlog

from app.core.archive import Span
from app.core.errors import BrokenUpload, Conflict, InvalidInput, NotFound
from app.core.models import File
from app.core.submission import refuse
from app.db import files as db
from app.db.files import FILES
from app.storage import SHARDS
from app.usecases import audit
from app.usecases.creation import insert_input
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once
from app.usecases.intake import IncomingFile, Intake
from app.usecases.results import read_archive

log = structlog.get_logger(__name__)

UPLOAD_FIELDS = frozenset({"file", "input_file"})
ORPHAN_AFTER_S = 2 * 86_400.0
"""Stored bytes without a row are left alone for so long: their transaction may still be running."""
REST = timedelta(days=7)
"""Files stay at least this long after the last job that used them has ended."""
LINKS_KEPT = timedelta(days=30)
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file: `etag` changes whenever one of them does, `spans` gives where those of a range are."""

    file: File
    size_bytes: int
    etag: str
    spans: Callable[[int, int], Iterable[Span]]


@dataclass(frozen=True, slots=True)
class Link:
    """An address that needs no sign-in until it ends."""

    url: str
    expires_at: datetime


class UploadForm:
    """The form of one upload (`app.web.upload.Form`): one file and nothing else."""

    def __init__(self, deps: Deps, actor: Actor, intake: Intake) -> None:
        self._deps = deps
        self._actor = actor
        self._intake = intake

    def take_field(self, name: str, value: str) -> None:
        """Refuse: there are no text fields."""
        if name in UPLOAD_FIELDS:
            raise refuse(
                "file", "not_a_file", "The file came as text", "With curl: -F file=@chr20.vcf.gz"
            )
        if value.strip():
            raise InvalidInput(
                "An upload has only the field file",
                code="unknown_field",
                action="Send what belongs to a job with POST /jobs.",
            )

    async def open_file(
        self, name: str, file_name: str, expected_bytes: int | None
    ) -> IncomingFile:
        """Begin the file. Raises AppError."""
        if name not in UPLOAD_FIELDS:
            raise refuse(
                "file",
                "unknown_field",
                "The file belongs into the field file",
                "With curl: -F file=@chr20.vcf.gz",
            )
        if self._intake.files:
            raise refuse(
                "file", "too_many_files", "An upload holds one file", "Upload them one by one."
            )
        return await self._intake.open(file_name, expected_bytes)

    def content(self) -> bytes:
        """Give what stands for the request when it is repeated."""
        return repr([(file.name, file.pending.sha256) for file in self._intake.files]).encode()

    async def keep(self, once: Once | None, is_gone: Callable[[], bool]) -> File:
        """Check and keep the file. Raises AppError, AlreadyDone; then nothing of it is left."""
        deps, intake = self._deps, self._intake
        if not intake.files:
            raise refuse(
                "file", "missing_field", "The file is missing", "With curl: -F file=@chr20.vcf.gz"
            )
        (facts,) = await intake.inspect()
        (stored,) = await intake.keep()
        if is_gone():
            raise BrokenUpload("The client went away before the file was kept")
        async with deps.pool.acquire() as conn, conn.transaction():
            file = await insert_input(
                deps, conn, self._actor, intake.files[0].name, stored, facts, kept=True
            )
            await _record(conn, self._actor, "uploaded", file)
            if once is not None:
                await once.remember(conn, file)
            await intake.release(conn)
        return file


async def list_files(
    deps: Deps, actor: Actor, kind: str | None, *, limit: int, offset: int
) -> tuple[list[File], int]:
    """Give a page of the actor's files, newest first, and the number of all."""
    return await db.list_files(deps.pool, actor.id, kind, limit=limit, offset=offset)


async def get_file(deps: Deps, actor: Actor, file_id: int) -> File:
    """Give a file of the actor's. Raises NotFound."""
    file = await db.find_own_file(deps.pool, file_id, actor.id)
    if file is None:
        raise NotFound("There is no such file")
    return file


async def delete_file(deps: Deps, actor: Actor, file_id: int) -> None:
    """Forget an input file. Raises NotFound, Conflict while an open job uses it, or when it is a job's result."""
    async with deps.pool.acquire() as conn, conn.transaction():
        row = await FILES.lock_file.row(conn, file_id=file_id, user_id=actor.id)
        if row is None:
            raise NotFound("There is no such file")
        if row["kind"] != "input":
            raise Conflict(
                "The file is a result of a job",
                code="file_of_job",
                action="Delete the job; its files go with it.",
            )
        if await FILES.find_open_user.value(conn, file_id=file_id) is not None:
            raise Conflict(
                "An open job uses this file",
                code="file_in_use",
                action="Wait until the job has ended, or cancel it.",
            )
        await FILES.delete_file.run(conn, file_id=file_id)
        await audit.record(
            conn,
            "file.deleted",
            actor=actor,
            resource_type="file",
            resource_id=file_id,
            details={"name": row["name"]},
        )
    await remove_bytes(deps, [row["storage_key"]])


async def open_content(deps: Deps, file: File) -> Content:
    """Give the bytes of a file, or of an archive as it is now. Raises NotFound when they are gone."""
    if file.storage_key is not None:
        whole = Span(file.size_bytes, key=file.storage_key)
        spans = _cutter(whole)
        return Content(file, file.size_bytes, file.sha256 or file.storage_key, spans)
    job_id = await FILES.find_archived_job.value(deps.pool, file_id=file.id)
    if job_id is None:
        raise NotFound("There is no such file")
    archive = await read_archive(deps.pool, job_id)
    return Content(file, archive.layout.size_bytes, archive.etag, archive.layout.spans)


def _cutter(whole: Span) -> Callable[[int, int], Iterable[Span]]:
    return lambda start, stop: [whole.cut(start, stop)] if stop > start else []


async def note_download(deps: Deps, file: File, actor: Actor | None, address: str) -> None:
    """Write down that somebody downloads a file; without actor, by a signed link."""
    await audit.record(
        deps.pool,
        "file.downloaded",
        user_id=file.user_id if actor is None else actor.id,
        address=address,
        resource_type="file",
        resource_id=file.id,
        details={"name": file.name, "by_link": actor is None},
    )


async def sign_link(deps: Deps, actor: Actor, file: File) -> Link:
    """Give a link to the actor's file; one that is good for long enough is given again."""
    now = deps.now()
    lifetime = timedelta(seconds=deps.settings.link_lifetime_s)
    row = await FILES.find_link.row(
        deps.pool, file_id=file.id, user_id=actor.id, good_until=now + lifetime / 2
    )
    if row is None:
        async with deps.pool.acquire() as conn, conn.transaction():
            row = await FILES.insert_link.row(
                conn, file_id=file.id, user_id=actor.id, now=now, expires_at=now + lifetime
            )
            await _record(conn, actor, "link_signed", file)
    if row is None:
        raise LookupError("an insert gave no row")
    token = deps.links.sign(row["id"], file.id)
    name = quote(file.name, safe="")
    return Link(f"{deps.settings.base_url}/files/download/{token}/{name}", row["expires_at"])


async def follow_link(deps: Deps, token: str) -> File:
    """Give the file of a link. Raises NotFound, the same for wrong, expired and revoked ones."""
    read = deps.links.read(token)
    file = None
    if read is not None:
        file = await db.find_linked_file(deps.pool, *read, deps.now())
    if file is None:
        raise NotFound(
            "This link is not, or no longer, good",
            code="link_not_found",
            action="Ask whoever has the file for a new one; its owner finds it at the job.",
        )
    return file


async def revoke_links(deps: Deps, actor: Actor, file_id: int) -> int:
    """End all links to a file of the actor's; give their number. Raises NotFound."""
    file = await get_file(deps, actor, file_id)
    async with deps.pool.acquire() as conn, conn.transaction():
        count = await FILES.revoke_links.run(
            conn, file_id=file_id, user_id=actor.id, now=deps.now()
        )
        await _record(conn, actor, "links_revoked", file, links=count)
    return count


async def remove_expired(deps: Deps) -> int:
    """Forget files whose time is over, and links that ended long ago; give the number of files."""
    now = deps.now()
    await FILES.purge_links.run(deps.pool, before=now - LINKS_KEPT)
    async with deps.pool.acquire() as conn, conn.transaction():
        times = {"now": now, "rest": now - REST}
        found = await FILES.lock_expired.rows(conn, **times, max_rows=_BATCH)
        # Two statements: the second sees what a job may have begun to use before the locks were ours.
        ids = [row["id"] for row in found]
        deleted = await FILES.delete_expired.rows(conn, ids=ids, **times)
    await remove_bytes(deps, [row["storage_key"] for row in deleted])
    return len(deleted)


async def remove_orphans(deps: Deps) -> int:
    """Remove stored bytes that no row names, left by processes that were killed; give their number."""
    removed = 0
    for shard in SHARDS:
        keys = await deps.store.list_keys(shard, ORPHAN_AFTER_S)
        for start in range(0, len(keys), _BATCH):
            some = keys[start : start + _BATCH]
            rows = await FILES.list_known_keys.rows(deps.pool, keys=some)
            orphans = set(some) - {row["storage_key"] for row in rows}
            await remove_bytes(deps, sorted(orphans))
            removed += len(orphans)
    return removed


async def remove_bytes(deps: Deps, keys: Sequence[str | None]) -> None:
    """Remove stored bytes whose rows are gone. What cannot be removed now is an orphan, and found again."""
    for key in keys:
        if key is not None:
            try:
                await deps.store.delete(key)
            except OSError as error:
                log.warning("storage.not_removed", key=key, errno=error.errno)


async def _record(executor: Any, actor: Actor, what: str, file: File, **details: object) -> None:
    await audit.record(
        executor,
        f"file.{what}",
        actor=actor,
        resource_type="file",
        resource_id=file.id,
        details={"name": file.name, **details},
    )
