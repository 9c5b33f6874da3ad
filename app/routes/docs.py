"""The API's description, and a viewer for it that loads nothing from elsewhere."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from app.web.assets import load
from app.web.endpoint import Access, Call, Endpoint

OPENAPI: web.AppKey[Callable[[], bytes]] = web.AppKey("openapi")
"""Gives the description as JSON. The first time it is made, which takes some 30 ms: not a start's business."""

_VIEWER = load().url("vendor/rapidoc-9.3.8.min.js")

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · Federated Imputation Platform</title>
<script type="module" src="{_VIEWER}"></script>
</head>
<body>
<rapi-doc spec-url="/openapi.json" load-fonts="false" render-style="read" show-header="false"
 allow-server-selection="false" schema-style="table" persist-auth="false">
</rapi-doc>
<noscript><p>The viewer needs JavaScript; the description itself is at <a href="/openapi.json">/openapi.json</a>.</p></noscript>
</body>
</html>
"""
# The viewer has style attributes in its templates; scripts come from here alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def page(_call: Call) -> web.Response:
    return web.Response(
        text=_PAGE, content_type="text/html", headers={"Content-Security-Policy": _POLICY}
    )


async def openapi(call: Call) -> web.Response:
    body = await asyncio.to_thread(call.request.app[OPENAPI])
    return web.Response(body=body, content_type="application/json")


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/openapi.json",
        openapi,
        "docs.openapi",
        "This description",
        access=Access.PUBLIC,
        response=dict,
        tag="docs",
    ),
    Endpoint(
        "GET",
        "/docs",
        page,
        "docs.page",
        "A viewer for this description",
        access=Access.PUBLIC,
        content="text/html",
        tag="docs",
    ),
)
