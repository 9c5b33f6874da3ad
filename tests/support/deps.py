"""What use cases touch, made for a test: the real things over the test's database and folder; e-mails and tasks are recorded."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Timeouts, Transport
from app.mail import RecordingMailer
from app.security.links import LinkSigner
from app.security.passwords import Passwords
from app.security.tokens import TokenSigner
from app.security.vault import Vault
from app.settings import Settings
from app.storage import LocalStore
from app.usecases.deps import Deps
from tests.support.workers import KeptInspector


@dataclass(slots=True)
class Clock:
    """Real time, moved by what a test says."""

    moved: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.moved

    def move(self, **by: float) -> None:
        """Move on, by the arguments of `timedelta`."""
        self.moved += timedelta(**by)


@dataclass(slots=True)
class RecordingQueue:
    """Keeps what was handed to the workers, as (task, arguments)."""

    tasks: list[tuple[str, tuple[str | int, ...]]] = field(default_factory=list)

    async def __call__(self, task: str, *args: str | int, key: str) -> None:
        self.tasks.append((task, args))


@asynccontextmanager
async def open_deps(
    settings: Settings, pool: asyncpg.Pool, clock: Clock, queue: RecordingQueue
) -> AsyncIterator[Deps]:
    """Give what use cases need. Adapters may reach this machine and nothing else."""
    async with AsyncExitStack() as stack:
        transport = Transport(
            user_agent="federated-imputation-platform/test",
            allowed_networks=settings.allowed_networks,
            timeouts=Timeouts(connect_s=5, call_s=10, upload_answer_s=20, download_read_s=10),
        )
        stack.push_async_callback(transport.close)
        inspector = KeptInspector(max_workers=1)
        stack.push_async_callback(inspector.close)
        yield Deps(
            settings=settings,
            pool=pool,
            store=LocalStore(settings.data_dir / "files", settings.min_free_bytes),
            mailer=RecordingMailer(),
            vault=Vault({"k1": b"v" * 32}),
            passwords=Passwords(settings.bcrypt_cost, settings.login_attempts_per_minute),
            tokens=TokenSigner(settings.jwt_secret, settings.token_lifetime_s),
            links=LinkSigner(settings.link_secret),
            adapters=AdapterRegistry(transport),
            inspector=inspector,
            enqueue=queue,
            owner=f"test:{os.getpid()}",
            now=clock,
        )
