"""Every URL of the dialect."""

from aiohttp import web

from app.sandbox.cloudgene import downloads, job_routes, server_info, submission, users


def routes() -> list[web.RouteDef]:
    """The routes of Cloudgene 3 that clients use. HEAD comes with every GET, as in Micronaut."""
    return [
        web.get("/api/v2/server", server_info.root),
        web.get("/api/v2/server/counters", server_info.counters),
        web.get("/api/v2/server/apps/{app}", server_info.app),
        web.post("/login", users.log_in),
        web.post("/api/v2/tokens/verify", users.verify),
        web.post("/api/v2/users/register", users.register),
        web.get("/api/v2/users/{user}/profile", users.profile),
        web.post("/api/v2/users/{user}/api-token", users.create_api_token),
        web.delete("/api/v2/users/{user}/api-token", users.revoke_api_token),
        web.get("/api/v2/jobs", job_routes.list_jobs),
        web.get("/api/v2/jobs/{id}", job_routes.get_job),
        web.delete("/api/v2/jobs/{id}", job_routes.delete),
        web.get("/api/v2/jobs/{id}/status", job_routes.get_job),
        web.get("/api/v2/jobs/{id}/cancel", job_routes.cancel),
        web.get("/api/v2/jobs/{id}/restart", job_routes.restart),
        web.post("/api/v2/jobs/submit/{app}", submission.submit),
        web.get("/logs/{id}", job_routes.log),
        web.get("/share/results/{hash}/{name:.+}", downloads.share),
        web.get("/downloads/{job}/{hash}/{name:.+}", downloads.download),
        web.get("/browse/{hash}/{name:.+}", downloads.browse),
        web.get("/get/{hash}", downloads.script),
        web.get(r"/s3/{job}/{expires:\d+}/{signature}/{name:.+}", downloads.bare_object),
    ]
