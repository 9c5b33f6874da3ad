"""The room that uploads of one user share, in several processes: never more than the quota, and given back whatever happens."""

import asyncio
import random
from dataclasses import replace

import pytest

from app.core.errors import QuotaExceeded
from app.settings import Settings
from app.usecases import room as module
from app.usecases.deps import Actor, Deps
from app.usecases.room import FORM_BYTES, STEP_BYTES, Room
from tests.support.people import Person

QUOTA = 100 * 1024 * 1024


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, max_stored_bytes_per_user=QUOTA)


@pytest.fixture
def processes(deps: Deps) -> list[Deps]:
    """Three processes over one database."""
    return [replace(deps, owner=f"process {number}") for number in range(3)]


def a_room(deps: Deps, person: Person) -> Room:
    return Room(deps, Actor(person.user))


async def take(room: Room, size: int) -> None:
    await asyncio.to_thread(room.take, size)


async def reserved(deps: Deps) -> int:
    return int(
        await deps.pool.fetchval("select coalesce(sum(size_bytes), 0) from upload_reservations")
    )


async def test_reserve_when_the_length_is_declared_then_others_have_what_is_left(
    processes: list[Deps], alice: Person, bob: Person
) -> None:
    one, two, three = (a_room(deps, alice) for deps in processes)
    await one.reserve(QUOTA - 10)
    await two.reserve(30)  # it may be that most of it is fields
    assert await reserved(processes[0]) == QUOTA
    with pytest.raises(QuotaExceeded) as caught:
        await three.reserve(1)
    assert caught.value.code == "storage_quota"
    await take(two, 10)
    with pytest.raises(QuotaExceeded):
        await take(two, 1)
    await a_room(processes[0], bob).reserve(QUOTA)  # somebody else has room of their own


async def test_reserve_when_it_cannot_fit_whatever_else_is_in_the_form_then_is_refused_at_once(
    deps: Deps, alice: Person
) -> None:
    await a_room(deps, alice).reserve(QUOTA + FORM_BYTES)
    await deps.pool.execute("delete from upload_reservations")
    with pytest.raises(QuotaExceeded):
        await a_room(deps, alice).reserve(QUOTA + FORM_BYTES + 1)
    assert await reserved(deps) == 0


async def test_take_when_no_length_is_declared_then_reserves_step_by_step(
    deps: Deps, alice: Person
) -> None:
    room = a_room(deps, alice)
    await room.reserve(None)
    assert await reserved(deps) == STEP_BYTES
    await take(room, STEP_BYTES)
    await take(room, 1)
    assert await reserved(deps) == 2 * STEP_BYTES + 1
    await take(room, QUOTA - STEP_BYTES - 1)
    assert await reserved(deps) == QUOTA
    with pytest.raises(QuotaExceeded):
        await take(room, 1)


async def test_take_when_another_has_ended_meanwhile_then_there_is_more(
    processes: list[Deps], alice: Person
) -> None:
    one, two = a_room(processes[0], alice), a_room(processes[1], alice)
    await one.reserve(QUOTA - 5)
    await two.reserve(10)
    await one.release()
    await take(two, 10)
    assert await reserved(processes[0]) == 10


async def test_reserve_when_files_are_stored_then_they_count(deps: Deps, alice: Person) -> None:
    await deps.pool.execute(
        "insert into files (user_id, kind, name, storage_key, size_bytes) values ($1, 'input', 'a', 'k', $2)",
        alice.id,
        QUOTA - 5,
    )
    room = a_room(deps, alice)
    await room.reserve(5)
    await take(room, 5)
    with pytest.raises(QuotaExceeded):
        await take(room, 1)


async def test_settle_when_all_has_come_then_only_what_came_is_reserved(
    deps: Deps, alice: Person
) -> None:
    room = a_room(deps, alice)
    await room.reserve(QUOTA)
    await take(room, 7)
    await room.settle(3600)
    assert await reserved(deps) == 7
    lasts = "select extract(epoch from expires_at - now()) from upload_reservations"
    assert float(await deps.pool.fetchval(lasts)) > 3600
    await room.release()
    await room.release()
    assert await reserved(deps) == 0


async def test_release_when_its_transaction_fails_then_it_counts_until_it_expires(
    deps: Deps, alice: Person
) -> None:
    room = a_room(deps, alice)
    await room.reserve(QUOTA)
    async with deps.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await room.release(conn)
        await transaction.rollback()
    await room.release()
    with pytest.raises(QuotaExceeded):
        await a_room(deps, alice).reserve(1)


async def test_reservation_when_its_process_was_killed_then_it_ends_by_itself(
    processes: list[Deps], alice: Person
) -> None:
    await a_room(processes[0], alice).reserve(QUOTA)
    with pytest.raises(QuotaExceeded):
        await a_room(processes[1], alice).reserve(1)
    lasts = "select extract(epoch from expires_at - now()) from upload_reservations"
    longest = processes[0].settings.upload_idle_timeout_s + module.RENEW_S + module.SPARE_S
    assert 0 < float(await processes[0].pool.fetchval(lasts)) <= longest
    await processes[0].pool.execute(
        "update upload_reservations set expires_at = now() - interval '1 second'"
    )
    await a_room(processes[1], alice).reserve(QUOTA)
    assert await processes[0].pool.fetchval("select count(*) from upload_reservations") == 1


async def test_reservation_when_bytes_keep_coming_then_it_is_renewed(
    deps: Deps, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = a_room(deps, alice)
    monkeypatch.setattr(module, "RENEW_S", -1.0)
    await room.reserve(10)
    await deps.pool.execute("update upload_reservations set expires_at = now() - interval '1 hour'")
    await take(room, 1)
    assert await deps.pool.fetchval("select expires_at > now() from upload_reservations")
    assert await reserved(deps) == 10


async def test_room_when_many_race_in_several_processes_then_the_quota_is_never_exceeded(
    processes: list[Deps], alice: Person
) -> None:
    chance = random.Random(1)
    taken: list[int] = []

    async def upload(number: int) -> None:
        room = a_room(processes[number % 3], alice)
        size = chance.randrange(1, QUOTA // 4)
        got = 0
        try:
            await room.reserve(None if number % 2 else size)
            for _ in range(4):
                await take(room, size // 4)
                got += size // 4
                taken.append(size // 4)
                assert sum(taken) <= QUOTA
                assert await reserved(processes[0]) <= QUOTA
        except QuotaExceeded:
            pass
        taken.append(-got)
        await room.release()

    await asyncio.gather(*(upload(number) for number in range(24)))
    assert await reserved(processes[0]) == 0
