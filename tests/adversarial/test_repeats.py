"""The same request again, at once, and after it failed: with a key it is one act, without it as many as were asked for."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from app.core.throttle import TokenBuckets
from app.settings import Settings
from app.usecases import one_time
from app.usecases.deps import Deps
from tests.adversarial.refusals import leaves_nothing, refused, rows
from tests.support.api import Answer, Api
from tests.support.jobs import (
    Desk,
    complete,
    finish,
    genotypes,
    job_form,
    job_of,
    stored_paths,
    submitted,
)
from tests.support.people import Person

COUNT = 10


async def count(deps: Deps, table: str) -> int:
    return int(await deps.pool.fetchval(f"select count(*) from {table}"))


async def many(client: Api, method: str, path: str, person: Person, **options: Any) -> list[Answer]:
    """Send the same request ten times at once."""
    return await asyncio.gather(
        *(client.request(method, path, as_=person, **options) for _ in range(COUNT))
    )


async def submit_all(client: Api, person: Person, desk: Desk, **headers: str) -> list[Answer]:
    return await asyncio.gather(
        *(
            client.post("/jobs", as_=person, data=job_form(desk), headers=headers)
            for _ in range(COUNT)
        )
    )


async def test_submit_when_sent_ten_times_at_once_with_a_key_then_is_one_job(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    answers = await submit_all(client, alice, desk, **{"Idempotency-Key": "k"})
    assert {answer.status for answer in answers} == {201}, [answer.text for answer in answers]
    assert len({answer.body for answer in answers}) == 1
    assert Counter("Idempotency-Replayed" in answer.headers for answer in answers)[False] == 1
    tables = ("imputation_jobs", "files", "notifications", "idempotency_keys", "service_accounts")
    assert [await count(deps, table) for table in tables] == [1] * 5
    assert await count(deps, "job_status_updates") == 2
    assert await count(deps, "audit_logs where action = 'job.submitted'") == 1
    assert len(await stored_paths(deps)) == 1


async def test_submit_when_sent_ten_times_at_once_without_key_then_is_ten_jobs_and_one_account(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    answers = await submit_all(client, alice, desk)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == COUNT
    assert await count(deps, "imputation_jobs") == COUNT
    assert await count(deps, "service_accounts") == 1
    assert len(await stored_paths(deps)) == COUNT
    names = await deps.pool.fetch("select remote_name from imputation_jobs")
    assert len({row["remote_name"] for row in names}) == COUNT


class TestQuotas:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(
            settings, max_open_jobs_per_user=3, max_stored_bytes_per_user=5 * len(genotypes())
        )

    async def test_submit_when_ten_race_for_three_places_then_three_get_one(
        self, client: Api, deps: Deps, alice: Person, desk: Desk
    ) -> None:
        answers = await submit_all(client, alice, desk)
        assert Counter(answer.status for answer in answers) == {201: 3, 403: 7}
        for answer in answers:
            if answer.status != 201:
                refused(answer, 403, answer.json()["code"])
                assert answer.json()["code"] in ("job_quota", "storage_quota")
        assert await count(deps, "imputation_jobs") == 3
        assert len(await stored_paths(deps)) == 3

    async def test_upload_when_ten_race_for_the_room_of_five_then_no_more_is_stored(
        self, client: Api, deps: Deps, alice: Person
    ) -> None:
        def form() -> aiohttp.FormData:
            made = aiohttp.FormData()
            made.add_field("file", genotypes(), filename="a.vcf.gz")
            return made

        answers = await asyncio.gather(
            *(client.post("/files/upload", as_=alice, data=form()) for _ in range(COUNT))
        )
        assert Counter(answer.status for answer in answers) == {201: 5, 403: 5}
        assert await count(deps, "files") == len(await stored_paths(deps)) == 5


async def test_key_when_it_stood_on_something_else_then_422_and_nothing_happens(
    client: Api, deps: Deps, alice: Person, bob: Person, desk: Desk
) -> None:
    key = {"Idempotency-Key": "k"}
    first = await client.post("/jobs", as_=alice, data=job_form(desk), headers=key)
    assert first.status == 201
    async with leaves_nothing(deps):
        others = [
            job_form(desk, population="eur"),
            job_form(desk, last={"name": "x"}),
            job_form(desk, genotypes(records=4)),
            job_form(desk, genotypes(), genotypes("21")),
            job_form(desk, name="other.vcf.gz"),
        ]
        for form in others:
            answer = await client.post("/jobs", as_=alice, data=form, headers=key)
            refused(answer, 422, "idempotency_key_reused")
    # Somebody else's key is another key, and another route's is too.
    answer = await client.post("/jobs", as_=bob, data=job_form(desk), headers=key)
    assert answer.status == 400
    credential = {"service_id": desk.service.id, "api_token": "tok"}
    answer = await client.post(
        "/users/me/service-credentials", as_=bob, json=credential, headers=key
    )
    assert answer.status == 201


async def test_key_when_it_cannot_be_kept_then_400_before_anything(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    async with leaves_nothing(deps):
        for key in ("", " ", "a b", "x" * 256, "\u00e4", "a\tb"):
            headers = {"Idempotency-Key": key}
            answer = await client.post("/jobs", as_=alice, data=job_form(desk), headers=headers)
            refused(answer, 400, "invalid_idempotency_key", about=key)


async def test_key_when_the_first_try_was_refused_or_cut_then_it_is_still_free(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    key = {"Idempotency-Key": "k"}
    async with leaves_nothing(deps):
        wrong = job_form(desk, population="martian")
        assert (await client.post("/jobs", as_=alice, data=wrong, headers=key)).status == 400
        cut = genotypes()[:-30]
        assert (
            await client.post("/jobs", as_=alice, data=job_form(desk, cut), headers=key)
        ).status == 400
    assert (await client.post("/jobs", as_=alice, data=job_form(desk), headers=key)).status == 201


async def test_credential_when_stored_ten_times_at_once_without_key_then_one_is_there(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    body = {"service_id": desk.service.id, "api_token": "tok"}
    answers = await many(client, "POST", "/users/me/service-credentials", alice, json=body)
    assert {answer.status for answer in answers} == {200}  # the desk has one already
    assert await count(deps, "user_service_credentials") == 1


async def test_register_when_sent_ten_times_at_once_then_one_account_is_made(
    client: Api, deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenBuckets, "take", lambda *_: 0.0)
    body = {"username": "newbie", "password": "long enough 1", "email": "new@example.org"}
    answers = await asyncio.gather(
        *(client.post("/api/auth/register", json=body) for _ in range(COUNT))
    )
    assert Counter(answer.status for answer in answers) == {201: 1, 409: COUNT - 1}
    assert await count(deps, "users") == 1


async def test_cancel_retry_and_delete_when_sent_ten_times_at_once_then_each_takes_effect_once(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    job = await submitted(deps, client, alice, desk)
    answers = await many(client, "POST", f"/jobs/{job.id}/cancel", alice)
    assert {answer.status for answer in answers} <= {202, 409}
    assert await count(deps, "notifications where type = 'job_cancelled'") <= 1
    await finish(deps, job, "cancelled")

    key = {"Idempotency-Key": "r"}
    answers = await many(client, "POST", f"/jobs/{job.id}/retry", alice, headers=key)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    again = await job_of(deps, answers[0])
    assert again.retry_of == job.id
    await complete(deps, again)

    answers = await many(client, "DELETE", f"/jobs/{again.id}", alice)
    assert Counter(answer.status for answer in answers) == {204: 1, 404: COUNT - 1}
    answers = await many(client, "DELETE", f"/jobs/{job.id}", alice)
    assert Counter(answer.status for answer in answers) == {204: 1, 404: COUNT - 1}
    assert await stored_paths(deps) == []


async def test_password_reset_when_the_link_is_used_ten_times_at_once_then_one_wins(
    client: Api, deps: Deps, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenBuckets, "take", lambda *_: 0.0)
    async with deps.pool.acquire() as conn, conn.transaction():
        token = await one_time._new_token(
            deps, conn, alice.id, one_time.PASSWORD_RESET, {}, timedelta(hours=1)
        )
    answers = await asyncio.gather(
        *(
            client.post(
                f"/api/auth/password-reset/{token}", json={"new_password": f"horse number {n}"}
            )
            for n in range(COUNT)
        )
    )
    assert Counter(answer.status for answer in answers) == {200: 1, 404: COUNT - 1}
    assert await deps.pool.fetchval("select token_version from users where id = $1", alice.id) == 1


async def test_reading_when_repeated_then_nothing_is_written(
    client: Api, deps: Deps, alice: Person, desk: Desk
) -> None:
    job = await complete(deps, await submitted(deps, client, alice, desk))
    paths = [
        "/users/me", "/jobs", f"/jobs/{job.id}", f"/jobs/{job.id}/files", f"/jobs/{job.id}/logs", f"/jobs/{job.id}/status-updates",
        "/files", f"/files/{job.input_file_id}", "/notifications", "/services", "/users/me/service-credentials", "/users/me/audit", "/health/ready",
    ]  # fmt: skip
    before = await rows(deps.pool)
    for path in paths:
        answers = await many(client, "GET", path, alice)
        assert {answer.status for answer in answers} == {200}, path
    assert await rows(deps.pool) == before
