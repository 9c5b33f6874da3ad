"""The API's description, and a viewer for it that loads nothing from elsewhere."""

from functools import cache
from pathlib import Path

from aiohttp import web

from app.web.endpoint import Access, Call, Endpoint

OPENAPI = web.AppKey("openapi", bytes)
"""The description as JSON."""

VENDOR_DIR = Path(__file__).resolve().parents[2] / "static" / "vendor"
VIEWER = "rapidoc-9.3.8.min.js"

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API · Federated Imputation Platform</title>
<script type="module" src="/docs/{VIEWER}"></script>
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


@cache
def _viewer() -> bytes:
    return (VENDOR_DIR / VIEWER).read_bytes()


async def page(_call: Call) -> web.Response:
    return web.Response(
        text=_PAGE, content_type="text/html", headers={"Content-Security-Policy": _POLICY}
    )


async def viewer(_call: Call) -> web.Response:
    # The version stands in the name, so the file never changes under it.
    return web.Response(
        body=_viewer(),
        content_type="text/javascript",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


async def openapi(call: Call) -> web.Response:
    return web.Response(body=call.request.app[OPENAPI], content_type="application/json")


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
    Endpoint(
        "GET",
        f"/docs/{VIEWER}",
        viewer,
        "docs.viewer",
        "The viewer's program",
        access=Access.PUBLIC,
        content="text/javascript",
        tag="docs",
    ),
)
