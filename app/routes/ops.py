"""For those who run the platform: is it alive, is it ready, what does it count."""

import asyncio
import hmac
from ipaddress import ip_address

import msgspec
from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import VERSION
from app.core.errors import Forbidden
from app.web.client import FORWARDED_FOR
from app.web.endpoint import Access, Call, Endpoint, json_response
from app.web.readiness import check_all


class LiveOut(msgspec.Struct, frozen=True):
    status: str = "ok"


class ReadyOut(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` or `failing`, as a whole and for each thing that is needed."""

    status: str
    version: str
    checks: dict[str, str]


async def live(_call: Call) -> LiveOut:
    return LiveOut()


async def ready(call: Call) -> web.Response:
    results = await check_all(call)
    told = {name: "ok" if fine else "failing" for name, fine in results.items()}
    fine = all(results.values())
    answer = ReadyOut(status="ok" if fine else "failing", version=VERSION, checks=told)
    return json_response(answer, 200 if fine else 503)


async def metrics(call: Call) -> web.Response:
    if not _may_read_metrics(call):
        raise Forbidden("Metrics are given to the same machine, or with FIP_METRICS_TOKEN")
    body = await asyncio.to_thread(generate_latest)
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})


def _may_read_metrics(call: Call) -> bool:
    token = call.deps.settings.metrics_token
    given = call.request.headers.get(hdrs.AUTHORIZATION, "")
    sent = given.encode("utf-8", "surrogateescape")  # as aiohttp decodes headers
    if token and hmac.compare_digest(sent, f"Bearer {token}".encode()):
        return True
    # A proxy that settings do not name hides who asks: then nobody counts as being on this machine.
    is_hidden = FORWARDED_FOR in call.request.headers and not call.deps.settings.trusted_proxies
    try:
        return ip_address(call.address).is_loopback and not is_hidden
    except ValueError:
        return False


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/health",
        ready,
        "ops.health",
        "Whether the platform works, and what does not",
        access=Access.PUBLIC,
        response=ReadyOut,
        tag="ops",
        unlimited=True,
    ),
    Endpoint(
        "GET",
        "/health/live",
        live,
        "ops.live",
        "Whether the process answers",
        access=Access.PUBLIC,
        response=LiveOut,
        tag="ops",
        unlimited=True,
    ),
    Endpoint(
        "GET",
        "/health/ready",
        ready,
        "ops.ready",
        "Whether database, Redis and storage work: 503 when one does not",
        access=Access.PUBLIC,
        response=ReadyOut,
        tag="ops",
        unlimited=True,
    ),
    Endpoint(
        "GET",
        "/metrics",
        metrics,
        "ops.metrics",
        "Counters for Prometheus, for the same machine or with a token",
        access=Access.PUBLIC,
        content="text/plain",
        tag="ops",
    ),
)
