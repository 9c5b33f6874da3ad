"""The polling scheduler: one heap over the accounts that this process looks after, and a limit per service.

Polling is not a queue's work (docs/decisions/0003): arq's re-enqueued jobs were measured at 290 times the delay. Accounts are
leased in PostgreSQL, so several processes share them and a dead one's are taken over.
"""

import asyncio
import heapq
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.core.polling import backoff, next_look, poll_interval
from app.db.engine import ENGINE
from app.tasks.dispatcher import every
from app.usecases.deps import Deps
from app.usecases.engine.leases import DATABASE_AWAY
from app.usecases.engine.polling import look

log = structlog.get_logger(__name__)

LOOKS_PER_SERVICE = 8
LOOK_TIMEOUT_S = 300.0
MAX_CLAIMS = 500
SPREAD_ABOVE = 50


@dataclass(slots=True)
class Watched:
    """An account that this process looks after. `due` and `leased_until` are times of the loop, in seconds.

    `mark` is when it was last woken, as far as we know; `is_woken` that this happened during a look, which may have come too early.
    """

    service_id: int
    due: float
    leased_until: float
    mark: datetime
    changed_at: float
    failures: int = 0
    is_busy: bool = False
    is_woken: bool = False


class Poller:
    """Looks at every watched account when it is due."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._heap: list[tuple[float, int]] = []
        self._watched: dict[int, Watched] = {}
        self._gates: dict[int, asyncio.Semaphore] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                interval = self._deps.settings.dispatch_interval_s
                group.create_task(every(interval, "poll accounts", self.claim))
                group.create_task(self._schedule())
        finally:
            looks = [*self._looks]
            for task in looks:
                task.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def claim(self) -> None:
        """Take over accounts that nobody looks after, renew the leases of ours, and notice those that were woken."""
        deps, now, clock = self._deps, self._deps.now(), _clock()
        lease_s = deps.settings.lease_s
        lease = timedelta(seconds=lease_s)
        rows = await ENGINE.claim_polled_accounts.rows(
            deps.pool,
            owner=deps.owner,
            now=now,
            lease_until=now + lease,
            renew_before=now + lease / 2,
            max_rows=MAX_CLAIMS,
        )
        taken_over = [row["id"] for row in rows if row["id"] not in self._watched]
        if taken_over:
            # Nobody may have looked for long: a time without looks must not make a job lost.
            await ENGINE.forget_missing.run(deps.pool, account_ids=taken_over)
        spread = lease_s / 2 if len(rows) > SPREAD_ABOVE else 0.2
        for row in rows:
            account_id = row["id"]
            if account_id in self._watched:
                self._watched[account_id].leased_until = clock + lease_s
                continue
            later = max(0.0, (row["next_poll_at"] - now).total_seconds())
            due = clock + later + random.random() * spread  # noqa: S311 - spreads load, guards nothing
            self._watched[account_id] = Watched(
                row["service_id"], due, clock + lease_s, row["next_poll_at"], clock
            )
            self._push(account_id, due)
        for row in await ENGINE.list_woken_polls.rows(deps.pool, owner=deps.owner):
            self._wake_up(row["id"], row["next_poll_at"])

    def _wake_up(self, account_id: int, mark: datetime) -> None:
        watched = self._watched.get(account_id)
        if watched is None or watched.mark == mark:
            return
        watched.mark = mark
        if watched.is_busy:
            watched.is_woken = True
        else:
            self._push(account_id, _clock())

    def _push(self, account_id: int, due: float) -> None:
        self._watched[account_id].due = due
        heapq.heappush(self._heap, (due, account_id))
        if self._heap[0][0] == due:
            self._wake.set()

    async def _schedule(self) -> None:
        while True:
            clock = _clock()
            while self._heap and self._heap[0][0] <= clock:
                due, account_id = heapq.heappop(self._heap)
                watched = self._watched.get(account_id)
                if watched is not None and watched.due == due and not watched.is_busy:
                    watched.is_busy = True
                    task = asyncio.create_task(self._look(account_id, watched), name="look")
                    self._looks.add(task)
                    task.add_done_callback(self._looks.discard)
            self._wake.clear()
            wait = min(1.0, self._heap[0][0] - clock) if self._heap else 1.0
            try:
                async with asyncio.timeout(max(0.001, wait)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _look(self, account_id: int, watched: Watched) -> None:
        """Look once, within the service's limit, and say when to look again."""
        gate = self._gates.setdefault(watched.service_id, asyncio.Semaphore(LOOKS_PER_SERVICE))
        wait_s: float | None = None
        try:
            async with gate:
                if _clock() < watched.leased_until:
                    watched.is_woken = False
                    async with asyncio.timeout(LOOK_TIMEOUT_S):
                        wait_s = await self._look_once(account_id, watched)
        except DATABASE_AWAY as error:
            log.warning("poller.look_failed", account_id=account_id, reason=type(error).__name__)
            wait_s = self._back_off(watched, self._deps.settings.retry_base_s)
        except Exception:
            log.exception("poller.look_failed", account_id=account_id)
            wait_s = self._back_off(watched, self._deps.settings.retry_base_s)
        watched.is_busy = False
        if wait_s is not None:
            clock = _clock()
            later = next_look(watched.due, clock, wait_s, watched.failures)
            self._push(account_id, clock if watched.is_woken else later)
        elif self._watched.get(account_id) is watched:
            del self._watched[account_id]

    async def _look_once(self, account_id: int, watched: Watched) -> float | None:
        deps = self._deps
        result = await look(deps, account_id, watched.failures)
        if result.jobs == 0:
            # Forgotten first: should it be claimed again before it is released here, it is a new one.
            self._watched.pop(account_id, None)
            await ENGINE.release_polled_account.run(
                deps.pool, account_id=account_id, owner=deps.owner
            )
            return None
        if result.changed:
            watched.changed_at = _clock()
        if result.failed:
            return self._back_off(watched, result.interval_s)
        watched.failures = 0
        return poll_interval(result.interval_s, _clock() - watched.changed_at)

    def _back_off(self, watched: Watched, interval_s: float) -> float:
        watched.failures += 1
        longest = max(interval_s, self._deps.settings.retry_max_s)
        return backoff(watched.failures, interval_s, longest, random.random)


def _clock() -> float:
    return asyncio.get_running_loop().time()
