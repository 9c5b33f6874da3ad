"""The web server on its port."""

import asyncio
import gc
import ssl

from aiohttp import web

from app.lifespan import Platform, open_platform_on
from app.main import create_app
from app.security.tokens import warm_up
from app.servers import Servers
from app.settings import Settings, SettingsError
from app.usecases.one_time import ensure_setup_link
from app.web.server import Runner, keep_buffers

LINGERING_S = 30.0
"""How long a client that was refused early may go on sending before it reads why."""


async def run(settings: Settings, servers: Servers, stop: asyncio.Event, *, work: bool) -> None:
    """Open the platform over its servers and listen until `stop`. Raises OSError when the port is taken."""
    async with open_platform_on(servers, settings, work=work) as platform:
        runner = await start_web(platform)
        try:
            print(f"Federated Imputation Platform at {settings.base_url}", flush=True)
            await asyncio.to_thread(warm_up)
            link = await ensure_setup_link(platform.deps)
            if link is not None:
                print(f"No administrator yet. Make one here, once: {link}", flush=True)
            _spare_the_collector()
            await stop.wait()
        finally:
            await runner.cleanup()


def _spare_the_collector() -> None:
    """Leave what stays anyway out of the search for cycles, and search less often: it was a tenth of a small request."""
    gc.collect()
    gc.freeze()
    gc.enable()
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
