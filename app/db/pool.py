"""The connection pool."""

import json
from typing import Any

import asyncpg
import msgspec

_decode = msgspec.json.decode


async def _prepare(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, encoder=json.dumps, decoder=_decode, schema="pg_catalog"
        )


async def _keep(_connection: Any) -> None:
    """Nothing to reset: no query here leaves state in its session, and a reset costs a round trip for each call."""


async def open_pool(url: str, *, size: int, command_timeout_s: float = 30.0) -> asyncpg.Pool:
    """Open a pool of at most `size` connections. Raises OSError or asyncpg.PostgresError when the server is away."""
    return await asyncpg.create_pool(
        url,
        min_size=min(2, size),
        max_size=size,
        init=_prepare,
        reset=_keep,
        command_timeout=command_timeout_s,
        max_inactive_connection_lifetime=300,
        server_settings={"application_name": "fip", "timezone": "UTC"},
    )
