"""The two shapes in which a Cloudgene 3 refuses: its own, and that of the framework under it."""

import json
from typing import Any

from aiohttp import web


def own_error(status: int, message: str) -> web.HTTPException:
    """Cloudgene's own shape."""
    return _error(status, {"success": False, "message": message})


def framework_error(status: int, message: str) -> web.HTTPException:
    """The shape of Micronaut's errors."""
    return _error(
        status,
        {
            "message": message,
            "_links": {"self": {"href": "/"}},
            "_embedded": {"errors": [{"message": message}]},
        },
    )


def _error(status: int, body: dict[str, Any]) -> web.HTTPException:
    class Failure(web.HTTPException):
        status_code = status

    return Failure(text=json.dumps(body), content_type="application/json")
