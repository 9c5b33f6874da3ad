"""A sandbox server alone, for tests that need a service and no engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from app.sandbox import tokens
from app.sandbox.config import SandboxConfig, SandboxUser
from app.sandbox.panels import Panel
from app.sandbox.server import create_app
from tests.support.world import Sandbox


@asynccontextmanager
async def open_sandbox(root: Path, **config: Any) -> AsyncIterator[Sandbox]:
    """Run a sandbox with the instant engine on a port of its own."""
    settings = SandboxConfig(
        data_dir=root, port=0, engine="instant", demo_user=SandboxUser("researcher"), **config
    )
    app = create_app(settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Sandbox(app, settings, base, tokens.issue_token(settings, "researcher"))
    finally:
        await runner.cleanup()


def offer(sandbox: Sandbox, *panels: Panel) -> None:
    """Let a running sandbox list exactly these panels from now on."""
    object.__setattr__(sandbox.config, "panels", panels)
