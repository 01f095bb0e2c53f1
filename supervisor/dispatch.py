"""Fills the bounded queue: while there is room, the next task of the job that `schedule` chooses.

Owns the room between two readings of the machine. The queue's bound is the back-pressure: tasks are made from their
job's rule only as fast as workers take them, so that a million waiting tasks exist nowhere.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from gristmill.supervisor.core import schedule
from gristmill.supervisor.core.conditions import Conditions
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.schedule import Room
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pool import Pool
from gristmill.supervisor.workshop import Workshop

AT_ONCE = 8
"""So many tasks are chosen in one turn of the event loop, each of which may need a worker that is yet to be made."""


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
            if self._fill():
                self._ledger.work.set()
                await asyncio.sleep(0)  # whoever was given a task begins it before the next worker is made

    def _fill(self) -> bool:
        """Hands out as much as may be in one turn of the event loop; whether there may be more."""
        running = schedule.widths(self._ledger.live.values())
        busy = sum(running.values())
        wanted = self._crews()
        self._widen(busy, None, wanted)
        self._prepare_calls()
        if self.room is None:
            return False
        self.room.running = running
        chosen = 0
        while not (self._conditions.held or self._pool.full):
            if chosen == AT_ONCE:
                return True
            chosen += 1
            job = schedule.choose(self._ledger.in_order(), self.room, self._clock(), busy, self.limit)
            if job is None:
                break
            more = schedule.charge(job, self.room)
            busy += more
            wants = job.spec.resources
            gpus = ",".join(self.room.cards.take(wants)) if wants.cards else ""
            task = self._ledger.take(job, self.limit, gpus)
            shop = self._pool.shops.of(job)
            wanted[shop] = wanted.get(shop, 0) + more
            self._widen(busy, shop, wanted)
            self._pool.hand_in(job, task)
            self._fill_up(job, self.room)
        self._line_up(busy)
        return False

    def _fill_up(self, job: Job, room: Room) -> None:
        """The worker that has been given a tiny task of a job gets as many as are sent ahead: that takes no more of the
        machine than the first one, and needs no second choice."""
        ahead = job.ahead
        if ahead == 1 or job.spec.resources.counters:
            return
        now, count = self._clock(), 0
        most = min(-job.hands % ahead, self._pool.room(job))
        while count < most and job.ready(now):
            self._pool.hand_in(job, self._ledger.take(job, self.limit))
            count += 1
        schedule.charge_behind(job, room, count)

    def _line_up(self, busy: int) -> None:
        """Sends the next tasks to workers that have one in hand, as long as nobody else waits for a worker; takes back
        those that were sent when somebody does, or has nothing to do."""
        chosen = [job for job in self._ledger.live.values() if job.lined_up or job.lines_up]
        if not chosen:
            return
        now = self._clock()
        ready = list(itertools.islice((job for job in self._ledger.in_order() if job.ready(now)), 2))
        calm = busy <= self.limit and not self._conditions.held
        for job in chosen:
            if calm and ready == [job]:
                for slot in self._pool.with_one_in_hand(job) if job.lines_up else ():
                    self._pool.line_up(slot, job, self._ledger.take(job, self.limit))
                    if not job.lines_up:
                        break
            elif job.lined_up and (ready not in ([], [job]) or not calm or not job.open or self._idle(job, busy)):
                self._pool.call_back(job)

    def _idle(self, job: Job, busy: int) -> bool:
        """Whether somebody has nothing to do while tasks of a job, cut beforehand, stand behind others."""
        return job.guided is None and busy < self.limit

    def _prepare_calls(self) -> None:
        """Has interpreters made ready for jobs of calls."""
        shops = self._pool.shops
        while self._ledger.fresh_calls:
            shops.take_on(self._ledger.fresh_calls.popleft())
        if self.limit and not self._conditions.held:
            shops.begin()

    def _crews(self) -> dict[Workshop | None, int]:
        """How many workers of each workshop what was handed out keeps busy; without calls nobody has to count."""
        found: dict[Workshop | None, int] = {}
        for job in self._ledger.live.values() if self._pool.shops.any else ():
            shop = self._pool.shops.of(job)
            found[shop] = found.get(shop, 0) - (-job.hands // job.ahead)
        for _, task in self._pool.legacy.workers.values() if found else ():
            found[self._pool.shops.of(self._ledger.jobs[task.job])] -= 1
        return found

    def _widen(self, busy: int, shop: Workshop | None, wanted: dict[Workshop | None, int]) -> None:
        """Opens workers for what has been handed out, up to the limit; idle ones of another kind make room."""
        pool = self._pool
        if not pool.shops.any:
            while len(pool.slots) + len(pool.legacy.workers) < min(self.limit, busy) and pool.open_slot():
                pass
            return
        for each in (shop,) if shop is not None else tuple(wanted):
            while pool.crew(each) < wanted[each]:
                staying = sum(1 for slot in pool.slots.values() if not slot.retiring) + len(pool.legacy.workers)
                if staying >= self.limit and not pool.make_room(wanted):
                    return
                if not pool.open_slot(each):
                    break
