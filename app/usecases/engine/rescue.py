"""Keeping what a remote gave: its messages, and the files of one download, in one transaction each."""

import asyncio
from collections.abc import Collection

from app.adapters.base import RemoteOutput
from app.core.models import Job
from app.core.names import UniqueNames
from app.core.remote import RemoteStatus
from app.db.engine import ENGINE
from app.db.queries import Connection
from app.storage import StoredFile
from app.usecases.deps import Deps
from app.usecases.engine.changes import in_seconds
from app.usecases.engine.leases import LeaseLost
from app.usecases.results import StoreSink

MAX_MESSAGES = 500
CONTENT_TYPES = {
    ".zip": "application/zip",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".md5": "text/plain; charset=utf-8",
}


async def keep_messages(deps: Deps, job: Job, status: RemoteStatus) -> None:
    """Replace what is kept of the remote's messages, where it shows any."""
    if not status.messages:
        return
    rows: list[dict[str, object]] = [
        {
            "job_id": job.id,
            "position": place,
            "step": item.step,
            "level": item.level,
            "text": item.text,
        }
        for place, item in enumerate(status.messages[:MAX_MESSAGES])
    ]
    async with deps.pool.acquire() as conn, conn.transaction():
        await ENGINE.delete_messages.run(conn, job_id=job.id)
        await ENGINE.insert_message.many(conn, rows)


async def keep_output(deps: Deps, job: Job, output: RemoteOutput, sink: StoreSink) -> None:
    """Make the files of a finished download part of the job. Raises LeaseLost when the job is no longer ours.

    A crash between the files' rename and the commit leaves files that no row names, and so does a commit whose answer is lost:
    it may have happened. The upkeep removes them.
    """
    stored = await asyncio.to_thread(sink.commit_all)
    is_committing = False
    try:
        async with deps.pool.acquire() as conn, conn.transaction():
            held = await ENGINE.extend_lease.row(
                conn,
                job_id=job.id,
                step_number=job.step_number,
                owner=deps.owner,
                lease_until=in_seconds(deps, deps.settings.lease_s),
            )
            if held is None:
                raise LeaseLost  # noqa: TRY301 - the files below must go in this case too
            needless = []
            known = {
                row["name"]: row["sha256"]
                for row in await ENGINE.list_results.rows(conn, job_id=job.id)
            }
            for name, file in stored:
                if known.get(name) == file.sha256:
                    needless.append(file)  # the remote has pushed it before
                else:
                    free = _free_name(name, known)
                    await _insert(deps, conn, job, output, free, file)
            await ENGINE.note_fetched.run(conn, job_id=job.id, key=output.key, now=deps.now())
            is_committing = True
    except BaseException:
        for _name, file in [] if is_committing else stored:
            await deps.store.delete(file.key)
        raise
    for file in needless:
        await deps.store.delete(file.key)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Give the name, or another where a pushed file has it."""
    names = UniqueNames()
    for other in taken:
        names.take(other)
    return names.take(name)


async def _insert(
    deps: Deps, conn: Connection, job: Job, output: RemoteOutput, name: str, file: StoredFile
) -> None:
    content_type = next(
        (kind for suffix, kind in CONTENT_TYPES.items() if name.endswith(suffix)),
        "application/octet-stream",
    )
    file_id = await ENGINE.insert_file.value(
        conn,
        user_id=job.user_id,
        name=name,
        storage_key=file.key,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        crc32=file.crc32,
        content_type=content_type,
        expires_at=in_seconds(deps, deps.settings.result_retention_s),
    )
    await ENGINE.insert_job_file.run(
        conn, job_id=job.id, file_id=file_id, role=output.role, name=name
    )
