"""The faults that sit between the wire and the handlers, and the counting of requests."""

import asyncio

from aiohttp import web

from app.sandbox.cloudgene.errors import Handler, framework_error
from app.sandbox.cloudgene.submission import drop_connection
from app.sandbox.faults import Faults
from app.sandbox.keys import BOX, STATS
from app.sandbox.wes.errors import BASE, wes_error

_SIDE_DOOR = "/sandbox/"
_DIALECTS = ("/api/", BASE)
_ENDLESS_BYTES = 1024**3
_ENDLESS_PIECE = b'{"id":"job-00000000-000000-000","state":2},' * 1500
_HTML_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx/1.24.0</center>\r\n"
    "</body>\r\n</html>\r\n"
)


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Counts each request by its method and route pattern."""
    resource = request.match_info.route.resource
    pattern = resource.canonical if resource is not None else "(none)"
    if not pattern.startswith(_SIDE_DOOR):
        request.app[STATS].requests[f"{request.method} {pattern}"] += 1
    return await handler(request)


@web.middleware
async def misbehave(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Does to API calls what the switches in force say; other paths are left alone."""
    box = request.app[BOX]
    faults = box.faults
    spoken = request.path == "/" or request.path.startswith(_DIALECTS)
    if not spoken or not request.path.startswith(faults.only):
        return await handler(request)
    if faults.delay_s:
        await asyncio.sleep(faults.delay_s)
    if faults.reject_all:
        refuse = wes_error if request.path.startswith(BASE) else framework_error
        return refuse(request, faults.reject_all)
    if faults.answer:
        return await _wrong_answer(request, faults)
    response = await handler(request)
    if box.strikes("drop_answer"):
        request.app[STATS].answers_lost += 1
        return drop_connection(request)
    return response


async def _wrong_answer(request: web.Request, faults: Faults) -> web.StreamResponse:
    match faults.answer:
        case "html_502":
            return web.Response(status=502, text=_HTML_502, content_type="text/html")
        case "garbage_json":
            body = b'{"count": 1, "data": [{"id": "job-\xff\xfe'
            return web.Response(body=body, content_type="application/json")
        case "redirect":
            link = f"{faults.redirect_api_to.rstrip('/')}{request.rel_url}"
            return web.Response(status=302, headers={"Location": link})
        case "endless_json":
            return await _endless(request)
        case _:
            return web.Response(status=200, content_type="application/json")


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b'{"data":[')
    for _ in range(_ENDLESS_BYTES // len(_ENDLESS_PIECE)):
        await response.write(_ENDLESS_PIECE)
    return response
