"""`serve`, `worker` and `migrate`: the process itself."""

import argparse
import asyncio
import gc
import signal
import ssl
import sys
from dataclasses import replace

from aiohttp import web

from app.lifespan import Platform, open_database, open_platform, open_servers
from app.main import create_app
from app.security.files import ensure_secrets
from app.settings import Settings, SettingsError
from app.usecases.one_time import ensure_setup_link
from app.web.server import Runner, keep_buffers

LINGERING_S = 30.0
"""How long a client that was refused early may go on sending before it reads why."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    serve_parser = subparsers.add_parser(
        "serve", help="run the web server with the worker inside", description=serve.__doc__
    )
    serve_parser.add_argument("--port", type=int, help="port to listen on (default 8000)")
    serve_parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve_parser.add_argument(
        "--no-worker", action="store_true", help="do not run the engine; «worker» does elsewhere"
    )
    serve_parser.set_defaults(run=serve)
    worker_parser = subparsers.add_parser(
        "worker", help="run the worker alone", description=worker.__doc__
    )
    worker_parser.set_defaults(run=worker)
    migrate_parser = subparsers.add_parser(
        "migrate", help="bring the database schema up to date", description=migrate.__doc__
    )
    migrate_parser.set_defaults(run=migrate)


def stop_event() -> asyncio.Event:
    """Give an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    return stop


async def serve(args: argparse.Namespace, settings: Settings) -> int:
    """Run the platform: web server, and the engine unless --no-worker."""
    stop = stop_event()
    async with open_platform(settings, work=not args.no_worker) as platform:
        runner = await start_web(platform)
        try:
            print(f"Federated Imputation Platform at {platform.deps.settings.base_url}", flush=True)
            link = await ensure_setup_link(platform.deps)
            if link is not None:
                print(f"No administrator yet. Make one here, once: {link}", flush=True)
            _spare_the_collector()
            await stop.wait()
        finally:
            await runner.cleanup()
    return 0


def _spare_the_collector() -> None:
    """Leave what stays anyway out of the search for cycles, and search less often: it was a tenth of a small request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def start_web(platform: Platform) -> Runner:
    """Listen; give the runner, to be cleaned up. Raises OSError when the port is taken."""
    keep_buffers()
    settings = platform.deps.settings
    runner = Runner(
        create_app(platform),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=settings.shutdown_grace_s,
        keepalive_timeout=75.0,
        lingering_time=LINGERING_S,
    )
    await runner.setup()
    site = web.TCPSite(
        runner, settings.host, settings.port, ssl_context=_tls(settings), backlog=1024
    )
    try:
        await site.start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError):
        raise SettingsError("FIP_TLS_CERT or FIP_TLS_KEY cannot be read") from None
    return context


async def worker(_args: argparse.Namespace, settings: Settings) -> int:
    """Run the engine alone: submissions, polling, collection, notices. Web servers run elsewhere."""
    stop = stop_event()
    async with open_platform(settings, work=True, join=True):
        print("Worker of the Federated Imputation Platform is running", flush=True)
        await stop.wait()
    return 0


async def migrate(_args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database schema up to date, and say so."""
    settings = ensure_secrets(settings)
    async with (
        open_servers(settings, join=True) as servers,
        open_database(servers, replace(settings, pool_size=2)) as pool,
    ):
        count = await pool.fetchval("select count(*) from schema_migrations")
    print(f"The database is up to date ({count} migrations)", file=sys.stdout)
    return 0
