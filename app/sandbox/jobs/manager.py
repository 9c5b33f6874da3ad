"""The queue: takes jobs in, runs them in order, moves them through their states."""

import asyncio
import sys
import time
import uuid
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.sandbox.config import SandboxConfig
from app.sandbox.engine.backend import Backend
from app.sandbox.engine.model import Cancellation, Cancelled
from app.sandbox.faults import FaultBox
from app.sandbox.jobs import retention, transfers
from app.sandbox.jobs.book import JobBook
from app.sandbox.jobs.model import ENDED, OPEN, Job, ResultFile, State, WesRequest
from app.sandbox.jobs.runner import StepReporter, describe, run_engine, write_log
from app.sandbox.jobs.store import JobStore, now_ms
from app.sandbox.jobs.underway import Underway
from app.sandbox.panels import find_panel

_RACE_S = 0.15  # how long each state of the cancel race is visible
_UPKEEP_S = 0.05
_MAX_NAME = 300  # cloudgene3: the column is varchar(300)
_MAX_USER_AGENT = 350


class Jobs:
    """All jobs of the sandbox. Everything but the engine runs in the event loop."""

    def __init__(self, config: SandboxConfig, box: FaultBox, backend: Backend) -> None:
        self._config = config
        self._box = box
        self._backend = backend
        self.book = JobBook(JobStore(config.data_dir))
        self._queue: list[Job] = []
        self._running: dict[str, Underway] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(max(1, config.max_running), thread_name_prefix="engine")
        self._stopping = False

    async def start(self) -> None:
        """Read the jobs of earlier runs; those that were open are dead (``PersistentWorkflowEngine``)."""
        await asyncio.to_thread(self.book.store.clear_uploads)
        for job in await asyncio.to_thread(self.book.store.load_all):
            self.book.add(job)
            if job.state in OPEN:
                job.state = State.DEAD
                await self.book.save(job)
            elif job.state in ENDED and not job.rows:
                await self._publish_after(job, 0)
        self._spawn(self._upkeep())

    async def stop(self) -> None:
        """Stop all work. Open jobs stay as they are on disk, and are dead at the next start."""
        self._stopping = True
        for run in self._running.values():
            run.halt()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._pool.shutdown)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def position(self, job: Job) -> int:
        """0-based among the waiting, 0 while it runs, -1 when out of the queue (``Queue``)."""
        if job in self._queue:
            return self._queue.index(job)
        return 0 if job.state in OPEN else -1

    async def new_upload(self) -> Path:
        """An empty folder for a submission's files."""
        return await asyncio.to_thread(self.book.store.new_upload)

    async def submit(
        self,
        *,
        user: str,
        application: str,
        application_id: str,
        user_agent: str,
        inputs: dict[str, str],
        upload: Path,
        wes: WesRequest | None = None,
    ) -> Job:
        """Take a job in; it is on disk when this returns. A panel that is not there fails it at once."""
        job_id, number = self.book.new_id()
        if wes is not None:
            job_id = str(uuid.uuid4())
        name = inputs.get("job-name", "").strip() or job_id
        job = Job(
            id=job_id,
            number=number,
            user=user,
            name=name,
            application=application,
            application_id=application_id,
            user_agent=user_agent[:_MAX_USER_AGENT],
            submitted_on=now_ms(),
            inputs=inputs,
            files=[],
            unlisted=len(name) > _MAX_NAME and wes is None,
            wes=wes,
        )
        self.book.add(job)
        job.files = await asyncio.to_thread(self.book.store.create, job.id, upload)
        await self._enqueue(job)
        return job

    async def restart(self, job: Job) -> None:
        """Queue a dead job again."""
        job.submitted_on, job.started_on, job.ended_on = now_ms(), 0, 0
        job.steps, job.results, job.rows, job.log = [], [], False, []
        await self._enqueue(job)

    async def cancel(self, job: Job) -> None:
        """Cancel a waiting or running job; does nothing to others."""
        if job.state not in OPEN or self._box.faults.cancel_ignored:
            return
        if job in self._queue:
            self._queue.remove(job)
            await self._end(job, State.CANCELED)
            return
        job.state = State.CANCELED
        if job.wes is not None and not self._config.canceling_s:
            job.ended_on = now_ms()
        if job.id in self._running:
            self._running[job.id].halt()

    async def delete(self, job: Job) -> None:
        await self.force(job, State.DELETED)

    async def take_download(self, job: Job, result: ResultFile) -> bool:
        """Use up one download; False when none is left. A negative count is unlimited."""
        if result.left == 0 or self._box.faults.counter_exhausted:
            return False
        if result.left > 0:
            result.left -= 1
            await self.book.save(job)
        return True

    async def force(self, job: Job, state: State) -> None:
        """Put a job in a state, whatever it is doing; as if that had happened on the server."""
        if job in self._queue:
            self._queue.remove(job)
        if job.id in self._running:
            self._running[job.id].halt()
        job.state = state
        if state in ENDED and not job.ended_on:
            job.ended_on = now_ms()
        if state in {State.SUCCESS_NOTIFIED, State.FAILED_NOTIFIED}:
            job.deleted_on = now_ms() + int(self._config.retention_s * 1000)
        if state == State.RETIRED:
            await retention.retire(self.book, job)
        elif state == State.DELETED:
            await asyncio.to_thread(self.book.store.remove_files, job.id)
        await self.book.save(job)

    # The queue

    async def _enqueue(self, job: Job) -> None:
        asked = job.inputs.get("refpanel")
        if asked is not None and find_panel(self._config.panels, asked) is None:
            # AbstractJob.afterSubmission: the reason goes to the log only, and there are no steps.
            write_log(job, f"Application {asked} is not installed or wrong permissions.")
            job.state, job.ended_on, job.rows = State.FAILED, now_ms(), True
            job.ended_as = job.state
            await self.book.save(job)
            return
        job.state = State.DEAD if self._box.faults.job_dies else State.WAITING
        await self.book.save(job)
        if job.state == State.WAITING:
            self._queue.append(job)
            self._pump()

    def _pump(self) -> None:
        """Start waiting jobs while there is room."""
        while not self._stopping and len(self._running) < self._config.max_running:
            job = next((j for j in self._queue if self._may_run(j)), None)
            if job is None:
                return
            self._queue.remove(job)
            run = self._running[job.id] = Underway()
            self._spawn(self._run(job, run))

    def _may_run(self, job: Job) -> bool:
        """Not while it is made to wait, nor while an earlier run of it is still ending."""
        due = job.submitted_on + self._box.faults.wait_s * 1000
        return now_ms() >= due and job.id not in self._running

    async def _run(self, job: Job, run: Underway) -> None:
        faults = self._box.faults
        begun = time.monotonic()
        try:
            job.state, job.started_on = State.RUNNING, now_ms()
            job.open_steps()
            write_log(job, describe(job))
            await self.book.save(job)
            outcome = await self._work(job, StepReporter(job), run)
            await run.linger(begun + faults.run_s - time.monotonic())
            if job.state == State.RUNNING and outcome == State.SUCCESS:
                job.state = State.EXPORTING
                await self.book.save(job)
                await run.linger(faults.export_s)
            if job.state in {State.RUNNING, State.EXPORTING}:
                await self._end(job, outcome)
            elif job.state == State.CANCELED:
                await self._end_cancelled(job)
        finally:
            del self._running[job.id]
            self._pump()

    async def _work(self, job: Job, reporter: StepReporter, run: Underway) -> State:
        """The engine, between the transfers of a run that fetches its input or pushes its results."""
        wes, folders = job.wes, self.book.folders(job)
        if wes is None:
            return await self._engine(job, reporter, run.cancel)
        try:
            wes.staging = True
            names = await run.stoppable(transfers.fetch_all(wes.urls, folders.input, self._config))
            job.files = sorted({*job.files, *names})
            wes.staging = False
            outcome = await self._engine(job, reporter, run.cancel)
            if wes.push_url and outcome == State.SUCCESS:
                await run.stoppable(transfers.push_all(folders.output, wes.push_url, self._config))
        except transfers.TransferFailed as error:
            write_log(job, f"ERROR ~ {error}")
            return State.FAILED
        except Cancelled:
            return State.CANCELED
        finally:
            wes.staging = False
        return outcome

    async def _engine(self, job: Job, reporter: StepReporter, cancel: Cancellation) -> State:
        await asyncio.to_thread(self.book.store.prepare_run, job.id)
        outcome = await asyncio.get_running_loop().run_in_executor(
            self._pool,
            run_engine,
            job,
            reporter,
            self.book.folders(job),
            self._config,
            self._box.faults,
            self._backend,
            cancel,
        )
        await asyncio.to_thread(self.book.store.clear_scratch, job.id)
        return outcome

    async def _end_cancelled(self, job: Job) -> None:
        """The killed run sets FAILED before CANCELED is set for good (``AbstractJob.run``)."""
        if self._box.faults.cancel_race:
            await asyncio.sleep(_RACE_S)
            job.state = State.FAILED
            await asyncio.sleep(_RACE_S)
        if job.wes is not None:
            await asyncio.sleep(self._config.canceling_s)
        await self._end(job, State.CANCELED)

    async def _end(self, job: Job, state: State) -> None:
        """Set the final state; the download rows follow a little later, as on a real server."""
        faults = self._box.faults
        job.state, job.ended_on, job.ended_as = state, now_ms(), state
        write_log(job, f"Job ended in state {int(state)}. Data Export successful.")
        await self.book.save(job)
        delay = self._config.export_delay_s if faults.rows_delay_s is None else faults.rows_delay_s
        self._spawn(self._publish_after(job, delay))

    async def _publish_after(self, job: Job, delay_s: float) -> None:
        """Write the download rows, then do what faults ask of a job that ended."""
        await asyncio.sleep(delay_s)
        faults = self._box.faults
        limit = self._config.max_downloads
        job.results = await asyncio.to_thread(self.book.store.list_results, job.id, limit)
        job.rows = True
        if faults.vanish_at_end or job.unlisted:
            job.state = State.DELETED
        elif faults.retire_at_once:
            await retention.retire(self.book, job)
        elif faults.notify_at_once:
            retention.notify(job, self._config)
        await self.book.save(job)

    async def _upkeep(self) -> None:
        """Start jobs that were made to wait; announce deletions; delete."""
        while True:
            await asyncio.sleep(_UPKEEP_S)
            self._pump()
            for job in self.book.list_all():
                await retention.age(self.book, job, self._config)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            sys.stderr.write(f"sandbox: a job's task failed: {error!r}\n")
