"""The engine without its loops: what is due is handed over and run by the test itself, against a service in memory."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import asyncpg

from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Transport
from app.core.models import File, Job, build
from app.settings import Settings
from app.storage import StoredFile
from app.tasks.dispatcher import dispatch_once
from app.tasks.worker import TASKS
from app.usecases.creation import Label, create_job
from app.usecases.deps import Actor, Deps
from app.usecases.engine.polling import look
from app.usecases.ruling import Ruling
from tests import factories
from tests.engine.fake_service import FakeAdapter, FakeService
from tests.support.deps import Clock, RecordingQueue, open_deps
from tests.support.jobs import Desk, make_desk
from tests.support.notices import get_job
from tests.support.people import Person

QUICK: dict[str, Any] = {
    "lease_s": 60.0,
    "settle_wait_s": 5.0,
    "recovery_wait_s": 60.0,
    "retry_base_s": 5.0,
    "retry_max_s": 900.0,
}
FILE = "insert into files (user_id, kind, name, storage_key, size_bytes, sha256, crc32) values ($1, 'input', 'chr20.vcf.gz', $2, $3, $4, $5) returning *"


@dataclass(slots=True)
class Stage:
    """Deps over a test's database, a service in memory, and a clock that the test moves."""

    deps: Deps
    clock: Clock
    queue: RecordingQueue
    service: FakeService
    content: bytes = b"genotypes"
    """Of the input files that are submitted."""

    def process(self, owner: str, **changes: Any) -> Deps:
        """Give what another process of the same platform has."""
        return replace(self.deps, owner=owner, **changes)

    async def desk(self, person: Person, **service: Any) -> Desk:
        """Make a service that the person has a credential for."""
        return await make_desk(self.deps, person, **service)

    async def input(self, person: Person) -> File:
        """Store a file of the person's."""
        pending = self.deps.store.create()
        pending.write(self.content)
        stored: StoredFile = pending.commit()
        row = await self.deps.pool.fetchrow(
            FILE, person.id, stored.key, stored.size_bytes, stored.sha256, stored.crc32
        )
        return build(File, row)

    async def submit(
        self, person: Person, desk: Desk, *, shared: bool = False, **columns: Any
    ) -> Job:
        """Let a person submit a job; `columns` are written over it."""
        account = None if shared else person.id
        ruling = Ruling(desk.service, desk.panel, account, "hg19", True, None, "eur", {})
        file = await self.input(person)
        async with self.deps.pool.acquire() as conn, conn.transaction():
            label = Label("a job", "")
            made = await create_job(self.deps, conn, Actor(person.user), ruling, [file], label)
        for name, value in columns.items():
            await self.deps.pool.execute(
                f"update imputation_jobs set {name} = $2 where id = $1", made.job.id, value
            )
        return await self.job(made.job.id)

    async def job(self, job_id: UUID) -> Job:
        """Give a job as it stands."""
        return await get_job(self.deps.pool, job_id)

    async def step(self, deps: Deps | None = None) -> int:
        """Do everything that is due now, once; give how many steps that was."""
        deps = deps or self.deps
        queue = cast("RecordingQueue", deps.enqueue)
        queue.tasks.clear()
        await dispatch_once(deps)
        due = [item for item in dict.fromkeys(queue.tasks) if item[0] != "deliver_mail"]
        for name, arguments in due:
            await TASKS[name](deps, str(arguments[0]))
        return len(due)

    async def look(self, deps: Deps | None = None) -> int:
        """Look at every account with jobs at the remote, once; give how many changes that made."""
        deps = deps or self.deps
        rows = await deps.pool.fetch(
            "select distinct account_id as id from imputation_jobs where next_action = 'poll'"
        )
        return sum([(await look(deps, row["id"], 0)).changed for row in rows])

    async def until_end(
        self, job_id: UUID, deps: Deps | None = None, *, rounds: int = 60, round_s: float = 31.0
    ) -> Job:
        """Let time pass until a job has ended: remote jobs succeed, steps are done when they are due."""
        for _ in range(rounds):
            if (job := await self.job(job_id)).is_final:
                return job
            await self.step(deps)
            self.service.finish()
            await self.look(deps)
            self.clock.move(seconds=round_s)
        raise AssertionError(f"did not end: {await self.job(job_id)}\n{await self.told(job_id)}")

    async def told(self, job_id: UUID) -> list[str]:
        """Give the messages of a job's changes, oldest first."""
        rows = await self.deps.pool.fetch(
            "select message from job_status_updates where job_id = $1 order by id", job_id
        )
        return [row["message"] for row in rows]

    async def notices(self, job_id: UUID) -> Counter[str]:
        """Count the notices of a job by type."""
        rows = await self.deps.pool.fetch(
            "select type from notifications where job_id = $1", job_id
        )
        return Counter(row["type"] for row in rows)

    async def column(self, job_id: UUID, name: str) -> Any:
        """Give a column of a job's row."""
        return await self.deps.pool.fetchval(
            f"select {name} from imputation_jobs where id = $1", job_id
        )


@asynccontextmanager
async def open_stage(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Stage]:
    """Give a stage over a database."""
    clock, queue = Clock(), RecordingQueue()
    async with open_deps(replace(settings, **QUICK), pool, clock, queue) as opened:
        service = FakeService(clock)
        registry = AdapterRegistry(
            cast("Transport", None),
            {
                "michigan": lambda _transport, _url, _config, credential: FakeAdapter(
                    service, credential
                )
            },
        )
        deps = replace(opened, adapters=registry, owner="first")
        yield Stage(deps, clock, queue, service)


async def make_person(stage: Stage, name: str) -> Person:
    """Make somebody with an account."""
    return await factories.make_person(stage.deps, name)
