"""A look at every page that somebody may see."""

import re

import aiohttp

from app.routes.pages.table import PAGES
from app.web.endpoint import PATH_PARAM, Access
from tests.support.client import Client
from tests.support.world import World


async def look_at_pages(world: World, session: aiohttp.ClientSession, client: Client) -> None:
    """Look at every page and part of a page that the person may see, with everything of theirs."""
    pool = world.platform.deps.pool
    user_id = (await client.call("GET", "/users/me"))["id"]
    jobs = await client.call("GET", "/jobs?limit=500")
    services = await client.call("GET", "/services")
    held = await client.call("GET", "/users/me/service-credentials")
    files = await client.call("GET", "/files")
    reports = {
        str(row["job_id"]): row["file_id"]
        for row in await pool.fetch(
            "select j.job_id, j.file_id from job_files j join files f on f.id = j.file_id where f.content_type like 'text/html%'"
        )
    }
    ids: dict[str, list[object]] = {
        "/ui/jobs/{": [job["id"] for job in jobs],
        "/ui/files/{": [file["id"] for file in files],
        "/ui/settings/service-credentials/{": [item["id"] for item in held],
        "/ui/services/{": [service["id"] for service in services],
        "/ui/admin/services/{": [service["id"] for service in services],
        "/ui/admin/users/{": [row["id"] for row in await pool.fetch("select id from users")],
    }
    panels = {
        row["service_id"]: row["id"]
        for row in await pool.fetch("select id, service_id from reference_panels")
    }
    asked = "&".join(
        [*(f"service={item['id']}" for item in services), *(f"job={job['id']}" for job in jobs[:2])]
    )
    seen = 0
    cookie = {"Cookie": f"fip_session={client.token}"}
    is_admin = client is world.admin
    for item in PAGES:
        if item.method != "GET" or not item.path.startswith("/ui/"):
            continue
        if item.access is Access.ADMIN and not is_admin:
            continue
        found = next((ids[start] for start in ids if item.path.startswith(start)), [0])
        for thing in found:
            values: dict[str, object] = {
                "id": thing, "change": "disable", "file_id": reports.get(str(thing), 0),
                "panel_id": panels.get(thing, 0), "token": "t" * 40,
            }  # fmt: skip

            def fill(match: re.Match[str], given: dict[str, object] = values) -> str:
                return str(given[match[1]])

            path = PATH_PARAM.sub(fill, item.path)
            first = f"id={services[0]['id']}&from={jobs[0]['id'] if jobs else ''}&{asked}"
            # Parts of pages show what their pages do: of one thing they are enough.
            both = (cookie, {**cookie, "HX-Request": "true"})
            for headers in both if thing == found[0] else both[:1]:
                async with session.get(
                    f"{world.base}{path}?{first}", headers=headers, allow_redirects=False
                ) as answer:
                    text = await answer.text()
                assert answer.status < 500, path
                seen += answer.status == 200 and len(text) > 0
    assert seen > 40, f"{seen} pages of {user_id}"
