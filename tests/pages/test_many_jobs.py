"""The list of a user with 10,000 jobs: a page reads no more of them than it shows, whatever it is ordered or filtered by."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from app.db.jobs import JOBS
from app.usecases.deps import Deps
from tests.support.api import Api
from tests.support.jobs import make_desk
from tests.support.people import Person

JOBS_OF_ALICE = 10_000
PAGE = 25
READ_AT_MOST = 40 * PAGE
SEED = """
    insert into imputation_jobs (user_id, name, status, service_id, account_id, panel_key, panel_name, build, phasing, remote_name,
        archive_secret, archive_secret_key_id, created_at, started_at, completed_at)
    select $1, 'cohort ' || n, case n % 20 when 0 then 'failed' when 1 then 'queued' else 'completed' end, $2, $3, 'p', 'Panel',
        'hg38', true, 'many-' || n, '', 'k', now() - n * interval '1 minute', now() - n * interval '1 minute',
        case when n % 20 <> 1 then now() - n * interval '1 minute' + interval '30 s' end
    from generate_series(1, $4::int) n
"""


@pytest.fixture
async def many(deps: Deps, alice: Person) -> int:
    desk = await make_desk(deps, alice)
    account = await deps.pool.fetchval(
        "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
        desk.service.id,
        alice.id,
    )
    await deps.pool.execute(SEED, alice.id, desk.service.id, account, JOBS_OF_ALICE)
    await deps.pool.execute("analyze imputation_jobs")
    return alice.id


def rows_read(plan: dict[str, Any]) -> int:
    """Count the jobs that a plan has read."""
    own = 0
    if plan.get("Relation Name") == "imputation_jobs":
        own = int(
            (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
        )
    return own + sum(rows_read(part) for part in plan.get("Plans", []))


async def read_by(pool: asyncpg.Pool, user_id: int, **changes: Any) -> int:
    values: dict[str, Any] = dict.fromkeys(JOBS.list_rows.params)
    values |= {
        "user_id": user_id,
        "order": "newest",
        "now": datetime.now(UTC),
        "limit": PAGE,
        "offset": 0,
    }
    values |= changes
    plan = await pool.fetchval(
        f"explain (analyze, format json) {JOBS.list_rows.sql}",
        *(values[name] for name in JOBS.list_rows.params),
    )
    return rows_read(plan[0]["Plan"])


async def test_page_when_there_are_many_jobs_then_few_are_read(deps: Deps, many: int) -> None:
    assert await read_by(deps.pool, many) <= READ_AT_MOST
    assert await read_by(deps.pool, many, order="oldest") <= READ_AT_MOST
    assert await read_by(deps.pool, many, statuses=["failed"]) <= READ_AT_MOST
    assert await read_by(deps.pool, many, statuses=["queued", "running"]) <= READ_AT_MOST
    assert await read_by(deps.pool, many, offset=500) <= READ_AT_MOST


@pytest.mark.usefixtures("many")
async def test_list_when_there_are_many_jobs_then_counts_and_shows_a_page(
    client: Api, alice: Person
) -> None:
    for query in ("", "?sort=duration", "?q=cohort", "?status=queued,running"):
        page = await client.get(f"/ui/jobs{query}", as_=alice)
        assert page.status == 200
        assert page.text.count("data-job=") == PAGE
        assert "10\u202f000" in page.text
