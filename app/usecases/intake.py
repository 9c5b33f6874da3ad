"""Receiving genotype files: judged by their first bytes, written under limits, checked on the way, then kept.

An `Intake` owns the files of one request until they stand in the database; whatever it still owns when it is closed is thrown
away. Its files are what `app.web.upload` writes to.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from app.core.errors import FieldError, InvalidInput, TooLarge, Unavailable
from app.core.models import File
from app.core.names import clean_file_name
from app.db.queries import Connection
from app.genotypes.facts import VcfFacts
from app.genotypes.findings import Finding, InspectionError, StructureError
from app.genotypes.following import Following
from app.genotypes.sniff import sniff
from app.storage import PendingFile, StoredFile
from app.usecases.deps import Actor, Deps
from app.usecases.room import FORM_BYTES, Room

_INSPECTIONS = {
    "timeout": "The check of the file took too long",
    "out_of_memory": "The check of the file needed too much memory",
}


def refuse_file(findings: Sequence[Finding]) -> InvalidInput:
    """Give the refusal for findings, the first of which leads."""
    first = findings[0]
    return InvalidInput(
        first.message,
        code=first.code.value,
        action=first.action,
        errors=[FieldError("input_file", finding.message) for finding in findings[:20]],
    )


class IncomingFile:
    """One file of a request. `name` is the name under which it is shown."""

    def __init__(
        self, name: str, pending: PendingFile, following: Following, room: Room, max_bytes: int
    ) -> None:
        self.name = name
        self.pending = pending
        self.following = following
        self._room = room
        self._max_bytes = max_bytes

    def judge(self, head: bytes) -> None:
        """Look at the first bytes. Raises InvalidInput that says what the file is and what to do."""
        if (finding := sniff(head, self.name)) is not None:
            raise refuse_file([finding])

    def write(self, data: memoryview) -> None:
        """Append (blocks). Raises TooLarge, QuotaExceeded, StorageFull."""
        if self.pending.size_bytes + len(data) > self._max_bytes:
            raise TooLarge(
                f"{self.name} is larger than {self._max_bytes} bytes",
                code="file_too_large",
                action="Send one chromosome in each file, with GT as its only FORMAT field.",
            )
        self._room.take(len(data))
        self.pending.write(data)

    def finish(self) -> None:
        """The file is whole (blocks). Raises StorageFull."""
        self.pending.finish()


class Intake:
    """The files of one request. Use it with `async with`."""

    def __init__(self, deps: Deps, actor: Actor) -> None:
        self._deps = deps
        self._room = Room(deps, actor)
        self._following = AsyncExitStack()
        self.files: list[IncomingFile] = []
        self.stored: list[StoredFile] = []

    async def ensure_room(self, size_bytes: int) -> None:
        """See that so much can be stored; it is kept free as long as the intake is open. Raises QuotaExceeded."""
        await self._room.reserve(size_bytes + FORM_BYTES)

    async def open(self, raw_name: str, expected_bytes: int | None) -> IncomingFile:
        """Begin a file; `expected_bytes` is the most that it and the files behind it can be. Raises StorageFull, QuotaExceeded."""
        await self._room.reserve(expected_bytes)
        # When the request is cancelled, the file that the thread opens must still be known.
        opening = asyncio.ensure_future(asyncio.to_thread(self._deps.store.create))
        try:
            pending = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_abort)
            raise
        name = clean_file_name(raw_name, "input.vcf.gz")
        settings = self._deps.settings
        following = self._deps.inspector.follow(
            pending.path, name, lambda: pending.size_bytes, settings.inspect_timeout_s
        )
        file = IncomingFile(name, pending, following, self._room, settings.max_file_bytes)
        self.files.append(file)
        await self._following.enter_async_context(following)
        return file

    async def inspect(self) -> list[VcfFacts]:
        """Check the structure of the files, in worker processes, which have read along. Raises InvalidInput for all that are refused, Unavailable."""
        await self._room.settle(self._deps.settings.inspect_timeout_s)
        facts = await asyncio.gather(*(_judge(file.following.finish()) for file in self.files))
        refused = [item for item in facts if isinstance(item, Finding)]
        if refused:
            raise refuse_file(refused)
        return [item for item in facts if isinstance(item, VcfFacts)]

    async def keep(self) -> list[StoredFile]:
        """Make the files durable and visible under their keys. Raises StorageFull."""
        await asyncio.to_thread(self._commit)
        return self.stored

    async def release(self, conn: Connection) -> None:
        """Hand the files over to the transaction that names them; call it last in there.

        Should the commit fail, they are files without a row, which the upkeep removes: better than rows without a file
        where only the answer to the commit was lost.
        """
        await self._room.release(conn)
        self.files, self.stored = [], []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        try:
            await self._following.aclose()
        finally:
            if self.files:
                await asyncio.to_thread(self._discard)
            await self._room.release()

    def _commit(self) -> None:
        for file in self.files:
            self.stored.append(file.pending.commit())

    def _discard(self) -> None:
        for file in self.files:
            file.pending.abort()
        for stored in self.stored:
            self._deps.store.remove(stored.key)


async def inspect_stored(deps: Deps, file: File) -> VcfFacts:
    """Check the structure of a stored file. Raises InvalidInput, Unavailable."""
    if file.storage_key is None:
        raise InvalidInput("This file is not stored")
    path = deps.store.path(file.storage_key)
    found = await _judge(deps.inspector.inspect(path, file.name, deps.settings.inspect_timeout_s))
    if isinstance(found, Finding):
        raise refuse_file([found])
    return found


async def _judge(check: Awaitable[VcfFacts]) -> VcfFacts | Finding:
    try:
        return await check
    except StructureError as error:
        return error.finding
    except InspectionError as error:
        said = _INSPECTIONS.get(error.reason, "The check of the file did not come to an end")
        raise Unavailable(said, code="check_failed", action="Send the file again.") from error


def _abort(opening: asyncio.Future[PendingFile]) -> None:
    """Throw away a file whose request was cancelled while it was being opened."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()
