"""What every use case needs, built once at start, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import asyncpg

from app.adapters.registry import AdapterRegistry
from app.core.models import User
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
