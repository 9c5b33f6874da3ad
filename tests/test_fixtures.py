"""The fixtures themselves: what a test is promised about its database and queue."""

import asyncpg
import redis.asyncio


async def test_database_when_a_test_begins_then_it_is_migrated_and_empty(
    pool: asyncpg.Pool,
) -> None:
    assert await pool.fetchval("select count(*) from users") == 0
    await pool.execute("insert into users (username, password_hash) values ('left behind', 'x')")


async def test_database_when_another_test_wrote_to_its_own_then_this_one_is_untouched(
    pool: asyncpg.Pool,
) -> None:
    assert await pool.fetchval("select count(*) from users") == 0


async def test_queue_when_a_test_begins_then_it_is_empty(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as connection:
        assert await connection.dbsize() == 0
        await connection.set("left", "behind")


async def test_queue_when_another_test_wrote_to_it_then_it_is_empty_again(redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as connection:
        assert await connection.dbsize() == 0
