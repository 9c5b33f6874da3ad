"""What is sent: a job's files, its choices, and the links that its service needs to fetch them and to push results."""

from app.adapters.base import InputFile, Submission
from app.core.models import Job, JobFile
from app.db.engine import list_input_files
from app.db.jobs import JOBS
from app.usecases.deps import Deps
from app.usecases.engine.remote import Remote
from app.usecases.remote_links import sign_input, sign_sheet, sign_upload


async def prepare(deps: Deps, job: Job, remote: Remote) -> Submission | None:
    """Give what is sent; None when an input file has gone. Raises VaultError.

    Links are the same at every try, so that a run of which we lost track can be told by their use.
    """
    stored = await list_input_files(deps.pool, job.id)
    count = await JOBS.get_input_count.value(deps.pool, job_id=job.id)
    if len([item for item in stored if item.storage_key is not None]) != count:
        return None
    can, wait_s = remote.adapter.capabilities, remote.service.wait_limit_s
    files = tuple([await _input(deps, job, item, remote) for item in stored])
    password = deps.vault.open(job.archive_secret, job.archive_secret_key_id, "archive", job.id)
    options = dict(job.options)
    return Submission(
        name=job.remote_name,
        files=files,
        panel_key=job.panel_key,
        build=job.build,
        phasing=job.phasing_engine or job.phasing if job.phasing else False,
        population=job.population,
        mode=options.pop("mode", None),
        archive_password=password,
        options=options,
        samplesheet_url=await sign_sheet(deps, job, wait_s) if can.input_links else None,
        upload_url=await sign_upload(deps, job, wait_s) if can.upload_links else None,
    )


async def _input(deps: Deps, job: Job, item: JobFile, remote: Remote) -> InputFile:
    url = None
    if remote.adapter.capabilities.input_links:
        limit_s = remote.service.wait_limit_s
        url = await sign_input(deps, job, item.file_id, item.name, limit_s)
    return InputFile(deps.store.path(item.storage_key or ""), item.name, item.size_bytes, url)
