"""What every use case needs, built once at start, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

import asyncpg

from app.adapters.registry import AdapterRegistry
from app.core.models import User
from app.db.gathering import Gathering
from app.db.jobs import JobDetail, find_own_details
from app.genotypes.inspector import Inspector
from app.mail import Mailer
from app.security.links import LinkSigner
from app.security.passwords import Passwords
from app.security.tokens import TokenSigner
from app.security.vault import Vault
from app.settings import Settings
from app.storage import LocalStore
from app.usecases.recent import RecentUsers


class Enqueue(Protocol):
    """Hands a step to the workers. Never raises: what cannot be handed over is found again in PostgreSQL."""

    async def __call__(self, task: str, *args: str | int, key: str) -> None:
        """Enqueue `task(*args)`; `key` makes a doubled hand-over one."""


def utc_now() -> datetime:
    """The clock of use cases; core gets `now` as an argument."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything that a use case may touch."""

    settings: Settings
    pool: asyncpg.Pool
    store: LocalStore
    mailer: Mailer
    vault: Vault
    passwords: Passwords
    tokens: TokenSigner
    links: LinkSigner
    adapters: AdapterRegistry
    inspector: Inspector
    enqueue: Enqueue
    owner: str
    """Names this process in leases; another process, or this one after a restart, has another."""
    now: Callable[[], datetime] = utc_now
    recent_users: RecentUsers = field(default_factory=RecentUsers)
    job_details: Gathering[tuple[UUID, int], JobDetail | None] = field(init=False)
    """Gives a job with its input files to the user who asks for it, as pairs of their ids; None where it is not his."""

    def __post_init__(self) -> None:
        gathering = Gathering(partial(find_own_details, self.pool))
        object.__setattr__(self, "job_details", gathering)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and from where (for the audit log)."""

    user: User
    address: str | None = None

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def is_admin(self) -> bool:
        return self.user.is_admin
