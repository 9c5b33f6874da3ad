"""Owners are told once, in the transaction of the change, over the channels they want."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from app.core.models import Job
from app.core.notices import NoticeEvent
from app.usecases.deps import Deps
from app.usecases.notices import announce
from tests.support.deps import Clock
from tests.support.notices import JOB_EVENTS, add_job, add_results, add_service, get_job, make_job
from tests.support.people import Person


@pytest.fixture
async def job(deps: Deps, alice: Person) -> Job:
    job_id = await add_job(deps.pool, alice.id, await add_service(deps.pool))
    return await get_job(deps.pool, job_id)


async def tell(deps: Deps, job: Job, event: NoticeEvent, occurrence: str = "") -> None:
    async with deps.pool.acquire() as conn, conn.transaction():
        await announce(
            conn, job, event, settings=deps.settings, now=deps.now(), occurrence=occurrence
        )


async def rows(deps: Deps, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await deps.pool.fetch(f"select * from {table} order by id")]


async def test_announce_when_told_then_there_is_one_notice_and_one_mail_for_each_event(
    deps: Deps, job: Job, alice: Person
) -> None:
    for event in JOB_EVENTS:
        await tell(deps, job, event)
    notices, mails = await rows(deps, "notifications"), await rows(deps, "outbox")
    for event, notice, mail in zip(JOB_EVENTS, notices, mails, strict=True):
        assert notice["type"] == mail["template"] == event
        assert notice["channels"] == ["web", "email"]
        assert notice["user_id"] == mail["user_id"] == alice.id
        assert notice["data"]["job_id"] == str(job.id)
        assert notice["data"]["job_name"] == job.name
        assert notice["data"]["action_url"].startswith("http://platform.test/ui/")
        assert notice["data"]["results_url"] is None
        assert mail["recipient"] == "alice@example.org"
        assert mail["secret_data"] is None


async def test_announce_when_results_are_there_then_their_address_is_told(
    deps: Deps, job: Job, alice: Person
) -> None:
    await add_results(deps.pool, alice.id, job.id)
    await tell(deps, await get_job(deps.pool, job.id), NoticeEvent.JOB_COMPLETED)
    [notice] = await rows(deps, "notifications")
    assert notice["data"]["results_url"] == f"http://platform.test/api/jobs/{job.id}/results"


async def test_announce_when_many_tell_the_same_at_once_then_it_is_told_once(
    deps: Deps, job: Job
) -> None:
    await asyncio.gather(*(tell(deps, job, NoticeEvent.JOB_COMPLETED) for _ in range(8)))
    assert len(await rows(deps, "notifications")) == 1
    assert len(await rows(deps, "outbox")) == 1


async def test_announce_when_the_transaction_fails_then_nobody_is_told(
    deps: Deps, job: Job
) -> None:
    class Undone(Exception):
        pass

    async def fail_after_telling() -> None:
        async with deps.pool.acquire() as conn, conn.transaction():
            event, now = NoticeEvent.JOB_FAILED, deps.now()
            await announce(conn, job, event, settings=deps.settings, now=now)
            raise Undone

    with pytest.raises(Undone):
        await fail_after_telling()
    assert await rows(deps, "notifications") == []
    assert await rows(deps, "outbox") == []


async def test_announce_when_a_hold_comes_again_another_day_then_it_is_told_again(
    deps: Deps, job: Job, clock: Clock
) -> None:
    await tell(deps, job, NoticeEvent.CREDENTIAL_NEEDED, "1")
    await tell(deps, job, NoticeEvent.CREDENTIAL_NEEDED, "1")
    await tell(deps, job, NoticeEvent.JOB_QUEUED)
    clock.move(days=1)
    await tell(deps, job, NoticeEvent.CREDENTIAL_NEEDED)
    await tell(deps, job, NoticeEvent.JOB_QUEUED)
    assert [row["template"] for row in await rows(deps, "outbox")] == [
        "credential_needed",
        "job_queued",
        "credential_needed",
    ]


async def test_announce_when_preferences_leave_a_channel_out_then_nothing_goes_there(
    deps: Deps, job: Job, alice: Person
) -> None:
    preferences = {
        "job_queued": {"email": False},
        "job_failed": {"web": False},
        "job_completed": {"web": False, "email": False},
    }
    await deps.pool.execute(
        "update users set notification_preferences = $2 where id = $1", alice.id, preferences
    )
    for event in preferences:
        await tell(deps, job, NoticeEvent(event))
    notices, mails = await rows(deps, "notifications"), await rows(deps, "outbox")
    assert [(row["type"], row["channels"]) for row in notices] == [("job_queued", ["web"])]
    assert [row["template"] for row in mails] == ["job_failed"]


async def test_announce_when_there_is_nobody_to_mail_then_only_the_page_tells(
    deps: Deps, job: Job, alice: Person
) -> None:
    await deps.pool.execute("update users set is_active = false where id = $1", alice.id)
    await tell(deps, job, NoticeEvent.JOB_COMPLETED)
    await deps.pool.execute(
        "update users set is_active = true, email = null where id = $1", alice.id
    )
    await tell(deps, job, NoticeEvent.JOB_QUEUED)
    assert [row["channels"] for row in await rows(deps, "notifications")] == [["web"], ["web"]]
    assert await rows(deps, "outbox") == []


async def test_announce_when_the_account_is_gone_then_nothing_happens(deps: Deps) -> None:
    await tell(deps, make_job(user_id=987654), NoticeEvent.JOB_COMPLETED)
    assert await rows(deps, "notifications") == []


async def test_announce_when_texts_hold_secrets_and_line_breaks_then_neither_is_stored(
    deps: Deps, job: Job
) -> None:
    evil = replace(
        job,
        name="x\r\nBcc: all@example.org",
        error_message="refused: password=s3cr3t-value\nsee /share/results/s3cr3t-hash/a.zip",
    )
    await tell(deps, evil, NoticeEvent.JOB_FAILED)
    stored = str(await rows(deps, "notifications")) + str(await rows(deps, "outbox"))
    assert "s3cr3t" not in stored
    assert "\\n" not in stored
    assert "\\r" not in stored
