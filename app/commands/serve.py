"""`serve`, `worker` and `migrate`: the process itself."""

import argparse
import asyncio
import gc
import importlib
import signal
import sys
from dataclasses import replace

from app.security.files import ensure_secrets
from app.servers import open_servers
from app.settings import Settings


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
    settings = ensure_secrets(settings)
    async with open_servers(settings, meanwhile=_import_the_rest) as servers:
        from app.commands import listening  # noqa: PLC0415 - it is loaded by now

        await listening.run(settings, servers, stop, work=not args.no_worker)
    return 0


async def _import_the_rest() -> None:
    """Import what the platform is made of: most of a start's time (`bench.start`), in which the servers start as well.

    aiohttp reads all certificates of the system when it is imported, and others may be imported then. Nothing that is named here
    beside it imports it.
    """
    gc.disable()  # as in app.__main__, and for the same reason; it is enabled once the server listens
    beside = ("redis.asyncio", "jinja2", "prometheus_client")
    await asyncio.gather(
        asyncio.to_thread(importlib.import_module, "aiohttp"),
        asyncio.to_thread(lambda: [importlib.import_module(name) for name in beside]),
    )
    await asyncio.to_thread(importlib.import_module, "app.commands.listening")


async def worker(_args: argparse.Namespace, settings: Settings) -> int:
    """Run the engine alone: submissions, polling, collection, notices. Web servers run elsewhere."""
    stop = stop_event()
    from app.lifespan import open_platform  # noqa: PLC0415 - much is imported with it

    async with open_platform(settings, work=True, join=True):
        print("Worker of the Federated Imputation Platform is running", flush=True)
        await stop.wait()
    return 0


async def migrate(_args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database schema up to date, and say so."""
    from app.lifespan import open_database  # noqa: PLC0415 - much is imported with it

    settings = ensure_secrets(settings)
    async with (
        open_servers(settings, join=True) as servers,
        open_database(servers, replace(settings, pool_size=2)) as pool,
    ):
        count = await pool.fetchval("select count(*) from schema_migrations")
    print(f"The database is up to date ({count} migrations)", file=sys.stdout)
    return 0
