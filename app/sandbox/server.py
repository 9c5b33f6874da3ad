"""The sandbox as one aiohttp application, and the process that serves it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator

from aiohttp import web

from app.sandbox import control, tokens
from app.sandbox.cloudgene.errors import errors
from app.sandbox.cloudgene.routes import routes
from app.sandbox.cloudgene2.routes import routes as routes_2
from app.sandbox.config import SandboxConfig
from app.sandbox.engine.backend import Backend
from app.sandbox.engine.instant import InstantBackend
from app.sandbox.engine.real import RealBackend
from app.sandbox.engine.tools import Tools
from app.sandbox.faults import FaultBox
from app.sandbox.jobs.manager import Jobs
from app.sandbox.keys import ACCOUNTS, BOX, CONFIG, ENGINE, JOBS, STATS
from app.sandbox.misbehaviour import count_requests, misbehave
from app.sandbox.reference import find_example
from app.sandbox.simple.routes import routes as simple_routes
from app.sandbox.stats import Stats
from app.sandbox.wes.errors import wes_errors
from app.sandbox.wes.routes import routes as wes_routes

DEMO_ACCOUNT_FILE = "demo-account.json"
_DIALECTS = {"cloudgene3": routes, "cloudgene2": routes_2, "simple": simple_routes}
_OWN_ZIP_BYTES = 1024 * 1024  # what our own writer encrypts in a second, where 7-Zip is missing


def create_app(config: SandboxConfig) -> web.Application:
    """The application; blocking for as long as ``find_example`` takes to fetch missing example data.

    Raises:
        RuntimeError: ``engine="real"`` where the tools or the data are missing.
    """
    config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    app = web.Application(middlewares=[count_requests, misbehave, wes_errors, errors])
    backend = choose_backend(config)
    app[CONFIG] = config
    app[ACCOUNTS] = tokens.accounts_of(config)
    app[BOX] = FaultBox(config.faults)
    app[STATS] = Stats()
    app[JOBS] = Jobs(config, app[BOX], backend)
    app[ENGINE] = backend.name
    app.cleanup_ctx.append(_run_jobs)
    app.add_routes(_DIALECTS[config.dialect]())
    app.add_routes(wes_routes())
    if config.has_control:
        app.add_routes(control.routes())
    return app


def choose_backend(config: SandboxConfig) -> Backend:
    """The engine that ``config.engine`` means on this machine.

    Raises:
        RuntimeError: the real one was insisted on and something is missing.
    """
    tools = Tools.find(timeout_s=config.tool_timeout_s, threads=config.threads)
    if config.engine != "instant":
        example = None
        if not tools.missing:
            example = find_example(config.data_dir, fetch=config.fetch_example)
        if example is not None:
            return RealBackend(tools, example, config.data_dir / "reference")
        if config.engine == "real":
            lack = ", ".join(tools.missing) or "the data of Debian's shapeit4-example"
            raise RuntimeError(f"the real engine lacks {lack}")
    limit = config.instant_result_limit_bytes
    if tools.zip is None:
        limit = min(limit, _OWN_ZIP_BYTES)
    return InstantBackend(tools, limit)


async def run(config: SandboxConfig) -> None:
    """Serve until SIGTERM or SIGINT; prints one line with the address when ready.

    Raises:
        OSError: the address is taken. RuntimeError: see ``create_app``.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await asyncio.to_thread(create_app, config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, config.host, config.port)
        await site.start()
        port = runner.addresses[0][1]
        url = config.public_url or f"http://{config.host}:{port}"
        if config.demo_user is not None:
            await asyncio.to_thread(write_demo_account, config, url)
        print(f"Sandbox imputation server ready at {url} (engine: {app[ENGINE]})", flush=True)  # noqa: T201 - the one line it prints
        await stop.wait()
    finally:
        await runner.cleanup()


def write_demo_account(config: SandboxConfig, url: str) -> None:
    """Write address, user, password and a fresh API token of the demo account, readable by the owner only."""
    user = config.demo_user
    if user is None:
        return
    account = {
        "url": url,
        "username": user.username,
        "password": user.password,
        "token": tokens.issue_token(config, user.username),
    }
    path = config.data_dir / DEMO_ACCOUNT_FILE
    temporary = path.with_name(f".{path.name}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(account, indent=1) + "\n")
    temporary.replace(path)


async def _run_jobs(app: web.Application) -> AsyncIterator[None]:
    await app[JOBS].start()
    yield
    await app[JOBS].stop()
