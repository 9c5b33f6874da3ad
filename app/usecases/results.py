"""Results: receiving them file by file, and the archive that is made of them on the fly."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.adapters.base import Rejected
from app.core.archive import ArchiveLayout, Member, fingerprint
from app.core.errors import NotFound
from app.core.jobs import Status
from app.core.models import File, Job
from app.core.names import UniqueNames, clean_file_name
from app.db.files import FILES, find_own_file
from app.db.jobs import PlacedFile, find_own_job, list_placed_files
from app.db.queries import Connection, Executor
from app.logs import redact
from app.storage import LocalStore, PendingFile, StoredFile
from app.usecases.deps import Actor, Deps

_MAX_PLACES = 5


@dataclass(slots=True)
class _SinkFile:
    """One file of a `StoreSink`; counts only once it is finished."""

    name: str
    pending: PendingFile
    sink: "StoreSink"
    finished: bool = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises StorageFull, and Rejected beyond the sink's limit."""
        self.sink.take(len(data))
        self.pending.write(data)

    def finish(self) -> None:
        """The file is whole: keep it."""
        self.pending.finish()
        self.finished = True


class StoreSink:
    """Where a download puts its files: an `app.adapters.base.Sink` over the store. All methods block.

    `max_bytes` bounds all files of the sink together. Nothing is visible before `commit_all`, which keeps the finished
    files only; from then on they are the caller's.
    """

    def __init__(self, store: LocalStore, max_bytes: int) -> None:
        self._store = store
        self._left = max_bytes
        self._files: list[_SinkFile] = []
        self._names = UniqueNames()

    def open(self, name: str) -> _SinkFile:
        """Begin a file. A second one of the same name gets another. Raises StorageFull."""
        file = _SinkFile(self._names.take(name), self._store.create(), self)
        self._files.append(file)
        return file

    def take(self, size_bytes: int) -> None:
        """Count bytes that are about to be written. Raises Rejected."""
        self._left -= size_bytes
        if self._left < 0:
            raise Rejected("the results are larger than this platform accepts")

    def commit_all(self) -> list[tuple[str, StoredFile]]:
        """Keep the finished files; give their names and what was stored. Raises StorageFull; then nothing is kept."""
        done: list[tuple[str, StoredFile]] = []
        try:
            for file in self._files:
                if file.finished:
                    stored = file.pending.commit()
                    done.append((file.name, stored))
        except BaseException:
            for _name, kept in done:
                self._store.remove(kept.key)
            raise
        finally:
            self.abort_all()
        return done

    def abort_all(self) -> None:
        """Throw away whatever was not kept."""
        for file in self._files:
            file.pending.abort()
        self._files.clear()


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of a job as it is now; `etag` names its bytes, `sums` are its members' names and SHA-256."""

    layout: ArchiveLayout
    etag: str
    sums: tuple[tuple[str, str], ...] = ()


async def read_archive(db: Executor, job_id: UUID) -> Archive:
    """Give the archive of a job's result and QC files, in a layout that is the same each time."""
    members: list[Member] = []
    marks: list[tuple[str, str]] = []
    names = UniqueNames()
    for row in await FILES.list_archive_members.rows(db, job_id=job_id):
        name = names.take(row["name"])
        members.append(Member(name, row["size_bytes"], row["crc32"], row["storage_key"]))
        marks.append((name, row["sha256"]))
    return Archive(ArchiveLayout(members), fingerprint(marks), tuple(marks))


async def create_archive(
    conn: Connection,
    job_id: UUID,
    user_id: int,
    job_name: str,
    *,
    expires_at: datetime | None = None,
) -> int:
    """Give the id of the file that stands for the archive of a job; call it after the last result file is in its place.

    Nothing is written but a row: size and bytes follow from the job's files. Calling it again gives the same file.
    """
    if (file_id := await FILES.find_archive.value(conn, job_id=job_id)) is not None:
        return int(file_id)
    archive = await read_archive(conn, job_id)
    name = clean_file_name(f"{job_name.replace('/', '_')}-results.zip")
    return int(
        await FILES.insert_archive.value(
            conn,
            job_id=job_id,
            user_id=user_id,
            name=name,
            size_bytes=archive.layout.size_bytes,
            expires_at=expires_at,
        )
    )


async def has_members(db: Executor, job_id: UUID) -> bool:
    """Tell whether a job has files for an archive."""
    return bool(await FILES.list_archive_members.rows(db, job_id=job_id))


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A result that could not be fetched; `held_at` says, for people, where it lies at the service."""

    name: str
    held_at: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Results:
    """What a completed job has to show: its archive, the files in it, and what stayed at the service.

    Without archive, nothing could be fetched, or it is no longer stored.
    """

    job: Job
    archive: File | None
    files: list[PlacedFile]
    held: list[HeldFile]

    def get_archive(self) -> File:
        """Give the archive. Raises NotFound that says where the results are instead."""
        if self.archive is not None:
            return self.archive
        places = "; ".join(f"{file.name}: {file.held_at}" for file in self.held[:_MAX_PLACES])
        more = len(self.held) - _MAX_PLACES
        raise NotFound(
            f"The results are ready at the service and could not be fetched from there. {places}"
            + (f"; and {more} more" if more > 0 else ""),
            code="results_at_service",
            action="Fetch them there; asked for application/json, this address lists all of them.",
            extra={"job_id": str(self.job.id), "status": self.job.status.value},
        )


async def get_results(deps: Deps, actor: Actor, job_id: UUID) -> Results:
    """Give the results of a job of the actor's. Raises NotFound that says why there are none (yet)."""
    job = await find_own_job(deps.pool, job_id, actor.id)
    if job is None:
        raise NotFound("There is no such job")
    archive = None
    if job.results_file_id is not None:
        archive = await find_own_file(deps.pool, job.results_file_id, actor.id)
    held = []
    if job.results_held:
        rows = await FILES.list_held.rows(deps.pool, job_id=job_id)
        held = [HeldFile(row["name"], redact(row["held_at"]), row["size_bytes"]) for row in rows]
    if archive is None and not held:
        raise _no_results(job)
    files = await list_placed_files(deps.pool, [job_id])
    return Results(job, archive, [file for file in files if file.role in ("result", "qc")], held)


def _no_results(job: Job) -> NotFound:
    extra = {"job_id": str(job.id), "status": job.status.value}
    if job.status is Status.FAILED:
        said = f"The job failed: {job.error_message or 'no reason was given'}"
        return NotFound(said, code="no_results", action=job.error_action, extra=extra)
    if job.status is Status.CANCELLED:
        return NotFound("The job was cancelled", code="no_results", extra=extra)
    if job.status is Status.COMPLETED:
        said = "The results are no longer stored here"
        action = "Press retry to run the job again."
        return NotFound(said, code="results_deleted", action=action, extra=extra)
    return NotFound(
        f"The results are not ready: the job is {job.status}",
        code="results_not_ready",
        action="Follow the job, or wait for the notice.",
        extra=extra,
    )
