"""Migrations over a database that has something in it: nothing is lost, and none stands in another's way."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app.db.migrations import migrate, migration_files
from app.db.pool import open_pool
from tests.support.notices import add_job, add_service
from tests.support.people import PASSWORD_HASH
from tests.support.servers import Postgres


@pytest.fixture
async def old(postgres: Postgres, tmp_path: Path) -> AsyncIterator[asyncpg.Pool]:
    """A database as the first migration left it."""
    url = await postgres.create_database(migrated=False)
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(migration_files()[0], first)
    connection = await asyncpg.connect(url)
    assert await migrate(connection, first) == [migration_files()[0].name]
    await connection.close()
    pool = await open_pool(url, size=2)
    yield pool
    await pool.close()
    await postgres.drop_database(url)


async def test_batches_when_jobs_named_one_before_there_were_any_then_the_jobs_stay_without(
    old: asyncpg.Pool,
) -> None:
    user_id = await old.fetchval(
        "insert into users (username, email, role, password_hash)"
        " values ('a', 'a@example.org', 'user', $1) returning id",
        PASSWORD_HASH,
    )
    job_id = await add_job(old, user_id, await add_service(old))
    await old.execute("update imputation_jobs set batch_id = $1", uuid4())

    async with old.acquire() as conn:
        ran = await migrate(conn)
        assert await migrate(conn) == []

    assert [path.name for path in migration_files()[1:]] == ran
    assert await old.fetchrow("select id, batch_id from imputation_jobs") == (job_id, None)
