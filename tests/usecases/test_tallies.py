"""How many jobs a user has is kept, not counted; the two are the same whatever happens."""

import asyncio
import random

from app.core.jobs import Status
from app.db.jobs import JobFilter, count_own_jobs
from app.usecases.deps import Deps
from app.usecases.engine import upkeep
from tests import factories

OPEN, ENDED = ("pending", "queued", "running"), ("completed", "failed", "cancelled")


async def _fill(deps: Deps, user_id: int, count: int) -> None:
    """Write jobs in one statement."""
    service = await factories.make_service(deps)
    account = await deps.pool.fetchval(
        "insert into service_accounts (service_id, user_id) values ($1, $2) returning id",
        service.id, user_id,
    )  # fmt: skip
    await deps.pool.execute(
        "insert into imputation_jobs (user_id, name, service_id, account_id, panel_key, panel_name, build, phasing, remote_name,"
        " archive_secret, archive_secret_key_id)"
        " select $1, 'x', $2, $3, 'p', 'P', 'hg38', true, gen_random_uuid()::text, '', 'k' from generate_series(1, $4::int)",
        user_id, service.id, account, count,
    )  # fmt: skip


async def _counted(deps: Deps, user_id: int) -> dict[Status, int]:
    rows = await deps.pool.fetch(
        "select status, count(*) as jobs from imputation_jobs where user_id = $1 group by status", user_id
    )  # fmt: skip
    return {Status(row["status"]): row["jobs"] for row in rows}


async def _move(deps: Deps, user_id: int, status: str, share: float) -> None:
    ended = status in ENDED
    await deps.pool.execute(
        "update imputation_jobs set status = $2, completed_at = case when $3 then now() end, progress_percentage = 1"
        " where user_id = $1 and random() < $4",
        user_id, status, ended, share,
    )  # fmt: skip


async def test_tallies_when_jobs_come_move_and_go_then_they_are_what_a_count_gives(
    deps: Deps,
) -> None:
    user = (await factories.make_person(deps, "carla")).user
    await _fill(deps, user.id, 40)
    moves = random.Random(5)
    for step in range(60):
        await _move(deps, user.id, moves.choice(OPEN + ENDED), moves.random())
        if step % 20 == 19:
            await deps.pool.execute(
                "delete from imputation_jobs where user_id = $1 and random() < 0.2", user.id
            )
        if step % 25 == 24:
            await upkeep.fold_tallies(deps)
            assert await deps.pool.fetchval("select count(*) from job_tallies") <= len(Status)
        assert await count_own_jobs(deps.pool, user.id, JobFilter()) == await _counted(
            deps, user.id
        )


async def test_tallies_when_folded_while_jobs_move_then_nothing_is_lost(deps: Deps) -> None:
    user = (await factories.make_person(deps, "carla")).user
    await _fill(deps, user.id, 20)

    async def move() -> None:
        for _ in range(15):
            await deps.pool.execute(
                "update imputation_jobs set status = case status when 'queued' then 'running' else 'queued' end"
                " where id = (select id from imputation_jobs order by random() limit 1)"
            )

    async def fold() -> None:
        for _ in range(15):
            await upkeep.fold_tallies(deps)
            counts = await count_own_jobs(deps.pool, user.id, JobFilter())
            assert sum(counts.values()) == 20

    await asyncio.gather(move(), move(), fold(), fold())
    assert await count_own_jobs(deps.pool, user.id, JobFilter()) == await _counted(deps, user.id)


async def test_tallies_when_a_user_is_deleted_then_the_next_folding_forgets_them(
    deps: Deps,
) -> None:
    user = (await factories.make_person(deps, "carla")).user
    await _fill(deps, user.id, 3)
    for status in OPEN * 10:
        await _move(deps, user.id, status, 1.0)
    await deps.pool.execute("delete from imputation_jobs where user_id = $1", user.id)
    await deps.pool.execute("delete from users where id = $1", user.id)
    await upkeep.fold_tallies(deps)
    assert await deps.pool.fetchval("select count(*) from job_tallies") == 0
