"""Which jobs there are: looking them up, counting them, keeping them on disk."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.sandbox.jobs.model import OPEN, Folders, Job, ResultFile
from app.sandbox.jobs.store import JobStore, now_ms


class JobBook:
    """All jobs, in memory and through ``store`` on disk. Used from the event loop only."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self._jobs: dict[str, Job] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job

    def find(self, job_id: str) -> Job | None:
        """The job of the Cloudgene dialect, unless it is deleted."""
        job = self._jobs.get(job_id)
        return None if job is None or job.is_gone or job.wes is not None else job

    def find_run(self, run_id: str) -> Job | None:
        """The run of the WES dialect, unless it is deleted."""
        job = self._jobs.get(run_id)
        return None if job is None or job.is_gone or job.wes is None else job

    def list_runs(self, user: str | None) -> list[Job]:
        """The runs of a user (None: of all), the newest first."""
        runs = (j for j in self._jobs.values() if j.wes is not None and not j.is_gone)
        mine = (j for j in runs if user is None or j.user == user)
        return sorted(mine, key=lambda j: j.number, reverse=True)

    def list_all(self) -> Iterator[Job]:
        """Every job that was ever accepted, also those that are gone."""
        return iter(list(self._jobs.values()))

    def list_of(self, user: str) -> list[Job]:
        """A user's jobs as Cloudgene's database has them, the newest first."""
        mine = (j for j in self._jobs.values() if j.user == user and not j.is_gone)
        return sorted(
            (j for j in mine if not j.unlisted and j.wes is None),
            key=lambda j: j.number,
            reverse=True,
        )

    def count_open(self, user: str) -> int:
        return sum(j.user == user and j.state in OPEN for j in self._jobs.values())

    def find_output(self, output_hash: str) -> Job | None:
        for job in self._jobs.values():
            if job.output_hash == output_hash and not job.is_gone:
                return job
        return None

    def find_download(self, digest: str) -> tuple[Job, ResultFile] | None:
        """The file behind a download's hash, and its job."""
        for job in self._jobs.values():
            result = None if job.is_gone else job.find_result(digest=digest)
            if result is not None:
                return job, result
        return None

    def folders(self, job: Job) -> Folders:
        return self.store.folders(job.id)

    def result_path(self, job: Job, result: ResultFile) -> Path:
        return self.folders(job).output / result.name

    async def save(self, job: Job) -> None:
        """Write the job to disk as it is now; of two writes at once the later state stays."""
        async with self._locks.setdefault(job.id, asyncio.Lock()):
            record = msgspec.json.encode(job)
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(self.store.save, job.id, record)

    def new_id(self) -> tuple[str, int]:
        """An id as ``JobService.createId`` makes it, moved on by milliseconds until it is free, and a number."""
        milliseconds = now_ms()
        while True:
            seconds, rest = divmod(milliseconds, 1000)
            job_id = time.strftime("job-%Y%m%d-%H%M%S", time.localtime(seconds)) + f"-{rest:03d}"
            if job_id not in self._jobs:
                return job_id, self.new_number()
            milliseconds += 1

    def new_number(self) -> int:
        return 1 + max((j.number for j in self._jobs.values()), default=0)
