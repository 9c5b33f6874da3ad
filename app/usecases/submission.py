"""Submitting a job, or with `targets` a batch of them: cheap refusals first, then the files, then everything in one transaction.

A `JobForm` takes the fields and files of one request as they arrive (`app.web.upload.Form`). When a file begins, what is known
by then is judged, so that nobody uploads gigabytes to learn that a credential is missing; at the end all of it is judged again.
"""

import json
from collections.abc import Callable

from app.core.errors import BrokenUpload, InvalidInput
from app.core.names import job_name_of
from app.core.submission import FIELDS, Asked, read_fields, refuse
from app.core.targets import PLACE_FIELDS, TARGETS_FIELD, Target, read_targets
from app.db import idempotency
from app.db.batches import BatchDetail
from app.db.jobs import JobDetail
from app.usecases.batches import Order, create_batch
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
from app.usecases.intake import IncomingFile, Intake
from app.usecases.ruling import Ruling, judge, missing
from app.usecases.targets import judge_files_of_each, judge_targets

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
        if name not in FIELDS and name != TARGETS_FIELD:
            known = ", ".join(sorted(FIELDS | {FILE_FIELD, FILE_ID_FIELD, TARGETS_FIELD}))
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
        if self._has(TARGETS_FIELD) and any(self._has(field) for field in PLACE_FIELDS):
            raise refuse(
                TARGETS_FIELD,
                "targets_and_service",
                "The form names a service or panel both by itself and in targets",
                "Send targets, or service_id and reference_panel_id.",
            )

    def _has(self, name: str) -> bool:
        return bool(self._fields.get(name, "").strip())

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

    async def open_file(
        self, name: str, file_name: str, expected_bytes: int | None
    ) -> IncomingFile:
        """Judge what is known by now, then begin a file. Raises AppError."""
        if name != FILE_FIELD:
            raise refuse(
                FILE_FIELD,
                "unknown_field",
                "Files belong into the field input_file",
                "With curl: -F input_file=@chr20.vcf.gz",
            )
        asked, targets = self._read()
        known = frozenset(self._fields)
        if self._is_repeat:
            pass  # what it asks for was judged when it was answered
        elif targets:
            await judge_targets(self._deps, self._actor, targets, known)
        else:
            await judge(self._deps, self._actor, asked, known)
        file = await self._intake.open(file_name, expected_bytes)
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

    def _read(self) -> tuple[Asked, list[Target]]:
        """Give what the form asks for by itself, and its targets, if it has any. Raises InvalidInput."""
        common = {name: value for name, value in self._fields.items() if name in FIELDS}
        text = self._fields.get(TARGETS_FIELD, "").strip()
        return read_fields(common), read_targets(text, common) if text else []

    async def submit(
        self, once: Once | None, is_gone: Callable[[], bool]
    ) -> JobDetail | BatchDetail:
        """Create the job or the batch, unless the client `is_gone` by then.

        Raises AppError, AlreadyDone; then nothing of it is left.
        """
        deps, actor, intake = self._deps, self._actor, self._intake
        asked, targets = self._read()
        rulings = await self._judge(asked, targets)
        if not (intake.files or self._file_ids):
            raise missing(FILE_FIELD, "Send a file: with curl, -F input_file=@chr20.vcf.gz")
        old = await find_inputs(deps, actor, self._file_ids)
        facts = [await facts_of(deps, file) for file in old] + await intake.inspect()
        if targets:
            judge_files_of_each(rulings, facts)
        else:
            judge_files(rulings[0], facts)
        kept = await intake.keep()
        if is_gone():
            raise BrokenUpload("The client went away before the job was created")
        made: JobDetail | BatchDetail
        async with deps.pool.acquire() as conn, conn.transaction():
            new = [
                await insert_input(deps, conn, actor, file.name, stored, known)
                for file, stored, known in zip(intake.files, kept, facts[len(old) :], strict=True)
            ]
            inputs = [*old, *new]
            label = Label(asked.name or job_name_of(inputs[0].name), asked.description)
            if targets:
                orders = [
                    Order(ruling, inputs, target.asked.name or label.name)
                    for ruling, target in zip(rulings, targets, strict=True)
                ]
                made = await create_batch(deps, conn, actor, orders, label)
            else:
                made = await create_job(deps, conn, actor, rulings[0], inputs, label)
            if once is not None:
                await once.remember(conn, made)
            await intake.release(conn)
        for detail in made.jobs if isinstance(made, BatchDetail) else [made]:
            await hand_over(deps, detail.job)
        return made

    async def judge(self) -> None:
        """Judge all that the form says, but no file. Raises AppError."""
        await self._judge(*self._read())

    async def _judge(self, asked: Asked, targets: list[Target]) -> list[Ruling]:
        if targets:
            return await judge_targets(self._deps, self._actor, targets)
        ruling = await judge(self._deps, self._actor, asked)
        if ruling is None:
            raise missing("service_id", "GET /services lists the services.")
        return [ruling]


async def is_repeat(deps: Deps, actor: Actor, route: str, key: str | None) -> bool:
    """Tell whether a request with this Idempotency-Key was answered before: then what it asks for is not judged anew."""
    if key is None:
        return False
    found = await idempotency.find_answer(deps.pool, user_id=actor.id, route=route, key=key)
    return found is not None
