"""Forward-only migrations: each file of `sql/migrations` runs once, in a transaction, under one advisory lock."""

import hashlib
import re
from pathlib import Path

import asyncpg

from app.db.queries import SQL_DIR

_FILE = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")
_LOCK = 7_223_046_201  # any constant that nobody else in this database uses


class MigrationError(Exception):
    """Raised when a migration that has run was changed, or one that has run is missing."""


def migration_files(directory: Path | None = None) -> list[Path]:
    """List the migrations in their order."""
    found = (directory or SQL_DIR / "migrations").glob("*.sql")
    return sorted(path for path in found if _FILE.match(path.name))


async def migrate(connection: asyncpg.Connection, directory: Path | None = None) -> list[str]:
    """Bring the schema up to date; give the names of the migrations that ran. Safe to call from many processes at once.

    Raises MigrationError; the database is unchanged by the migration that failed.
    """
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(
            "create table if not exists schema_migrations (name text primary key, sha256 text not null,"
            " applied_at timestamptz not null default now())"
        )
        done = {
            row["name"]: row["sha256"]
            for row in await connection.fetch("select name, sha256 from schema_migrations")
        }
        ran = []
        files = migration_files(directory)
        if missing := done.keys() - {path.name for path in files}:
            raise MigrationError(
                f"the database knows migrations that this version does not: {', '.join(sorted(missing))};"
                " it was migrated by a newer version"
            )
        for path in files:
            text = path.read_text(encoding="utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            if path.name in done:
                if done[path.name] != digest:
                    raise MigrationError(f"{path.name} was changed after it had run")
                continue
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(
                    "insert into schema_migrations (name, sha256) values ($1, $2)",
                    path.name,
                    digest,
                )
            ran.append(path.name)
        return ran
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)
