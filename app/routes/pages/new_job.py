"""A new job: one page that grows with what is chosen, and the form that makes a job or a batch of it.

With scripts, the files go to `POST /jobs` and the page shows how far they are (`static/js/new-job-sending.js`); without, the same form
comes here. Both make their job by the same `JobForm`.
"""

import re
import secrets
from dataclasses import replace
from uuid import UUID

import msgspec
from aiohttp import web
from multidict import MultiDict, MultiMapping

from app.core.choosing import (
    Choices,
    at_page_fields,
    ensure_chosen,
    form_fields,
    page_fields,
    read_choices,
)
from app.core.errors import (
    AppError,
    FieldError,
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
)
from app.db.batches import BatchDetail
from app.db.jobs import JobDetail
from app.genotypes.builds import CHROMOSOMES, CONTIG_LENGTHS, NAMES
from app.genotypes.remarks import FEW_SAMPLES
from app.keys import REQUEST_ID
from app.routes.api.transfer import UPLOAD, is_gone
from app.routes.pages.new_job_cards import NEW_JOB, make_cards, make_form
from app.routes.pages.new_job_form import PageForm
from app.settings import Settings
from app.usecases.idempotency import AlreadyDone
from app.usecases.intake import Intake
from app.usecases.offers import choices_like, list_choosable_files, list_offers
from app.usecases.submission import JobForm
from app.web import problem
from app.web.endpoint import UUID_PATTERN, Call, Endpoint, json_response
from app.web.pages import action, page, render, see_other
from app.web.problem import status_of
from app.web.reading import is_text
from app.web.upload import UploadLimits, read_form
from app.web.ways_out import WAYS, at_page, plain

BUILDS = (
    ("", "Choose…"),
    ("hg19", "hg19 (GRCh37, b37)"),
    ("hg38", "hg38 (GRCh38)"),
)


async def show(call: Call) -> web.Response:
    """Give the page: empty, as the address says, or like the job that `from` names."""
    query = call.request.query
    choices = _read(query)
    like = query.get("from", "")
    if re.fullmatch(UUID_PATTERN, like):
        choices = await choices_like(call.deps, call.actor, UUID(like))
    if (file_id := query.get("file", "")).isascii() and file_id.isdigit() and len(file_id) <= 18:
        ids = dict.fromkeys((*choices.file_ids, int(file_id)))
        choices = replace(choices, file_ids=tuple(ids))
    return await _show(call, choices)


async def show_service(call: Call) -> web.Response:
    """Give the part of one service, as it is with these choices, and with it what will be sent."""
    choices = _read(call.request.query)
    asked = call.request.query.get("id", "")
    wanted = {int(asked)} if re.fullmatch(r"[0-9]{1,9}", asked) else set[int]()
    wanted |= {place.service_id for place in choices.places}
    offers, _ = await list_offers(call.deps, call.actor, wanted, _words(call))
    cards = make_cards(offers, choices)
    card = next((item for item in cards if str(item.id) == asked), None)
    if card is None:
        raise NotFound("There is no such service", action="Load the page again.")
    return await render(
        call,
        "_partials/new_job_service.html",
        card=card,
        cards=cards,
        form=make_form(choices, cards),
        with_sending=True,
        settings=call.deps.settings,
    )


async def check(call: Call) -> web.Response:
    """Judge the choices before anything is uploaded; give the fields that `POST /jobs` takes for them.

    `upload_bytes` says how large the files are together that will be.
    """
    given: MultiMapping[str] = MultiDict() if call.fields is None else call.fields
    choices = read_choices(given.items())
    upload_bytes = given.get("upload_bytes", "")
    try:
        ensure_chosen(choices)
        fields = form_fields(choices)
        async with Intake(call.deps, call.actor) as intake:
            form = JobForm(call.deps, call.actor, intake, is_repeat=False)
            for name, value in fields.items():
                form.take_field(name, value)
            await form.judge()
            if re.fullmatch(r"[0-9]{1,15}", upload_bytes):
                await intake.ensure_room(int(upload_bytes))
    except AppError as error:
        refused = at_page(at_page_fields(error, choices))
        return problem.respond(refused, call.request[REQUEST_ID])
    targets = [(place.service_id, panel_id) for place, panel_id in choices.targets]
    return json_response({"fields": fields, "targets": targets, "input_file_ids": choices.file_ids})


