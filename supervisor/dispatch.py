"""Fills the bounded queue: while there is room, the next task of the job that `schedule` chooses.

Owns the room between two readings of the machine. The queue's bound is the back-pressure: tasks are made from their
job's rule only as fast as workers take them, so that a million waiting tasks exist nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

from gristmill.supervisor.core import schedule
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.schedule import Room
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pool import Pool


class Dispatcher:
    """From the ledger's jobs to the pool's queue."""

    def __init__(self, ledger: Ledger, pool: Pool, clock: Callable[[], float], conditions: Conditions) -> None:
        self._ledger, self._pool, self._clock, self._conditions = ledger, pool, clock, conditions
        self.limit = 1
        self.room: Room | None = None

    async def run(self) -> None:
        """Hands out tasks whenever something has changed, for as long as the daemon lives."""
        while True:
            await self._ledger.work.wait()
            self._ledger.work.clear()
            self._fill()

    def _fill(self) -> None:
        running = schedule.widths(self._ledger.live.values())
        busy = sum(running.values())
        self._widen(busy)
        if self.room is None:
            return
        self.room.running = running
        while not (self._conditions.held or self._pool.queue.full()):
            job = schedule.choose(self._ledger.in_order(), self.room, self._clock(), busy, self.limit)
            if job is None:
                return
            busy += schedule.charge(job, self.room)
            task = self._ledger.take(job)
            self._widen(busy)
            self._pool.queue.put_nowait(task)  # never waited for: whoever waits here could not replace dead workers

    def _widen(self, busy: int) -> None:
        """Opens workers for what has been handed out, up to the limit."""
        wanted = min(self.limit, busy)
        while len(self._pool.slots) + len(self._pool.legacy.workers) < wanted and self._pool.open_slot():
            pass
