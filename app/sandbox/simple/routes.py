"""Every URL of the dialect."""

from aiohttp import web

from app.sandbox.simple import handlers, submission


def routes() -> list[web.RouteDef]:
    """The routes of the original design, and a cancel as the rest of the family has it."""
    return [
        web.get("/", handlers.front),
        web.post("/api/v2/jobs/submit", submission.submit),
        web.get("/api/v2/jobs/{id}/status", handlers.get_status),
        web.get("/api/v2/jobs/{id}/results", handlers.get_results),
        web.get("/api/v2/jobs/{id}/cancel", handlers.cancel),
    ]
