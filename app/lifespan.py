"""Everything that the process opens, in one visible order; closed in the reverse one.

servers (our own PostgreSQL and Valkey where none is set) → migrations → storage → remote connections → workers.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
import structlog

from app import VERSION
from app.adapters.registry import AdapterRegistry
from app.adapters.transport import Timeouts, Transport, user_agent
from app.db.engine import ENGINE
from app.db.migrations import migrate
from app.db.pool import open_pool
from app.genotypes.inspector import Inspector
from app.mail import build_mailer
from app.security.files import ensure_secrets
from app.security.links import LinkSigner
from app.security.passwords import Passwords
from app.security.tokens import TokenSigner
from app.security.vault import Vault, parse_keys
from app.servers import Servers, background, open_servers
from app.settings import Settings
from app.storage import LocalStore
from app.tasks.dispatcher import every, run_dispatcher, run_upkeep
from app.tasks.handover import Enqueuer
from app.tasks.poller import Poller
from app.tasks.worker import run_worker
from app.usecases.deps import Deps
from app.usecases.engine.clock import DatabaseClock
from app.usecases.engine.leases import give_leases_back
from app.usecases.events import EventHub
from app.usecases.recent import MAX_AGE_S, RecentUsers

log = structlog.get_logger(__name__)

CLOCK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Platform:
    """What is open while the process runs."""

    deps: Deps
    servers: Servers
    enqueuer: Enqueuer
    events: EventHub


@asynccontextmanager
async def open_database(servers: Servers, settings: Settings) -> AsyncIterator[asyncpg.Pool]:
    """Give a pool on the migrated database. Raises MigrationError."""
    pool = await open_pool(servers.database_url, size=settings.pool_size)
    try:
        async with pool.acquire() as connection:
            ran = await migrate(connection)
        if ran:
            log.info("database.migrated", migrations=ran)
        yield pool
    finally:
        try:
            async with asyncio.timeout(5.0):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def timeouts(settings: Settings) -> Timeouts:
    """Give the limits of remote calls."""
    return Timeouts(
        connect_s=settings.remote_connect_timeout_s,
        call_s=settings.remote_answer_timeout_s,
        upload_answer_s=settings.upload_answer_timeout_s,
        download_read_s=settings.remote_read_timeout_s,
    )


@asynccontextmanager
async def open_platform(
    settings: Settings, *, work: bool = True, join: bool = False
) -> AsyncIterator[Platform]:
    """Open everything, the servers first (`app.servers.open_servers`). `work` also runs the engine."""
    settings = ensure_secrets(settings)
    async with (
        open_servers(settings, join=join) as servers,
        open_platform_on(servers, settings, work=work) as platform,
    ):
        yield platform


@asynccontextmanager
async def open_platform_on(
    servers: Servers, settings: Settings, *, work: bool = True
) -> AsyncIterator[Platform]:
    """Open everything above the servers, with settings that have their secrets.

    `work` also runs the engine: dispatcher, arq worker, poller, upkeep.
    """
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_database(servers, settings))
        clock = DatabaseClock()
        await clock.read(pool)
        reading = every(CLOCK_EVERY_S, "clock", lambda: clock.read(pool))
        await background(stack, reading, "clock")
        transport = Transport(
            allowed_networks=settings.allowed_networks,
            timeouts=timeouts(settings),
            user_agent=user_agent(VERSION, settings.public_url),
        )
        stack.push_async_callback(transport.close)
        inspector = Inspector()
        stack.push_async_callback(inspector.close)
        enqueuer = Enqueuer(servers.redis_url)
        stack.push_async_callback(enqueuer.close)
        deps = Deps(
            settings=settings,
            pool=pool,
            store=LocalStore(settings.data_dir / "files", settings.min_free_bytes),
            mailer=build_mailer(settings),
            vault=Vault(parse_keys(settings.credential_keys)),
            passwords=Passwords(settings.bcrypt_cost, settings.login_attempts_per_minute),
            tokens=TokenSigner(settings.jwt_secret, settings.token_lifetime_s),
            links=LinkSigner(settings.link_secret),
            adapters=AdapterRegistry(transport),
            inspector=inspector,
            enqueue=enqueuer,
            owner=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
            now=clock,
            recent_users=RecentUsers(MAX_AGE_S),
        )
        events = EventHub(pool)
        await background(stack, events.run(), "events")
        if servers.ours:
            await ENGINE.free_leases.run(pool)
        if work:
            await start_engine(stack, deps, servers)
        yield Platform(deps, servers, enqueuer, events)


async def start_engine(stack: AsyncExitStack, deps: Deps, servers: Servers) -> None:
    """Start the engine's loops; they end with the stack, which then gives back what they had in hand."""
    stack.push_async_callback(give_leases_back, deps)
    await background(stack, run_worker(deps, servers.redis_url, alone=servers.ours), "worker")
    await background(stack, run_dispatcher(deps), "dispatcher")
    await background(stack, Poller(deps).run(), "poller")
    await background(stack, run_upkeep(deps), "upkeep")
