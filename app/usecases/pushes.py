"""Taking in the results that a job's remote pushes, one at a time, by the job's upload link."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.core.errors import Conflict, TooLarge
from app.core.names import content_type_of
from app.core.pushes import MAX_PUSHED_FILES, Checksums, role_of
from app.db.engine import ENGINE
from app.db.queries import Connection, Executor
from app.db.remote_links import REMOTE_LINKS
from app.security.links import Purpose
from app.storage import PendingFile, StoredFile
from app.usecases import audit
from app.usecases.deps import Deps
from app.usecases.remote_links import gone


@dataclass(frozen=True, slots=True)
class Pushed:
    """A result that is safe with us. `is_new` is false for one that was there already, byte for byte."""

    name: str
    size_bytes: int
    sha256: str
    is_new: bool


class PushedFile:
    """A result being received (`app.web.upload.FilePart`). `room_bytes` is what the job may still hold."""

    def __init__(self, pending: PendingFile, room_bytes: int, *, with_md5: bool) -> None:
        self.pending = pending
        self._room_bytes = room_bytes
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    @property
    def md5(self) -> str | None:
        """The MD5 digest of what was written, where somebody wants to compare it."""
        return self._md5.hexdigest() if self._md5 is not None else None

    def judge(self, head: bytes) -> None:
        """Take anything: what a result is, is for its owner to judge."""

    def write(self, data: memoryview) -> None:
        """Append (blocks). Raises TooLarge, StorageFull."""
        if self.pending.size_bytes + len(data) > self._room_bytes:
            raise _too_much()
        if self._md5 is not None:
            self._md5.update(data)
        self.pending.write(data)

    def finish(self) -> None:
        """The file is whole (blocks). Raises StorageFull."""
        self.pending.finish()


class Push:
    """One result on its way. Use it with `open_push`, let the body be written to `file`, then `keep` it; `close` in any case."""

    def __init__(
        self, deps: Deps, link_id: UUID, name: str, checksums: Checksums, file: PushedFile
    ) -> None:
        self._deps = deps
        self._link_id = link_id
        self._name = name
        self._checksums = checksums
        self.file = file

    async def keep(self, address: str) -> Pushed:
        """Make the result part of the job. Raises BrokenUpload, Conflict, TooLarge, NotFound when the job ended meanwhile."""
        pending = self.file.pending
        self._checksums.check(pending.sha256, self.file.md5)
        stored = await asyncio.to_thread(pending.commit)
        is_committing = False
        pushed = None
        try:
            async with self._deps.pool.acquire() as conn, conn.transaction():
                pushed = await self._insert(conn, stored, address)
                is_committing = True
        finally:
            # A commit whose answer was lost may have happened; then the upkeep finds out.
            if not is_committing or (pushed is not None and not pushed.is_new):
                await self._deps.store.delete(stored.key)
        return pushed

    async def _insert(self, conn: Connection, stored: StoredFile, address: str) -> Pushed:
        deps, now = self._deps, self._deps.now()
        row = await REMOTE_LINKS.hold_upload.row(conn, link_id=self._link_id, now=now)
        if row is None:
            raise gone()
        known = await REMOTE_LINKS.find_result.row(conn, job_id=row["job_id"], name=self._name)
        if known is not None:
            if known["sha256"] != stored.sha256:
                raise _taken()
            return Pushed(self._name, known["size_bytes"], known["sha256"], is_new=False)
        if stored.size_bytes > await _room(deps, conn, row["job_id"]):
            raise _too_much()
        file_id = await ENGINE.insert_file.value(
            conn,
            user_id=row["user_id"],
            name=self._name,
            storage_key=stored.key,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            crc32=stored.crc32,
            content_type=content_type_of(self._name),
            expires_at=now + timedelta(seconds=deps.settings.result_retention_s),
        )
        await ENGINE.insert_job_file.run(
            conn,
            job_id=row["job_id"],
            file_id=file_id,
            role=role_of(self._name),
            name=self._name,
        )
        await REMOTE_LINKS.note_use.run(conn, link_id=self._link_id, now=now)
        await audit.record(
            conn,
            "job.result_pushed",
            user_id=row["user_id"],
            address=address,
            resource_type="job",
            resource_id=row["job_id"],
            details={"name": self._name, "size": stored.size_bytes},
        )
        return Pushed(self._name, stored.size_bytes, stored.sha256, is_new=True)

    async def close(self) -> None:
        """Throw away what was not kept."""
        await asyncio.shield(asyncio.to_thread(self.file.pending.abort))


async def open_push(
    deps: Deps, token: str, name: str, size_bytes: int | None, checksums: Checksums
) -> Push:
    """Judge a result before its body is read; `size_bytes` is what the client says of it.

    Raises NotFound, the same for wrong, expired and revoked links, InvalidInput, Conflict, TooLarge, StorageFull.
    """
    read = deps.links.read(token, Purpose.REMOTE_UPLOAD)
    row = None
    if read is not None:
        row = await REMOTE_LINKS.find_upload.row(deps.pool, link_id=read[0], now=deps.now())
    if row is None or read is None:
        raise gone()
    role_of(name)
    room_bytes = deps.settings.max_result_bytes
    known = await REMOTE_LINKS.find_result.row(deps.pool, job_id=row["job_id"], name=name)
    if known is None:
        room_bytes = await _room(deps, deps.pool, row["job_id"])
    elif (size_bytes is not None and size_bytes != known["size_bytes"]) or (
        checksums.sha256 not in (None, known["sha256"])
    ):
        raise _taken()
    else:
        room_bytes = known["size_bytes"]
    if size_bytes is not None and size_bytes > room_bytes:
        raise _too_much()
    # When the request is cancelled, the file that the thread opens must still be known.
    opening = asyncio.ensure_future(asyncio.to_thread(deps.store.create))
    try:
        pending = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_abort)
        raise
    file = PushedFile(pending, room_bytes, with_md5=checksums.md5 is not None)
    return Push(deps, read[0], name, checksums, file)


def _abort(opening: asyncio.Future[PendingFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()


async def _room(deps: Deps, db: Executor, job_id: UUID) -> int:
    """Give how many bytes of results a job may still take. Raises TooLarge when it has as many files as it may."""
    held = await REMOTE_LINKS.measure_results.row(db, job_id=job_id)
    if held is None or held["files"] >= MAX_PUSHED_FILES:
        raise TooLarge(
            f"The job has {MAX_PUSHED_FILES} result files already",
            code="too_many_results",
            action="Pack what belongs together into one .zip.",
        )
    return max(0, deps.settings.max_result_bytes - int(held["size_bytes"]))


def _taken() -> Conflict:
    return Conflict(
        "The job has another result of this name",
        code="result_exists",
        action="A result cannot be replaced: give this one another name.",
    )


def _too_much() -> TooLarge:
    return TooLarge(
        "The results of the job are larger than this platform accepts", code="results_too_large"
    )
