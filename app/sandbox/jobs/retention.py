"""What time does to jobs that ended: the date of deletion is announced, then the files go.

cloudgene3 ``JobCleanUpService``, without the mail.
"""

import asyncio

from app.sandbox.config import SandboxConfig
from app.sandbox.jobs.book import JobBook
from app.sandbox.jobs.model import ENDED, NOTIFIED, Job, State
from app.sandbox.jobs.store import now_ms


def notify(job: Job, config: SandboxConfig) -> None:
    """4 becomes 8, 5 and 6 become 9, and the date of deletion is known."""
    job.state = NOTIFIED.get(job.state, job.state)
    job.deleted_on = job.ended_on + int(config.retention_s * 1000)


async def retire(book: JobBook, job: Job) -> None:
    """The files go, and the log and the password with them; rows and steps stay."""
    job.state = State.RETIRED
    job.inputs.pop("password", None)
    job.log = []
    await asyncio.to_thread(book.store.remove_files, job.id)


async def age(book: JobBook, job: Job, config: SandboxConfig) -> None:
    """Do what is due for a job now."""
    now = now_ms()
    notice_s = min(config.notify_after_s, config.retention_s)
    if job.state in ENDED and job.rows and now >= job.ended_on + notice_s * 1000:
        notify(job, config)
        await book.save(job)
    if job.state in NOTIFIED.values() and now >= job.deleted_on > 0:
        await retire(book, job)
        await book.save(job)
