"""Work in lanes: all of it, so many at a time, and one query where nothing is due."""

import asyncio

import pytest

from app.usecases.lanes import work_off


class Heap:
    """So many pieces; counts looks, and how many are in hand at a time."""

    def __init__(self, pieces: int) -> None:
        self.left = list(range(pieces))
        self.looks = self.in_hand = self.most_in_hand = 0
        self.done: list[int] = []

    async def claim(self) -> int | None:
        self.looks += 1
        await asyncio.sleep(0)
        return self.left.pop() if self.left else None

    async def handle(self, piece: int) -> None:
        self.in_hand += 1
        self.most_in_hand = max(self.most_in_hand, self.in_hand)
        await asyncio.sleep(0.001)
        self.in_hand -= 1
        self.done.append(piece)


@pytest.mark.parametrize("pieces", [1, 3, 4, 30])
async def test_work_when_due_then_all_of_it_is_done_so_many_at_a_time(pieces: int) -> None:
    heap = Heap(pieces)
    assert await work_off(heap.claim, heap.handle, lanes=4, most=100) == pieces
    assert sorted(heap.done) == list(range(pieces))
    assert heap.most_in_hand == min(4, pieces)


async def test_work_when_nothing_is_due_then_looks_once() -> None:
    heap = Heap(0)
    assert await work_off(heap.claim, heap.handle, lanes=4, most=100) == 0
    assert heap.looks == 1


async def test_work_when_there_is_too_much_then_stops_at_the_most() -> None:
    heap = Heap(30)
    assert await work_off(heap.claim, heap.handle, lanes=4, most=7) == len(heap.done) == 7


async def test_work_when_one_hangs_then_the_others_are_done() -> None:
    heap = Heap(10)
    stuck = asyncio.Event()

    async def handle(piece: int) -> None:
        if piece == 9:
            await stuck.wait()
        await heap.handle(piece)

    working = asyncio.create_task(work_off(heap.claim, handle, lanes=2, most=100))
    async with asyncio.timeout(5):
        while len(heap.done) < 9:
            await asyncio.sleep(0.001)
    stuck.set()
    assert await working == 10


async def test_work_when_a_piece_fails_then_says_so_and_ends() -> None:
    async def fail(_piece: int) -> None:
        raise OSError

    with pytest.raises(ExceptionGroup):
        await work_off(Heap(10).claim, fail, lanes=3, most=100)