async def submit(call: Call) -> web.Response:
    """Take the form whole, with its files."""
    deps, actor = call.deps, call.actor
    async with Intake(deps, actor) as intake:
        form = PageForm(JobForm(deps, actor, intake, is_repeat=False))
        try:
            await read_form(call.request, form, UploadLimits.of(deps.settings))
            return see_other(await _make(call, form))
        except AppError as error:
            refused = _in_words_of_the_page(at_page_fields(error, form.choices))
            key = None if isinstance(error, IdempotencyKeyReused) else form.key
            return await _show(call, form.choices, error=refused, key=key)


async def _make(call: Call, form: PageForm) -> str:
    """Make the job, or find the one that this very form has made; give its page."""
    form.tell()
    call.idempotency_key = form.key
    if (replayed := await call.replay(form.job.content())) is not None:
        return _path_in(replayed)
    once = call.once(lambda made: {"path": _path_of(made)})
    try:
        return _path_of(await form.job.submit(once, lambda: is_gone(call)))
    except AlreadyDone:
        return _path_in(await call.replay_twin())


def _path_of(made: JobDetail | BatchDetail) -> str:
    if isinstance(made, BatchDetail):
        return f"/ui/batches/{made.summary.batch.id}"
    return f"/ui/jobs/{made.job.id}"


def _path_in(answer: web.Response) -> str:
    return str(msgspec.json.decode(answer.body or b"")["path"])  # type: ignore[arg-type]


def _in_words_of_the_page(error: AppError) -> AppError:
    if isinstance(error, IdempotencyKeyReused):
        return IdempotencyKeyReused(
            "This page has made a job already, with other choices",
            action="Look at your jobs. If you want this one as well, send the form once more.",
        )
    if error.code == "missing_field" and [item.field for item in error.errors] == ["input_file"]:
        message = "Choose at least one file"
        return InvalidInput(
            message, code=error.code, errors=[FieldError("input_file", message)], action=""
        )
    return error


async def _show(
    call: Call, choices: Choices, *, error: AppError | None = None, key: str | None = None
) -> web.Response:
    deps = call.deps
    chosen = {place.service_id for place in choices.places}
    words = _words(call)
    offers, fitting = await list_offers(deps, call.actor, chosen, words)
    stored, total = await list_choosable_files(deps, call.actor, choices.file_ids)
    if not choices.build:
        guesses = {
            (file.facts or {}).get("build_guess") for file in stored if file.id in choices.file_ids
        }
        if len(guesses) == 1 and (guess := next(iter(guesses))) is not None:
            choices = replace(choices, build=guess)
    cards = make_cards(offers, choices)
    return await render(
        call,
        "pages/new_job.html",
        status=200 if error is None else status_of(error),
        cards=cards,
        words=words,
        kept_fields=page_fields(choices),
        fitting=fitting,
        has_more=bool(words) or fitting > len(offers),
        choices=choices,
        form=make_form(choices, cards, error),
        file_errors=[plain(item.message) for item in error.errors if item.field == "input_file"]
        if error is not None
        else [],
        stored=stored,
        stored_total=total,
        builds=BUILDS,
        facts=_facts(deps.settings),
        key=key or secrets.token_urlsafe(18),
        settings=deps.settings,
        with_sending=False,
    )


def _words(call: Call) -> str:
    """Give the words that a service, or a panel of it, is looked for by."""
    text = call.request.query.get("find", "")
    return text[:200] if is_text(text) else ""


def _facts(settings: Settings) -> dict[str, object]:
    """Give what the check in the browser goes by: the same tables and limits as here."""
    return {
        "lengths": CONTIG_LENGTHS,
        "chromosomes": sorted(CHROMOSOMES),
        "names": {build: pattern.pattern.decode() for build, pattern in NAMES.items()},
        "ways": {code: way.text for code, way in WAYS.items()},
        "few_samples": FEW_SAMPLES,
        "max_file_bytes": settings.max_file_bytes,
        "max_upload_bytes": settings.max_upload_bytes,
        "max_files": settings.max_files_per_job,
    }


def _read(query: MultiMapping[str]) -> Choices:
    return read_choices((name, value) for name, value in query.items() if is_text(value))


PAGES: tuple[Endpoint, ...] = (
    page(NEW_JOB, show, "new_job", "A new job"),
    page(f"{NEW_JOB}/service", show_service, "new_job_service", "What one service asks"),
    action(f"{NEW_JOB}/check", check, "new_job_check", "Judge a new job before its upload"),
    action(NEW_JOB, submit, "new_job_post", "Submit a job or a batch", raw_body=UPLOAD),
)
