"""Every URL of the dialect."""

from aiohttp import web

from app.sandbox.cloudgene import downloads, server_info, users
from app.sandbox.cloudgene2 import handlers, submission


def routes() -> list[web.RouteDef]:
    """The routes of Cloudgene 2 that clients use."""
    return [
        web.get("/api/v2/server", handlers.server),
        web.get("/api/v2/server/counters", server_info.counters),
        web.get("/api/v2/server/apps/{app}", handlers.app),
        web.post("/login", users.log_in),
        web.post("/api/v2/tokens/verify", handlers.verify),
        web.post("/api/v2/users/register", users.register),
        web.get("/api/v2/users/{user}/profile", users.profile),
        web.post("/api/v2/users/{user}/api-token", users.create_api_token),
        web.get("/api/v2/jobs", handlers.list_jobs),
        web.get("/api/v2/jobs/{id}", handlers.get_job),
        web.get("/api/v2/jobs/{id}/status", handlers.get_status),
        web.get("/api/v2/jobs/{id}/cancel", handlers.cancel),
        web.get("/api/v2/jobs/{id}/restart", handlers.restart),
        web.post("/api/v2/jobs/submit/{app}", submission.submit),
        web.get("/share/results/{hash}/{name:.+}", downloads.share),
        web.get(r"/s3/{job}/{expires:\d+}/{signature}/{name:.+}", downloads.bare_object),
    ]
