"""What the guards walk with: everything that somebody can own, as alice's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.core.models import Job
from app.usecases.deps import Deps
from app.web.endpoint import PATH_PARAM, Endpoint
from tests.support.jobs import complete, make_desk
from tests.support.notices import add_job
from tests.support.people import Person

# Where what is named by the path belongs to somebody.
OWNED = (
    "/jobs/{", "/files/{", "/notifications/{", "/users/me/service-credentials/{", "/batches/{",
)  # fmt: skip
OWNED_PAGES = {
    "/ui/jobs/{": "/jobs/{",
    "/ui/files/{": "/files/{",
    "/ui/notifications/{": "/notifications/{",
    "/ui/settings/service-credentials/{": "/users/me/service-credentials/{",
    "/ui/batches/{": "/batches/{",
}
TABLES = (
    "imputation_jobs", "job_status_updates", "job_files", "files", "signed_links", "notifications",
    "user_service_credentials", "users", "batches",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Belongings:
    """What alice has: the ids by the beginning of their paths; and what is named further on in a path."""

    ids: Mapping[str, object]
    parts: Mapping[str, object] = field(default_factory=dict)

    def path(self, endpoint: Endpoint) -> str:
        """Give the path of an endpoint to alice's thing."""
        start = next(start for start in self.ids if endpoint.path.startswith(start))
        first = PATH_PARAM.search(endpoint.path)
        assert first is not None

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return str(
                self.ids[start] if name == first[1] else self.parts.get(name, self.ids[start])
            )

        path = PATH_PARAM.sub(fill, endpoint.path)
        assert matches(endpoint, path), f"{path} is not what {endpoint.path} asks for"
        return path


def matches(endpoint: Endpoint, path: str) -> bool:
    """Tell whether the router leads a path to an endpoint: a 404 of what has no such shape proves nothing."""
    pattern, at = "", 0
    for match in PATH_PARAM.finditer(endpoint.path):
        pattern += re.escape(endpoint.path[at : match.start()]) + f"(?:{match[2] or '[^{}/]+'})"
        at = match.end()
    return re.fullmatch(pattern + re.escape(endpoint.path[at:]), path) is not None


@pytest.fixture
async def belongings(deps: Deps, alice: Person) -> Belongings:
    """Everything that alice has, and that nobody else may know of."""
    desk = await make_desk(deps, alice)
    account: int = await deps.pool.fetchval(
        "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
        desk.service.id,
        alice.id,
    )
    job_id = await add_job(deps.pool, alice.id, (desk.service.id, account))
    row = await deps.pool.fetchrow("select * from imputation_jobs where id = $1", job_id)
    job = await complete(deps, Job(**{name: row[name] for name in Job.__dataclass_fields__}))
    notice = await deps.pool.fetchval(
        "insert into notifications (user_id, job_id, dedup_key, type, title, message, channels)"
        " values ($1, $2, 'd', 'job_completed', 't', 'm', '{web}') returning id",
        alice.id,
        job.id,
    )
    credential = await deps.pool.fetchval("select id from user_service_credentials")
    batch = await deps.pool.fetchval(
        "insert into batches (user_id, name) values ($1, 'b') returning id", alice.id
    )
    await deps.pool.execute("update imputation_jobs set batch_id = $1", batch)
    report = await deps.pool.fetchval("select id from files where content_type like 'text/html%'")
    ids = dict(zip(OWNED, (job.id, job.results_file_id, notice, credential, batch), strict=True))
    pages = {page: ids[start] for page, start in OWNED_PAGES.items()}
    parts = {"file_id": report, "service_id": desk.service.id, "panel_id": desk.panel.id}
    return Belongings({**ids, **pages}, parts)


async def state(deps: Deps) -> dict[str, Any]:
    """Give everything that is stored, as one figure a table."""
    return {
        table: await deps.pool.fetchval(
            f"select md5(string_agg(t::text, '|' order by t::text)) from {table} t"
        )
        for table in TABLES
    }
