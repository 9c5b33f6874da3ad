"""Named queries: SQL lives under `sql/`, one file a noun, and nowhere else.

A file holds blocks that begin with `-- name: claim_job`; the next comment line documents the query. Parameters are written
`:like_this` (a cast is `::text`, untouched) and become `$1, $2…` in order of first appearance.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg

SQL_DIR = Path(__file__).resolve().parents[2] / "sql"
_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\n", re.MULTILINE)
_PARAM = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")

Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Executor: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy | asyncpg.Pool


@dataclass(frozen=True, slots=True)
class Query:
    """One named query. All methods take the parameters by name and raise TypeError when one is missing or unknown."""

    name: str
    doc: str
    sql: str
    params: tuple[str, ...]

    def _args(self, values: dict[str, object]) -> list[object]:
        if len(values) == len(self.params):
            try:
                return [values[name] for name in self.params]
            except KeyError:
                pass
        odd = sorted(values.keys() ^ set(self.params))
        raise TypeError(f"query {self.name}: missing or unknown parameters {odd}")

    async def row(self, db: Executor, **values: object) -> asyncpg.Record | None:
        """Give the first row, or None."""
        return await db.fetchrow(self.sql, *self._args(values))

    async def rows(self, db: Executor, **values: object) -> list[asyncpg.Record]:
        """Give all rows."""
        return list(await db.fetch(self.sql, *self._args(values)))

    async def value(self, db: Executor, **values: object) -> Any:
        """Give the first column of the first row, or None."""
        return await db.fetchval(self.sql, *self._args(values))

    async def run(self, db: Executor, **values: object) -> int:
        """Run a statement; give the number of rows it touched."""
        tag = await db.execute(self.sql, *self._args(values))
        return int(tag.rpartition(" ")[2]) if tag and tag[-1].isdigit() else 0

    async def many(self, db: Executor, values: Sequence[dict[str, object]]) -> None:
        """Run a statement once for each set of parameters, in one round trip."""
        await db.executemany(self.sql, [self._args(item) for item in values])


class QueryFile:
    """The queries of one file, as attributes."""

    def __init__(self, queries: dict[str, Query]) -> None:
        self._queries = queries

    def __getattr__(self, name: str) -> Query:
        try:
            return self._queries[name]
        except KeyError:
            raise AttributeError(f"there is no query {name!r}") from None

    def __iter__(self) -> Any:
        return iter(self._queries.values())


def parse(text: str, origin: str) -> dict[str, Query]:
    """Read the named queries of a text. Raises ValueError for a doubled name or text before the first name."""
    parts = _NAME.split(text)
    if any(line.strip() and not line.startswith("--") for line in parts[0].splitlines()):
        raise ValueError(f"{origin}: SQL stands before the first «-- name:»")
    queries: dict[str, Query] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in queries:
            raise ValueError(f"{origin}: the query {name} stands there twice")
        doc = body.split("\n", 1)[0].removeprefix("--").strip()
        params: list[str] = []

        def number(match: re.Match[str], params: list[str] = params) -> str:
            if match[1] not in params:
                params.append(match[1])
            return f"${params.index(match[1]) + 1}"

        sql = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--"))
        queries[name] = Query(name, doc, _PARAM.sub(number, sql).strip(), tuple(params))
    return queries


@cache
def load(noun: str) -> QueryFile:
    """Give the queries of `sql/<noun>.sql`."""
    path = SQL_DIR / f"{noun}.sql"
    return QueryFile(parse(path.read_text(encoding="utf-8"), path.name))


def containing(text: str) -> str:
    """Give the pattern (of LIKE) of what holds a text, whatever stands in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
