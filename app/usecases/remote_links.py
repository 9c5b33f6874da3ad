"""What a job's remote reads by signed links: input files, their indexes, the sample sheet. The links end with the job."""

import asyncio
import csv
import io
from dataclasses import dataclass
from datetime import timedelta

from app.core.archive import Span
from app.core.errors import NotFound, Unavailable
from app.core.models import Job
from app.db.engine import ENGINE
from app.db.remote_links import REMOTE_LINKS, LinkedInput, find_linked_input
from app.genotypes.findings import InspectionError
from app.security.links import Purpose
from app.storage import StoredFile
from app.usecases import audit
from app.usecases.deps import Deps

SHEET_NAME = "samplesheet.csv"
INDEX_ENDING = ".tbi"
KEPT_BEYOND_WAIT = timedelta(days=30)
"""How long a link lives beyond the time that its service may let a job wait; it ends with the job anyhow."""
_ENDING = ".vcf.gz"
_PURPOSES = {
    Purpose.REMOTE_INPUT: "remote_input",
    Purpose.REMOTE_SHEET: "remote_sheet",
    Purpose.REMOTE_UPLOAD: "remote_upload",
}


@dataclass(frozen=True, slots=True)
class Readable:
    """Stored bytes that a remote may read. `etag` changes with any of them."""

    name: str
    content_type: str
    size_bytes: int
    etag: str
    key: str
    link: LinkedInput

    def spans(self, start: int, stop: int) -> list[Span]:
        """Give where the bytes [start, stop) are."""
        whole = Span(self.size_bytes, key=self.key)
        return [whole.cut(start, stop)] if stop > start else []


async def sign_input(deps: Deps, job: Job, file_id: int, name: str, wait_limit_s: float) -> str:
    """Give the address at which a job's remote reads an input file; for the same file it is the same one again."""
    token = await _token(deps, job, Purpose.REMOTE_INPUT, wait_limit_s, file_id)
    return _input_url(deps, token, name)


async def sign_sheet(deps: Deps, job: Job, wait_limit_s: float) -> str:
    """Give the address of the sample sheet of a job."""
    token = await _token(deps, job, Purpose.REMOTE_SHEET, wait_limit_s)
    return _input_url(deps, token, SHEET_NAME)


async def sign_upload(deps: Deps, job: Job, wait_limit_s: float) -> str:
    """Give the address under which a job's remote may PUT results; it ends in a slash."""
    token = await _token(deps, job, Purpose.REMOTE_UPLOAD, wait_limit_s)
    return f"{deps.settings.base_url}/files/push/{token}/"


async def _token(
    deps: Deps, job: Job, purpose: Purpose, wait_limit_s: float, file_id: int | None = None
) -> str:
    now = deps.now()
    link_id = await ENGINE.ensure_remote_link.value(
        deps.pool,
        job_id=job.id,
        file_id=file_id,
        purpose=_PURPOSES[purpose],
        now=now,
        expires_at=now + timedelta(seconds=wait_limit_s) + KEPT_BEYOND_WAIT,
    )
    return deps.links.sign(link_id, file_id or 0, purpose)


def _input_url(deps: Deps, token: str, name: str) -> str:
    return f"{deps.settings.base_url}/files/remote/{token}/{name}"


async def open_sheet(deps: Deps, token: str) -> str | None:
    """Give the sample sheet, as CSV, behind a link to one; None when it is none, or no longer good."""
    read = deps.links.read(token, Purpose.REMOTE_SHEET)
    if read is None:
        return None
    rows = await REMOTE_LINKS.list_sheet.rows(deps.pool, link_id=read[0], now=deps.now())
    if not rows:
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("sample", "vcf"))
    for row in rows:
        name = row["travel_name"]
        signed = deps.links.sign(row["link_id"], row["file_id"], Purpose.REMOTE_INPUT)
        writer.writerow((name.removesuffix(_ENDING), _input_url(deps, signed, name)))
    return text.getvalue()


async def note_sheet(deps: Deps, token: str) -> None:
    """Write down that a remote reads a sample sheet."""
    if (read := deps.links.read(token, Purpose.REMOTE_SHEET)) is not None:
        await REMOTE_LINKS.note_use.run(deps.pool, link_id=read[0], now=deps.now())


async def open_input(deps: Deps, token: str, name: str) -> Readable:
    """Give what a link leads to under this name: the file, or the index beside it.

    Raises NotFound, the same for wrong, expired and revoked links, other names, and files that can have no index; Unavailable
    when the index could not be made now.
    """
    read = deps.links.read(token, Purpose.REMOTE_INPUT)
    link = None
    if read is not None:
        link = await find_linked_input(deps.pool, *read, deps.now())
    if link is None:
        raise gone()
    if name == link.travel_name:
        etag = link.sha256 or link.storage_key
        return Readable(name, "application/gzip", link.size_bytes, etag, link.storage_key, link)
    if name != link.travel_name + INDEX_ENDING:
        raise gone()
    if not link.is_indexed and read is not None:
        await _make_index(deps, link)
        link = await find_linked_input(deps.pool, *read, deps.now())
    if link is None or link.index_key is None:
        raise gone()
    return Readable(
        name,
        "application/gzip",
        link.index_bytes or 0,
        link.index_sha256 or link.index_key,
        link.index_key,
        link,
    )


def gone() -> NotFound:
    """Give the one answer for every link that does not lead anywhere."""
    return NotFound("This link is not, or no longer, good", code="link_not_found")


async def _make_index(deps: Deps, link: LinkedInput) -> None:
    """Make the index of a file and keep it beside it; that there can be none is kept too."""
    try:
        made = await deps.inspector.index(
            deps.store.path(link.storage_key), deps.settings.inspect_timeout_s
        )
    except InspectionError as error:
        raise Unavailable("The index could not be made now", code="check_failed") from error
    stored = await asyncio.to_thread(_store, deps, made) if made is not None else None
    inserted = await REMOTE_LINKS.insert_index.value(
        deps.pool,
        file_id=link.id,
        storage_key=stored and stored.key,
        size_bytes=stored.size_bytes if stored else 0,
        sha256=stored and stored.sha256,
        now=deps.now(),
    )
    if inserted is None and stored is not None:
        await deps.store.delete(stored.key)


def _store(deps: Deps, content: bytes) -> StoredFile:
    pending = deps.store.create()
    try:
        pending.write(content)
        return pending.commit()
    finally:
        pending.abort()


async def note_read(deps: Deps, link: LinkedInput, address: str) -> None:
    """Write down that a remote reads an input file: each time (once a minute) at the link, the first time in the audit log."""
    noted = await REMOTE_LINKS.note_use.run(deps.pool, link_id=link.link_id, now=deps.now())
    if noted and link.first_fetched_at is None:
        await audit.record(
            deps.pool,
            "file.fetched_by_service",
            user_id=link.user_id,
            address=address,
            resource_type="file",
            resource_id=link.id,
            details={"name": link.travel_name, "job_id": str(link.job_id)},
        )
