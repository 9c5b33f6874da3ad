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


async def test_registry_when_there_are_services_panels_and_jobs_then_they_are_kept_and_filled_in(
    database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for path in migration_files():
        if path.name < "0003":
            shutil.copy(path, before)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("drop schema public cascade; create schema public")
        await migrate(connection, before)
        await connection.execute(
            """
            insert into users (username, password_hash) values ('u', 'x');
            insert into services (slug, name, api_type, base_url, poll_interval_s)
                values ('s', 'S', 'michigan', 'https://s.example.org', 0.2), ('t', 'T', 'ga4gh_wes', 'https://t.example.org', 30);
            insert into reference_panels (service_id, key, name, version, is_active, source)
                values (1, 'gone', 'Gone', '1', false, 'live'), (1, 'here', 'Here', '2', true, 'live'),
                    (1, 'off', 'Off', null, false, 'manual');
            insert into service_accounts (service_id, user_id) values (1, 1);
            insert into imputation_jobs (user_id, name, service_id, account_id, reference_panel_id, panel_key, panel_name, build,
                phasing, remote_name, archive_secret, archive_secret_key_id)
                values (1, 'j', 1, 1, 2, 'here', 'Here', 'hg19', true, 'r', '', 'k'),
                    (1, 'k', 1, 1, null, 'old', 'Old', 'hg19', true, 'r2', '', 'k');
            """
        )
        ran = await migrate(connection)
        assert "0003_extend_registry.sql" in ran
        assert await migrate(connection) == []
        intervals = await connection.fetch("select poll_interval_s from services order by id")
        assert [row["poll_interval_s"] for row in intervals] == [1.0, 30.0]
        panels = await connection.fetch("select key, retired_at from reference_panels order by id")
        assert [(row["key"], row["retired_at"] is None) for row in panels] == [
            ("gone", False),
            ("here", True),
            ("off", True),
        ]
        jobs = await connection.fetch("select panel_version from imputation_jobs order by name")
        assert [row["panel_version"] for row in jobs] == ["2", None]
    finally:
        await connection.close()
