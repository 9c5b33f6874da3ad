"""What every refusal must be: in the one shape, with a way out, and without a trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.usecases.deps import Deps
from tests.adversarial.wire import RawAnswer
from tests.support.api import Answer
from tests.support.jobs import stored_paths

KEYS = {"type", "title", "status", "detail", "code", "request_id", "errors", "error", "message"}


def refused(
    answer: Answer | RawAnswer, status: int, code: str, *, about: object = ""
) -> dict[str, Any]:
    """Check a refusal: status, code, one shape, what to do next, and the headers that no answer lacks. Give its body."""
    assert answer.status == status, (about, answer.status, answer.body[:1000])
    assert answer.headers["Content-Type"] == "application/problem+json", about
    assert answer.headers["X-Content-Type-Options"] == "nosniff", about
    assert answer.headers["Server"] == "fip", about
    told: dict[str, Any] = answer.json()
    assert told.keys() >= KEYS, (about, told)
    assert told["code"] == told["error"] == code, (about, told)
    assert told["status"] == status, about
    assert told["message"] == told["detail"] != "", about
    assert told.get("action"), f"{about}: nothing says what to do next: {told}"
    return told


async def rows(pool: asyncpg.Pool, *without: str) -> dict[str, Any]:
    """Everything that the database holds, as one figure a table."""
    found = await pool.fetch(
        "select table_name as name from information_schema.tables where table_schema = 'public'"
    )
    names = sorted({row["name"] for row in found} - set(without))
    parts = [
        f"select '{name}' as name, md5(string_agg(t::text, '|' order by t::text)) as state from {name} t"
        for name in names
    ]
    return {row["name"]: row["state"] for row in await pool.fetch(" union all ".join(parts))}


@asynccontextmanager
async def leaves_nothing(deps: Deps, *without: str) -> AsyncIterator[None]:
    """Fail unless files and rows are afterwards what they were before (tables `without` aside)."""
    # Room is reserved as long as a request lasts, and an earlier one whose client went away may still do so.
    without = (*without, "upload_reservations")
    paths, before = await stored_paths(deps), await rows(deps.pool, *without)
    yield
    async with asyncio.timeout(5):
        # The bytes go first, then the room that was reserved for them.
        while await stored_paths(deps) != paths or await deps.pool.fetchval(
            "select exists (select from upload_reservations)"
        ):
            await asyncio.sleep(0.01)
    after = await rows(deps.pool, *without)
    assert {name for name in before if before[name] != after[name]} == set()
