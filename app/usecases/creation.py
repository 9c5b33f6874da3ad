"""Creating a job: its row, its files, its first two changes, its notice and its audit entry, in the caller's transaction."""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from app.core.changes import Change
from app.core.errors import NotFound
from app.core.jobs import Action, Event, Status
from app.core.models import File, Job, build
from app.core.names import UniqueNames, content_type_of, travel_name
from app.core.notices import NoticeEvent
from app.db.engine import ENGINE
from app.db.files import FILES
from app.db.jobs import JOBS, JobDetail, ensure_account, with_inputs
from app.db.queries import Connection
from app.genotypes.facts import VcfFacts
from app.genotypes.fileset import check_phasing, check_set
from app.storage import StoredFile
from app.usecases import audit
from app.usecases.deps import Actor, Deps
from app.usecases.engine.changes import record
from app.usecases.intake import inspect_stored, refuse_file
from app.usecases.room import no_room
from app.usecases.ruling import Ruling, judge_open_jobs

_PASSWORD_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_CHARS = 24
_SOME_ENGINE = "default"


@dataclass(frozen=True, slots=True)
class Label:
    """What a person calls a job, which job it tries again, and its place in the batch that it belongs to."""

    name: str
    description: str
    retry_of: UUID | None = None
    batch_id: UUID | None = None
    batch_position: int | None = None


async def find_inputs(deps: Deps, actor: Actor, file_ids: Sequence[int]) -> list[File]:
    """Give the actor's stored input files, in this order. Raises NotFound."""
    rows = await FILES.list_inputs.rows(deps.pool, ids=list(file_ids), user_id=actor.id)
    by_id = {row["id"]: build(File, row) for row in rows}
    if len(by_id) != len(file_ids):
        raise NotFound("There is no such input file", action="GET /files?kind=input lists yours.")
    return [by_id[file_id] for file_id in file_ids]


async def facts_of(deps: Deps, file: File) -> VcfFacts:
    """Give what the structure check found in a stored file, checking it again where that is not known. Raises AppError."""
    try:
        return msgspec.convert(file.facts, VcfFacts)
    except msgspec.ValidationError:
        return await inspect_stored(deps, file)


def judge_files(ruling: Ruling, facts: Sequence[VcfFacts]) -> None:
    """Judge files against each other, the build and the phasing. Raises InvalidInput."""
    engine = (ruling.phasing_engine or _SOME_ENGINE) if ruling.phasing else None
    findings = [*check_set(facts, ruling.build), *check_phasing(facts, engine)]
    if errors := [finding for finding in findings if finding.severity == "error"]:
        raise refuse_file(errors)


async def insert_input(
    deps: Deps,
    conn: Connection,
    actor: Actor,
    name: str,
    stored: StoredFile,
    facts: VcfFacts,
    *,
    kept: bool = False,
) -> File:
    """Write an input file down. `kept` ones outlive the jobs that used them. Raises QuotaExceeded."""
    await hold_user(conn, actor)
    row = await FILES.insert_file.row(
        conn,
        user_id=actor.id,
        name=name,
        storage_key=stored.key,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        crc32=stored.crc32,
        content_type=content_type_of(name),
        facts=msgspec.to_builtins(facts),
        kept=kept,
        expires_at=_input_end(deps),
    )
    if row is None:
        raise LookupError("an insert gave no row")
    used = await FILES.sum_stored.value(conn, user_id=actor.id)
    if used > deps.settings.max_stored_bytes_per_user:
        raise no_room()
    return build(File, row)


