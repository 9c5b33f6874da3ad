"""Guards over SQL: every query runs against the schema and is used, words in constraints are the enums'."""

import re
from pathlib import Path

import asyncpg
import pytest

import app
from app.core.jobs import Action, Status
from app.db.queries import SQL_DIR, load
from app.usecases.deps import Deps

APP_DIR = Path(app.__file__).parent
NOUNS = sorted(path.stem for path in SQL_DIR.glob("*.sql"))


@pytest.mark.parametrize("noun", NOUNS)
async def test_queries_when_prepared_then_the_schema_knows_all_they_name(
    pool: asyncpg.Pool, noun: str
) -> None:
    async with pool.acquire() as connection:
        for query in load(noun):
            assert query.doc, f"{noun}.{query.name} says nothing of itself"
            try:
                await connection.prepare(query.sql)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{noun}.{query.name}: {error}")


def test_queries_when_nobody_uses_one_then_it_goes() -> None:
    code = "\n".join(path.read_text() for path in APP_DIR.rglob("*.py"))
    used = set(re.findall(r"\.(\w+)\.(?:row|rows|value|run|many|sql)\b", code))
    used |= set(re.findall(r"\b[A-Z_]+\.(\w+)[,\)]", code))  # handed on as a value
    used |= set(re.findall(r"\b_sql\.(\w+)", code))
    unused = [
        f"{noun}.{query.name}" for noun in NOUNS for query in load(noun) if query.name not in used
    ]

    assert unused == []


def test_sql_when_written_then_it_stands_under_sql_alone() -> None:
    words = re.compile(
        r"[\"'](?:select .+ from|insert into|update \w+ set|delete from|create table)\b.*",
        re.IGNORECASE,
    )
    for path in APP_DIR.rglob("*.py"):
        name = str(path.relative_to(APP_DIR))
        if name.startswith("sandbox/"):
            continue
        for found in words.findall(path.read_text()):
            # The list of migrations is there before any file of queries can be used.
            assert "schema_migrations" in found, f"SQL stands in app/{name}: {found}"


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("imputation_jobs", "status", set(Status)),
        ("job_status_updates", "status", set(Status)),
        ("imputation_jobs", "next_action", set(Action)),
    ],
)
async def test_constraint_when_it_lists_words_then_they_are_exactly_the_enums(
    pool: asyncpg.Pool, table: str, column: str, words: set[str]
) -> None:
    definitions = await pool.fetch(
        "select pg_get_constraintdef(oid) as text from pg_constraint"
        " where conrelid = $1::text::regclass and contype = 'c'",
        table,
    )
    lists = [
        set(re.findall(r"'(\w+)'::text", row["text"]))
        for row in definitions
        if re.match(rf"CHECK \(\({column} = ANY", row["text"])
    ]

    assert lists == [{str(word) for word in words}]


async def test_foreign_keys_when_declared_then_each_says_what_happens_on_delete(
    deps: Deps,
) -> None:
    silent = await deps.pool.fetch(
        "select conrelid::regclass::text as name, conname from pg_constraint"
        " where contype = 'f' and confdeltype = 'a'"
    )

    assert [(row["name"], row["conname"]) for row in silent] == []
