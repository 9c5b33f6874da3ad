"""A bounded pipe of bytes from the event loop into one worker thread, and the thread at its end.

Unpacking archives is blocking, pull-shaped work; the network gives bytes on the event loop. The pipe holds a few pieces,
makes the sender wait when the thread lags behind (so that the peer is slowed down by TCP), and wakes the thread at
once when the sender gives up, so that a cancelled download leaves no thread behind.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

CAPACITY_BYTES = 2 * 1024 * 1024


class PipeAbortedError(Exception):
    """Raised in the thread when the sender gave up. Never leaves this package."""


class Pipe:
    """One sender on the event loop, one reader in a thread."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._loop = asyncio.get_running_loop()
        self._capacity = capacity_bytes
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._aborted = False
        self._closed = False
        self._changed = threading.Condition()
        self._room = asyncio.Event()

    async def put(self, piece: bytes) -> bool:
        """Hand over one piece; wait while the pipe is full. False when the reader takes no more."""
        while True:
            with self._changed:
                if self._closed:
                    return False
                if self._size < self._capacity:
                    self._pieces.append(piece)
                    self._size += len(piece)
                    self._changed.notify()
                    return True
                self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """Say that all pieces were put."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def abort(self) -> None:
        """Make the reader stop at its next look."""
        with self._changed:
            self._aborted = True
            self._pieces.clear()
            self._changed.notify()

    def check(self) -> None:
        """Raise `PipeAbortedError` in the thread if the sender gave up; for loops that take no new piece."""
        if self._aborted:
            raise PipeAbortedError

    def close(self) -> None:
        """Say, from the thread, that no more will be read."""
        with self._changed:
            self._closed = True
            self._pieces.clear()
        self._wake_sender()

    def __iter__(self) -> Iterator[bytes]:
        """Read the pieces, in the thread."""
        while True:
            with self._changed:
                while not self._pieces and not self._ended and not self._aborted:
                    self._changed.wait()
                self.check()
                if not self._pieces:
                    return
                piece = self._pieces.popleft()
                self._size -= len(piece)
            self._wake_sender()
            yield piece

    def _wake_sender(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any longer
            self._loop.call_soon_threadsafe(self._room.set)


async def run_through(chunks: AsyncIterator[bytes], work: Callable[[Pipe], T]) -> T:
    """Run `work(pipe)` in a thread of its own while `chunks` are fed to it; give its result or raise its exception.

    A thread of its own, not one of a pool: it may wait for a slow network for hours. When this coroutine is cancelled,
    or `chunks` raises, the thread is stopped and waited for before the exception goes on: nothing touches what `work`
    writes to after this has returned.
    """
    loop = asyncio.get_running_loop()
    pipe = Pipe()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type] # None only where T is None

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work(pipe)
        except BaseException as error:  # noqa: BLE001 - handed on whole to the awaiting coroutine
            failure = error
        pipe.close()
        with suppress(RuntimeError):  # the loop is closed: nobody waits any longer
            loop.call_soon_threadsafe(settle, result, failure)

    thread = threading.Thread(target=run, name="unpack", daemon=True)
    thread.start()
    try:
        async for chunk in chunks:
            if not await pipe.put(chunk):
                break
        pipe.end()
        return await asyncio.shield(outcome)
    except BaseException:
        pipe.abort()
        raise
    finally:
        while not outcome.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({outcome})
        outcome.exception()
