"""Sending a job's files to the remote, while its owner sees how far that is."""

import asyncio

from app.adapters.base import Submission
from app.core.changes import SUBMITTED_PROGRESS, Change
from app.core.jobs import Event, Stage
from app.core.models import Job
from app.usecases.deps import Deps
from app.usecases.engine.changes import apply
from app.usecases.engine.leases import Lease
from app.usecases.engine.remote import Remote

PROGRESS_EVERY_S = 1.0


async def upload(deps: Deps, job: Job, remote: Remote, submission: Submission, lease: Lease) -> str:
    """Send a job; give the remote's id. Raises as `base.Adapter.submit`.

    A process that was suspended may have lost its lease, and with it the job, without a chance to notice: before each piece of
    the body the lease is checked, so that an upload does not go on beside another one.
    """
    total = max(1, sum(item.size_bytes for item in submission.files))
    sent = 0

    def note(count: int) -> None:
        nonlocal sent
        lease.check()
        sent = count

    async def show() -> None:
        shown = job.progress_percentage
        while True:
            await asyncio.sleep(PROGRESS_EVERY_S)
            percent = min(SUBMITTED_PROGRESS - 1, sent * SUBMITTED_PROGRESS // total)
            if percent > shown:
                shown = percent
                said = f"Sending to {remote.name}: {sent * 100 // total} %"
                told = Change(Event.TAKE, said, Stage.SUBMITTING, percent, release=False)
                await apply(deps, job, told)

    watcher = asyncio.create_task(show(), name="upload progress")
    try:
        return await remote.adapter.submit(submission, note)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
