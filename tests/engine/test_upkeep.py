"""The engine's side work: each thing is done, once, whoever does it, and nothing hangs on another."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from app.adapters.base import ServiceUnavailable
from app.usecases import files
from app.usecases.engine.upkeep import CHECKS_AT_A_TIME, check_services, tidy
from tests import factories
from tests.engine.stage import Stage
from tests.support.deps import RecordingQueue
from tests.support.jobs import stored_paths
from tests.support.people import Person


async def health(stage: Stage) -> Counter[str]:
    rows = await stage.deps.pool.fetch("select health from services")
    return Counter(row["health"] for row in rows)


async def test_health_when_two_processes_check_then_each_service_is_looked_at_once(
    stage: Stage,
) -> None:
    for _ in range(12):
        await factories.make_service(stage.deps)
    one, two = (stage.process(name, enqueue=RecordingQueue()) for name in ("one", "two"))
    done = await asyncio.gather(check_services(one), check_services(two))
    assert sum(done) == stage.service.calls["health"] == 12
    assert await health(stage) == {"up": 12}
    assert await check_services(stage.deps) == 0
    stage.clock.move(seconds=stage.deps.settings.health_interval_s + 1)
    stage.service.down = ServiceUnavailable("away")
    assert await check_services(stage.deps) == 12
    assert await health(stage) == {"up": 12}, "one failed look may be a lost packet"
    stage.clock.move(seconds=stage.deps.settings.health_interval_s + 1)
    assert await check_services(stage.deps) == 12
    assert await health(stage) == {"down": 12}


async def test_health_when_one_service_hangs_then_the_others_are_looked_at(stage: Stage) -> None:
    for _ in range(CHECKS_AT_A_TIME):
        await factories.make_service(stage.deps)
    release = asyncio.Event()
    stage.service.meanwhile["health"] = release.wait
    checking = asyncio.create_task(check_services(stage.deps))
    async with asyncio.timeout(5):
        while (await health(stage))["up"] < CHECKS_AT_A_TIME - 1:
            await asyncio.sleep(0.01)
        release.set()
        assert await checking == CHECKS_AT_A_TIME


async def test_tidy_when_rows_are_old_then_forgets_them_but_none_that_keeps_an_open_job_from_telling_twice(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    ended = await stage.submit(dora, desk)
    assert (await stage.until_end(ended.id)).status == "completed"
    still_open = await stage.submit(dora, desk)
    pool = stage.deps.pool
    old = stage.clock() - timedelta(days=400)
    await pool.execute("update notifications set created_at = $1", old)
    await pool.execute("update outbox set delivered_at = $1", old)
    await pool.execute(
        "insert into service_health (service_id, state, checked_at) values ($1, 'up', $2)",
        desk.service.id,
        old,
    )
    await pool.execute(
        "insert into idempotency_keys (user_id, route, key, fingerprint, status, body, created_at)"
        " values ($1, 'POST /jobs', 'k', 'f', 201, '', $2)",
        dora.id,
        old,
    )
    await tidy(stage.deps)
    for table in ("notifications", "outbox"):
        kept = await pool.fetch(f"select dedup_key from {table}")
        assert kept, table
        assert all(row["dedup_key"].startswith(str(still_open.id)) for row in kept), table
    for table in ("service_health", "idempotency_keys"):
        assert await pool.fetchval(f"select count(*) from {table}") == 0
    await tidy(stage.deps)


async def test_tidy_when_a_notice_was_read_then_it_is_kept_for_a_shorter_time(
    stage: Stage, dora: Person
) -> None:
    job = await stage.submit(dora, await stage.desk(dora))
    await stage.until_end(job.id)
    pool = stage.deps.pool
    await pool.execute(
        "update notifications set created_at = $1", stage.clock() - timedelta(days=100)
    )
    await pool.execute("update notifications set is_read = true where type = 'job_queued'")
    await tidy(stage.deps)
    kept = await pool.fetch("select type from notifications order by type")
    assert [row["type"] for row in kept] == ["job_completed", "job_running"]


async def test_tidy_when_files_have_expired_then_removes_them_but_none_of_an_open_job(
    stage: Stage, dora: Person
) -> None:
    desk = await stage.desk(dora)
    ended, still_open = await stage.submit(dora, desk), await stage.submit(dora, desk)
    pool = stage.deps.pool
    await pool.execute(
        "update imputation_jobs set next_action_at = now() + interval '1 year' where id = $1",
        still_open.id,
    )
    await stage.until_end(ended.id)
    paths = len(await stored_paths(stage.deps))
    assert paths == 5
    await pool.execute("update files set expires_at = now() - interval '1 hour'")
    stage.clock.move(days=10)
    await tidy(stage.deps)
    left = await pool.fetch(
        "select f.kind, jf.job_id from files f join job_files jf on jf.file_id = f.id"
    )
    assert [(row["kind"], row["job_id"]) for row in left] == [("input", still_open.id)]
    assert len(await stored_paths(stage.deps)) == 1


async def test_tidy_when_a_crash_left_files_that_no_row_names_then_removes_them_when_they_are_old(
    stage: Stage, dora: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = await stage.input(dora)
    pending = stage.deps.store.create()
    pending.write(b"nobody's")
    orphan = pending.commit()
    await tidy(stage.deps)
    assert stage.deps.store.path(orphan.key).exists(), "its transaction may still be running"
    # Its age is that of its inode, which nobody can set: let days be short.
    monkeypatch.setattr(files, "ORPHAN_AFTER_S", -1.0)
    await tidy(stage.deps)
    assert kept.storage_key is not None
    assert not stage.deps.store.path(orphan.key).exists()
    assert stage.deps.store.path(kept.storage_key).exists()


async def test_links_for_the_remote_when_the_job_ends_then_are_revoked_and_no_others(
    stage: Stage, dora: Person
) -> None:
    job = await stage.submit(dora, await stage.desk(dora))
    pool = stage.deps.pool
    for purpose in ("remote_input", "download"):
        await pool.execute(
            "insert into signed_links (file_id, user_id, job_id, purpose, expires_at)"
            " values ($1, $2, $3, $4, now() + interval '1 year')",
            job.input_file_id,
            dora.id,
            job.id,
            purpose,
        )
    await stage.until_end(job.id)
    rows = await pool.fetch("select purpose, revoked_at is null as is_good from signed_links")
    assert {row["purpose"]: row["is_good"] for row in rows} == {
        "remote_input": False,
        "download": True,
    }
