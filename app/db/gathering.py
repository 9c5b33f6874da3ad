"""Questions of one kind that come at the same time, asked with one query.

A query by itself costs about as much as everything else that a small answer takes (`bench.api`): two system calls here, two in the
server, its planner and executor set going, a connection lent and taken back. Where many clients look at their jobs, the
questions that arrive in one turn of the event loop, or while `AT_ONCE` queries are out, go together; one that comes alone
goes at once. What is read is never older than its question, because a query begins after the last of its questions was put.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

AT_ONCE = 2
"""Queries out at a time: while the server works on one, we read the answers of the other."""

MOST = 100
"""Questions in one query, so that none waits long for its neighbours."""

Q = TypeVar("Q")
A = TypeVar("A")


class Gathering(Generic[Q, A]):
    """Asks with `ask`, which gives an answer to each question in their order. Of one event loop."""

    def __init__(self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._out: set[asyncio.Task[None]] = set()
        self._is_called = False

    async def get(self, question: Q) -> A:
        """Give the answer. Raises what `ask` raised, to all whose questions went together."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, answer))
        if not self._is_called and len(self._out) < AT_ONCE:
            self._is_called = True
            loop.call_soon(self._send)  # after all that came in this turn
        return await answer

    def _send(self) -> None:
        self._is_called = False
        # Whoever went away meanwhile asks no more.
        self._waiting = [each for each in self._waiting if not each[1].done()]
        while self._waiting and len(self._out) < AT_ONCE:
            together, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            task = asyncio.create_task(self._answer(together))
            self._out.add(task)
            task.add_done_callback(self._go_on)

    def _go_on(self, task: asyncio.Task[None]) -> None:
        self._out.discard(task)
        if self._waiting and not self._is_called:
            self._send()

    async def _answer(self, together: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._ask([question for question, _ in together])
            for (_, future), answer in zip(together, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except Exception as error:  # noqa: BLE001 - each who asked gets it, and judges
            for _, future in together:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in together:
                future.cancel()  # only where this very task was cancelled: the process ends
