"""Questions that come at the same time go together: each gets its own answer, whatever becomes of its neighbours."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from app.db.gathering import AT_ONCE, MOST, Gathering
from app.usecases.deps import Deps
from tests import factories
from tests.support.notices import add_job, add_service


class Counted:
    """Doubles numbers, and remembers what was asked together; `gate` holds answers back."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, questions: Sequence[int]) -> Sequence[int]:
        self.asked.append(list(questions))
        await self.gate.wait()
        if -1 in questions:
            raise OSError("the server is away")
        return [2 * number for number in questions]


async def occupy(gathering: Gathering[int, int]) -> list[asyncio.Task[int]]:
    """Put as many questions, one after the other, as queries may be out."""
    out = []
    for number in range(AT_ONCE):
        out.append(asyncio.create_task(gathering.get(number)))
        await asyncio.sleep(0.01)
    return out


async def test_get_when_many_ask_at_once_then_one_query_gives_each_its_own() -> None:
    ask = Counted()
    gathering = Gathering(ask)

    answers = await asyncio.gather(*(gathering.get(number) for number in (3, 1, 1, 2)))

    assert answers == [6, 2, 2, 4]
    assert ask.asked == [[3, 1, 1, 2]]


async def test_get_when_queries_are_out_then_the_others_wait_and_go_together() -> None:
    ask = Counted()
    ask.gate.clear()
    gathering = Gathering(ask)
    early = await occupy(gathering)
    late = [asyncio.create_task(gathering.get(number)) for number in range(10, 10 + MOST + 5)]
    await asyncio.sleep(0.01)
    assert [len(each) for each in ask.asked] == [1] * AT_ONCE

    ask.gate.set()

    assert await asyncio.gather(*early) == [2 * number for number in range(AT_ONCE)]
    assert await asyncio.gather(*late) == [2 * number for number in range(10, 10 + MOST + 5)]
    assert [len(each) for each in ask.asked] == [1] * AT_ONCE + [MOST, 5]


async def test_get_when_the_query_fails_then_all_of_it_are_told_and_the_next_is_asked() -> None:
    ask = Counted()
    gathering = Gathering(ask)

    told = await asyncio.gather(gathering.get(-1), gathering.get(4), return_exceptions=True)

    assert [type(each) for each in told] == [OSError, OSError]
    assert await gathering.get(4) == 8


async def test_get_when_one_goes_away_then_the_others_do_not_notice() -> None:
    ask = Counted()
    ask.gate.clear()
    gathering = Gathering(ask)
    tasks = [asyncio.create_task(gathering.get(number)) for number in range(3)]
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    ask.gate.set()

    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert await tasks[0] == 0
    assert await tasks[2] == 4


async def test_get_when_all_go_away_before_their_turn_then_nothing_is_asked_and_it_goes_on() -> (
    None
):
    ask = Counted()
    ask.gate.clear()
    gathering = Gathering(ask)
    out = await occupy(gathering)
    waiting = asyncio.create_task(gathering.get(9))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.sleep(0)
    ask.gate.set()
    await asyncio.gather(*out)

    assert await asyncio.wait_for(gathering.get(5), 5) == 10
    assert ask.asked == [[number] for number in range(AT_ONCE)] + [[5]]


async def test_details_when_two_people_ask_for_all_jobs_together_then_each_gets_his_own(
    deps: Deps,
) -> None:
    alice, bob = [(await factories.make_person(deps, name)).user.id for name in ("carla", "dan")]
    service = await add_service(deps.pool)
    jobs = {user: await add_job(deps.pool, user, service) for user in (alice, bob)}
    asked = [(job, user) for job in [*jobs.values(), uuid4()] for user in (bob, alice)]

    found = await asyncio.gather(*(deps.job_details.get(each) for each in asked))

    assert [detail and (detail.job.id, detail.job.user_id) for detail in found] == [
        (job, user) if jobs.get(user) == job else None for job, user in asked
    ]
