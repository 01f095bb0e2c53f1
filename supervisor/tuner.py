"""Once a second: read the machine, ask the governor, set the limit, tell the feed.

Puts in order and keeps the governor's state; it decides nothing itself.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable

from gristmill.supervisor.core import figures, governor, schedule
from gristmill.supervisor.core.conditions import Conditions, Kind
from gristmill.supervisor.core.governor import Load, Reading
from gristmill.supervisor.core.protocol import DecisionView, LimitView, MachineView
from gristmill.supervisor.core.timekeeping import Timekeeper
from gristmill.supervisor.dispatch import Dispatcher
from gristmill.supervisor.edge.sampler import Sample, Sampler
from gristmill.supervisor.edge.spawner import Adopted
from gristmill.supervisor.edge.survivors import Survivors
from gristmill.supervisor.feed import Feed
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pool import Pool

log = logging.getLogger(__name__)

PERIOD = 1.0
NOTED_S = 60.0
"""Seconds for which something that has passed is shown."""


class Tuner:
    """The loop around the governor."""

    def __init__(
        self, ledger: Ledger, pool: Pool, dispatcher: Dispatcher, feed: Feed, sampler: Sampler,
        examine: Callable[[Sample], None], conditions: Conditions,
    ) -> None:
        self._ledger, self._pool, self._dispatcher, self._feed = ledger, pool, dispatcher, feed
        self._sampler, self._examine, self._conditions = sampler, examine, conditions
        self._state = governor.State()
        self._time = Timekeeper(time.monotonic(), time.time())
        self._shown = 0
        self.fixed: int | None = None
        """What the user has set the limit to, None for the governor's."""

    async def run(self) -> None:
        """Tunes for as long as the daemon lives."""
        while True:
            self.step()
            await self._feed.publish()
            await asyncio.sleep(PERIOD)

    def step(self) -> None:
        """One period."""
        self._watch_time()
        sample = self._look()
        self._examine(sample)
        words, holds = governor.memory_alarm(sample.memory_total, sample.memory_available)
        self._conditions.put(Kind.MEMORY, words, holds)
        reading = self._reading(sample)
        self._state, decision = governor.decide(reading, self._state)
        limit = decision.limit if self.fixed is None else self.fixed
        reason = decision.reason if self.fixed is None else f"fixed at {self.fixed} by the user"
        self._dispatcher.limit = limit
        self._dispatcher.room = schedule.Room(
            memory_bytes=decision.memory_room,
            cpus=sample.cores - self._claimed_cpus(),
            unknown_bytes=decision.unknown_bytes,
            total_memory_bytes=sample.memory_total,
            cores=sample.cores,
        )
        self._pool.tick(limit)
        self._ledger.work.set()
        self._show(sample, limit, reason)

    def _watch_time(self) -> None:
        passage = self._time.look(time.monotonic(), time.time())
        if passage.jump:
            self._ledger.shift(passage.jump)
            way = f"{figures.about(abs(passage.jump))} {'forward' if passage.jump > 0 else 'back'}"
            words = f"clock: it was moved {way} (or the machine slept); timeouts and pauses go by a steady clock"
            self._conditions.set(Kind.CLOCK, words, holds=False, for_s=NOTED_S)
        if passage.stall:
            words = f"stall: the daemon stood still for {passage.stall:.1f} s; tasks went on meanwhile"
            self._conditions.set(Kind.STALL, words, holds=False, for_s=NOTED_S)

    def _look(self) -> Sample:
        pids = [slot.pid for slot in self._pool.slots.values() if slot.pid]
        adopted = [worker.pid for worker, _ in self._pool.legacy.workers.values() if isinstance(worker, Adopted)]
        alone = [worker.pid for worker, _ in self._pool.legacy.workers.values() if isinstance(worker, Survivors)]
        sample = self._sampler.look([os.getpid(), *adopted, *alone], [*pids, *adopted], alone)
        self._feed.trees = sample.trees
        for slot in self._pool.slots.values():
            tree = sample.trees.get(slot.pid or 0)
            task = next(iter(slot.flight.values()), None)
            if tree and task and (job := self._ledger.jobs.get(task.job)):
                self._ledger.seen(job, task.number, tree.memory_bytes)
        for worker, task in self._pool.legacy.workers.values():
            tree = sample.trees.get(worker.pid)
            if tree and (job := self._ledger.jobs.get(task.job)):
                self._ledger.seen(job, task.number, tree.memory_bytes)
        return sample

    def _reading(self, sample: Sample) -> Reading:
        loads = []
        for job in self._ledger.live.values():
            expected = job.memory_need
            running = itertools.islice(job.live.values(), schedule.width([job]))  # those sent ahead hold nothing yet
            loads += [Load(float(task.memory_peak_bytes or 0), expected) for task in running]
        first = next((job for job in self._ledger.in_order() if job.ready(time.time())), None)
        return Reading(
            cores=sample.cores,
            cpu_total=sample.cpu_total,
            cpu_ours=sample.cpu_ours,
            cpu_workers=min(sample.cores, sum(tree.cpu for tree in sample.trees.values())),
            memory_total=sample.memory_total,
            memory_available=sample.memory_available,
            busy=schedule.width(self._ledger.live.values()),
            waiting=first is not None,
            waiting_bytes=first.memory_need if first else None,
            loads=tuple(loads),
        )

    def _claimed_cpus(self) -> float:
        return sum((job.spec.resources.cpus or 0.0) * len(job.live) / job.ahead for job in self._ledger.live.values())

    def _show(self, sample: Sample, limit: int, reason: str) -> None:
        busy = self._pool.busy
        if limit != self._shown and self._shown:
            log.info("workers %d → %d: %s", self._shown, limit, reason)
            self._feed.decided(DecisionView(time=time.time(), before=self._shown, after=limit, reason=reason))
        self._shown = limit
        shown = LimitView(workers=limit, busy=busy, reason=reason, mode="auto" if self.fixed is None else "fixed")
        ours = min(sample.cpu_ours, sample.cpu_total)
        machine = MachineView(
            cores=sample.cores,
            cpu_percent=round(100 * sample.cpu_total / sample.cores, 1),
            cpu_ours_percent=round(100 * ours / sample.cores, 1),
            memory_total_bytes=sample.memory_total,
            memory_available_bytes=sample.memory_available,
            memory_ours_bytes=sample.memory_ours,
            load_1m=round(sample.load_1m, 2),
            disk_free_bytes=sample.disk_free,
        )
        self._feed.read(machine, shown)