async def create_job(
    deps: Deps,
    conn: Connection,
    actor: Actor,
    ruling: Ruling,
    inputs: Sequence[File],
    label: Label,
) -> JobDetail:
    """Create a queued job over stored inputs. Raises NotFound when an input was deleted meanwhile, QuotaExceeded."""
    await hold_user(conn, actor)
    await judge_open_jobs(deps, actor, conn)
    ids = [file.id for file in inputs]
    held = await FILES.hold_inputs.rows(conn, ids=ids, user_id=actor.id)
    if len(held) != len(ids):
        raise NotFound("An input file was deleted meanwhile")
    job = await _insert_job(deps, conn, actor, ruling, ids, label)
    names = UniqueNames()
    for position, file in enumerate(inputs):
        await FILES.insert_job_input.run(
            conn,
            job_id=job.id,
            file_id=file.id,
            name=travel_name(file.name, names),
            position=position,
        )
    await FILES.use_inputs.run(conn, ids=ids, expires_at=_input_end(deps))
    job = await _enqueue(deps, conn, job)
    action = "job.submitted" if label.retry_of is None else "job.retried"
    details: dict[str, object] = {
        "service_id": job.service_id,
        "panel": job.panel_key,
        "file_ids": ids,
    }
    for origin in ("retry_of", "batch_id"):
        if (origin_id := getattr(label, origin)) is not None:
            details[origin] = str(origin_id)
    await audit.record(
        conn,
        action,
        actor=actor,
        resource_type="job",
        resource_id=job.id,
        details=details,
    )
    return (await with_inputs(conn, [job]))[0]


async def hand_over(deps: Deps, job: Job) -> None:
    """Tell the workers of a new job; should that be lost, they find it in the database."""
    await deps.enqueue("submit_next", job.account_id, key=f"submit:{job.account_id}:{job.id}")
    await deps.enqueue("deliver_mail", key="mail")


async def hold_user(conn: Connection, actor: Actor) -> None:
    """Let quotas be counted by one transaction of the user's at a time."""
    await JOBS.hold_user.run(conn, user_id=actor.id)


async def _insert_job(
    deps: Deps,
    conn: Connection,
    actor: Actor,
    ruling: Ruling,
    input_ids: Sequence[int],
    label: Label,
) -> Job:
    job_id = uuid4()
    # Servers paste the password into YAML and shell scripts, and read what looks like a number or a boolean as one: letters
    # and digits after a fixed word stay what they are (cloudgene3 MapValueParser.guessType, imputationserver2 main.nf).
    password = "fi-" + "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(_PASSWORD_CHARS))
    sealed, key_id = deps.vault.seal(password, "archive", job_id)
    account_id = await ensure_account(conn, ruling.service.id, ruling.account_user_id)
    row = await JOBS.insert_job.row(
        conn,
        id=job_id,
        user_id=actor.id,
        name=label.name,
        description=label.description,
        service_id=ruling.service.id,
        account_id=account_id,
        reference_panel_id=ruling.panel.id,
        panel_key=ruling.panel.key,
        panel_name=ruling.panel.name,
        input_format="vcf",
        build=ruling.build,
        phasing=ruling.phasing,
        phasing_engine=ruling.phasing_engine,
        population=ruling.population,
        options=ruling.options,
        input_file_id=input_ids[0],
        input_count=len(input_ids),
        retry_of=label.retry_of,
        batch_id=label.batch_id,
        batch_position=label.batch_position,
        remote_name=f"fi-{uuid4().hex}",
        archive_secret=sealed,
        archive_secret_key_id=key_id,
        now=deps.now(),
    )
    if row is None:
        raise LookupError("an insert gave no row")
    return build(Job, row)


async def _enqueue(deps: Deps, conn: Connection, job: Job) -> Job:
    """Take the first two steps of the job's life."""
    await ENGINE.insert_status_update.value(
        conn,
        job_id=job.id,
        user_id=job.user_id,
        status=Status.PENDING,
        stage=None,
        progress_percentage=0,
        message="Job created",
    )
    queued = Change(
        Event.ENQUEUE,
        "Job queued for processing",
        fields={"next_action": Action.SUBMIT, "next_action_at": deps.now()},
        notices=(NoticeEvent.JOB_QUEUED,),
    )
    written = await record(deps, conn, job, queued)
    if written is None:
        raise LookupError("a job moved inside the transaction that made it")
    return written


def _input_end(deps: Deps) -> datetime:
    return deps.now() + timedelta(seconds=deps.settings.input_retention_s)
