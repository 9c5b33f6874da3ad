"""A server as a process of its own, with users and jobs in it, for measurements."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from app.security.tokens import TokenSigner
from app.servers import open_servers
from app.settings import Settings
from tests.e2e.processes import Scene

JWT_SECRET = "bench" * 8


@dataclass(slots=True)
class Bench:
    """A running server, its database, and what a measurement needs to know."""

    scene: Scene
    pool: asyncpg.Pool
    repeat: int
    jobs: int
    streams: int

    @property
    def pid(self) -> int:
        assert self.scene.server.process is not None
        return self.scene.server.process.pid

    async def user(self) -> tuple[int, str]:
        """Make a user; give the id and the token."""
        name = f"u{uuid4().hex[:12]}"
        user_id: int = await self.pool.fetchval(
            "insert into users (username, password_hash) values ($1, '-') returning id", name
        )
        token = TokenSigner(JWT_SECRET, 86_400).issue(user_id, name, 0, datetime.now(UTC))
        return user_id, token

    async def fill(self, user_id: int, count: int) -> list[UUID]:
        """Write jobs of one user, most of them ended; give their ids, newest first."""
        service = await self.pool.fetchval("select id from services where slug = 'bench'")
        if service is None:
            service = await self.pool.fetchval(
                "insert into services (slug, name, api_type, base_url, health) values ('bench', 'Bench', 'michigan',"
                " 'https://impute.example', 'up') returning id"
            )
        account = await self.pool.fetchval(
            "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
            service,
            user_id,
        )
        rows = await self.pool.fetch(
            "insert into imputation_jobs (user_id, name, status, progress_percentage, service_id, account_id, panel_key,"
            " panel_name, build, phasing, remote_name, archive_secret, archive_secret_key_id, created_at, started_at, completed_at)"
            " select $1, 'cohort ' || n, case when n <= 3 then 'running' when n % 9 = 0 then 'failed' else 'completed' end,"
            "  case when n <= 3 then 46 else 100 end, $2, $3, 'p', 'Panel', 'hg38', true, $4 || n, '', 'k',"
            "  now() - n * interval '1 minute', now() - n * interval '1 minute', case when n > 3 then now() end"
            " from generate_series(1, $5::int) n returning id",
            user_id, service, account, uuid4().hex, count,
        )  # fmt: skip
        await self.pool.execute("analyze")
        return [row["id"] for row in rows]


def cookie(token: str) -> dict[str, str]:
    """Give the headers of a browser that is signed in."""
    return {"Cookie": f"fip_session={token}", "Accept-Encoding": "gzip"}


@asynccontextmanager
async def open_bench() -> AsyncIterator[tuple[Scene, asyncpg.Pool]]:
    """Start a server with embedded PostgreSQL and Valkey; give it and a pool on its database."""
    settings = {"FIP_JWT_SECRET": JWT_SECRET, "FIP_LOG_LEVEL": "warning"}
    with tempfile.TemporaryDirectory(prefix="fip-bench-") as folder:
        async with (
            Scene(Path(folder), settings, with_sandbox=False) as scene,
            open_servers(Settings(data_dir=Path(folder) / "data"), join=True) as servers,
            asyncpg.create_pool(servers.database_url, min_size=1, max_size=4) as pool,
        ):
            yield scene, pool
