"""Submitting a job: cheap refusals first, then the files, then everything in one transaction.

A `JobForm` takes the fields and files of one request as they arrive (`app.web.upload.Form`). When a file begins, what is known
by then is judged, so that nobody uploads gigabytes to learn that a credential is missing; at the end all of it is judged again.
"""

import json
from collections.abc import Callable

from app.core.errors import BrokenUpload, InvalidInput
from app.core.names import job_name_of
from app.core.submission import FIELDS, read_fields, refuse
from app.db import idempotency
from app.db.files import FILES
from app.db.jobs import JobDetail
from app.usecases.creation import (
    Label,
    create_job,
    facts_of,
    find_inputs,
    hand_over,
    insert_input,
    judge_files,
)
from app.usecases.deps import Actor, Deps
from app.usecases.idempotency import Once
from app.usecases.intake import IncomingFile, Intake, Room
from app.usecases.ruling import judge, missing

FILE_FIELD = "input_file"
FILE_ID_FIELD = "input_file_id"


class JobForm:
    """The form of one request. Use `intake` with `async with` around reading and submitting."""

    def __init__(self, deps: Deps, actor: Actor, intake: Intake, *, is_repeat: bool) -> None:
        self._deps = deps
        self._actor = actor
        self._is_repeat = is_repeat
        self._fields: dict[str, str] = {}
        self._file_ids: list[int] = []
        self._intake = intake

    def take_field(self, name: str, value: str) -> None:
        """Take a text field. Raises InvalidInput."""
        if name == FILE_ID_FIELD:
            self._take_file_id(value.strip())
            return
        if name == FILE_FIELD:
            raise refuse(
                FILE_FIELD,
                "not_a_file",
                "input_file came as text",
                "Send it as a file: with curl, -F input_file=@chr20.vcf.gz",
            )
        if name not in FIELDS:
            known = ", ".join(sorted(FIELDS | {FILE_FIELD, FILE_ID_FIELD}))
            raise InvalidInput(
                "The form has a field that is not known here",
                code="unknown_field",
                action=f"The fields are: {known}.",
            )
        if name in self._fields:
            raise refuse(
                name, "repeated_field", f"{name} stands in the form twice", "Send it once."
            )
        self._fields[name] = value

    def _take_file_id(self, text: str) -> None:
        if not text:
            return
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise refuse(
                FILE_ID_FIELD,
                "invalid_field",
                "input_file_id is not a number",
                "GET /files?kind=input lists your files.",
            )
        if int(text) in self._file_ids:
            raise refuse(
                FILE_ID_FIELD,
                "repeated_field",
                "An input_file_id stands there twice",
                "Send each once.",
            )
        self._file_ids.append(int(text))
        self._judge_number()

    async def open_file(self, name: str, file_name: str) -> IncomingFile:
        """Judge what is known by now, then begin a file. Raises AppError."""
        if name != FILE_FIELD:
            raise refuse(
                FILE_FIELD,
                "unknown_field",
                "Files belong into the field input_file",
                "With curl: -F input_file=@chr20.vcf.gz",
            )
        asked = read_fields(self._fields)
        if not self._is_repeat:
            await judge(self._deps, self._actor, asked, frozenset(self._fields))
        file = await self._intake.open(file_name)
        self._judge_number()
        return file

    def _judge_number(self) -> None:
        limit = self._deps.settings.max_files_per_job
        if len(self._intake.files) + len(self._file_ids) > limit:
            raise InvalidInput(
                f"A job has at most {limit} input files",
                code="too_many_files",
                action="Send the other chromosomes with another job.",
            )

    def content(self) -> bytes:
        """Give what stands for the request when it is repeated: all it says, and the digests of its files."""
        files = [(file.name, file.pending.sha256) for file in self._intake.files]
        return json.dumps([self._fields, self._file_ids, files], sort_keys=True).encode()

    async def submit(self, once: Once | None, is_gone: Callable[[], bool]) -> JobDetail:
        """Create the job, unless the client `is_gone` by then. Raises AppError, AlreadyDone; then nothing of it is left."""
        deps, actor, intake = self._deps, self._actor, self._intake
        asked = read_fields(self._fields)
        ruling = await judge(deps, actor, asked)
        if ruling is None or not (intake.files or self._file_ids):
            raise missing(FILE_FIELD, "Send a file: with curl, -F input_file=@chr20.vcf.gz")
        old = await find_inputs(deps, actor, self._file_ids)
        facts = [await facts_of(deps, file) for file in old] + await intake.inspect()
        judge_files(ruling, facts)
        kept = await intake.keep()
        if is_gone():
            raise BrokenUpload("The client went away before the job was created")
        async with deps.pool.acquire() as conn, conn.transaction():
            new = [
                await insert_input(deps, conn, actor, file.name, stored, known)
                for file, stored, known in zip(intake.files, kept, facts[len(old) :], strict=True)
            ]
            inputs = [*old, *new]
            name = asked.name or job_name_of(inputs[0].name)
            detail = await create_job(
                deps, conn, actor, ruling, inputs, Label(name, asked.description)
            )
            if once is not None:
                await once.remember(conn, detail)
            intake.release()
        await hand_over(deps, detail.job)
        return detail


async def is_repeat(deps: Deps, actor: Actor, route: str, key: str | None) -> bool:
    """Tell whether a request with this Idempotency-Key was answered before: then what it asks for is not judged anew."""
    if key is None:
        return False
    found = await idempotency.find_answer(deps.pool, user_id=actor.id, route=route, key=key)
    return found is not None


async def open_intake(deps: Deps, actor: Actor) -> Intake:
    """Give an intake with the room that the user has left."""
    used = await FILES.sum_stored.value(deps.pool, user_id=actor.id)
    return Intake(deps, Room(deps.settings.max_stored_bytes_per_user - used))
