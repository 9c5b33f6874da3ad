"""A whole small world in one process: the platform with its engine, and sandbox servers, all over real HTTP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from app.lifespan import Platform, open_platform
from app.main import create_app
from app.sandbox import keys
from app.sandbox import tokens as sandbox_tokens
from app.sandbox.config import SandboxConfig, SandboxUser
from app.sandbox.faults import Faults
from app.sandbox.server import create_app as create_sandbox
from app.settings import Settings
from app.web.server import Runner
from tests.support.client import Client
from tests.support.people import PASSWORD, PASSWORD_HASH

FAST: dict[str, Any] = {
    "poll_interval_s": 0.1,
    "dispatch_interval_s": 0.1,
    "settle_wait_s": 0.1,
    "recovery_wait_s": 0.3,
    "retry_base_s": 0.15,
    "retry_max_s": 0.5,
    "lease_s": 5.0,
    "health_interval_s": 0.5,
    "shutdown_grace_s": 0.2,
    "remote_answer_timeout_s": 5.0,
}
INSERT_USER = "insert into users (username, email, role, password_hash) values ($1, $2, $3, $4)"


@dataclass(slots=True)
class Sandbox:
    """A running sandbox server."""

    app: web.Application
    config: SandboxConfig
    base: str
    token: str

    def set_faults(self, **faults: Any) -> None:
        """Put exactly these faults in force."""
        self.app[keys.BOX].replace(Faults(**faults))

    def jobs(self) -> list[Any]:
        """Every job it ever accepted, as it really stands."""
        return list(self.app[keys.JOBS].book.list_all())

    @property
    def stats(self) -> Any:
        """What it counted."""
        return self.app[keys.STATS]

    def new_token(self) -> str:
        """Issue another token; the former one is revoked by that."""
        self.token = sandbox_tokens.issue_token(self.config, "researcher")
        return self.token


@dataclass(slots=True)
class World:
    """The platform, signed-in clients, and sandboxes."""

    platform: Platform
    base: str
    root: Path
    stack: AsyncExitStack
    session: aiohttp.ClientSession
    alice: Client = field(init=False)
    admin: Client = field(init=False)
    sandboxes: int = 0
    settings: Settings = field(init=False)
    up: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def stop(self) -> None:
        """Stop the platform; the sandboxes, and who is signed in, stay."""
        await self.up.aclose()

    async def start(self) -> None:
        """Start the platform again, at the address that it had."""
        port = int(self.base.rpartition(":")[2])
        self.platform, _ = await _serve(self.up, self.settings, port)

    async def client(self, username: str, role: str = "user") -> Client:
        """Make an account and sign it in."""
        pool = self.platform.deps.pool
        await pool.execute(INSERT_USER, username, f"{username}@example.org", role, PASSWORD_HASH)
        client = Client(self.session, self.base)
        await client.sign_in(username, PASSWORD)
        return client

    async def sandbox(self, **config: Any) -> Sandbox:
        """Start a sandbox with the instant engine."""
        self.sandboxes += 1
        settings = SandboxConfig(
            data_dir=self.root / f"sandbox{self.sandboxes}",
            **{
                "port": 0,
                "engine": "instant",
                "max_jobs_per_user": None,
                "demo_user": SandboxUser("researcher"),
                "export_delay_s": 0.1,
                **config,
            },
        )
        app = create_sandbox(settings)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self.stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        token = sandbox_tokens.issue_token(settings, "researcher")
        return Sandbox(app, settings, base, token)

    async def add_service(self, sandbox: Sandbox, **changes: Any) -> tuple[int, int]:
        """Make a sandbox a service, with its panels and alice's credential; give (service id, panel id)."""
        slug = f"sandbox-{sandbox.base.rpartition(':')[2]}"
        body = {
            "name": f"Sandbox {self.sandboxes}",
            "slug": slug,
            "api_type": "michigan",
            "base_url": sandbox.base,
            "allow_insecure": True,
            "credential_kind": "token",
            **changes,
        }
        service = await self.admin.call("POST", "/services", json=body, expect=201)
        await self.admin.store_token(service["id"], sandbox.token)
        await self.admin.call(
            "POST", f"/services/{service['id']}/reference-panels/sync", expect=200
        )
        await self.alice.store_token(service["id"], sandbox.token)
        panels = await self.alice.call("GET", f"/services/{service['id']}/reference-panels")
        return int(service["id"]), int(panels[0]["id"])


@asynccontextmanager
async def open_world(
    settings: Settings, database_url: str, redis_url: str, root: Path, **changes: Any
) -> AsyncIterator[World]:
    """Open the platform with quick intervals; `changes` are settings, and `port` (absent: any that is free)."""
    port = changes.pop("port", 0)
    settings = replace(
        settings,
        database_url=database_url,
        redis_url=redis_url,
        allowed_networks=(ip_network("127.0.0.0/8"),),
        **{**FAST, **changes},
    )
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(AsyncExitStack())
        platform, base = await _serve(up, settings, port)
        timeout = aiohttp.ClientTimeout(total=30)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        world = World(platform, base, root, stack, session, up=up)
        world.settings = settings
        world.admin = await world.client("admin", "admin")
        world.alice = await world.client("alice")
        yield world


async def _serve(up: AsyncExitStack, settings: Settings, port: int) -> tuple[Platform, str]:
    """Open the platform for as long as `up` is open; give it and its address."""
    platform = await up.enter_async_context(open_platform(settings))
    runner = Runner(create_app(platform), access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    up.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return platform, f"http://127.0.0.1:{runner.addresses[0][1]}"
