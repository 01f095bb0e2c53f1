"""Once a second: read the machine, ask the governor, set the limit, tell the feed.

Puts in order and keeps the governor's state; it decides nothing itself but whether the daemon is held, which is a
list of faults and no judgement.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable

from gristmill.supervisor.core import governor, schedule
from gristmill.supervisor.core.governor import Load, Reading
from gristmill.supervisor.core.job import Job
from gristmill.supervisor.core.protocol import DecisionView, LimitView, MachineView
from gristmill.supervisor.dispatch import Dispatcher
from gristmill.supervisor.edge.sampler import Sample, Sampler
from gristmill.supervisor.feed import Feed
from gristmill.supervisor.ledger import Ledger
from gristmill.supervisor.pool import Pool

log = logging.getLogger(__name__)

PERIOD = 1.0


class Tuner:
    """The loop around the governor."""

    def __init__(
        self, ledger: Ledger, pool: Pool, dispatcher: Dispatcher, feed: Feed, sampler: Sampler,
        faults: Callable[[Sample], str],
    ) -> None:
        self._ledger, self._pool, self._dispatcher, self._feed = ledger, pool, dispatcher, feed
        self._sampler, self._faults = sampler, faults
        self._state = governor.State()
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
        sample = self._look()
        held = self._faults(sample)
        if held != self._dispatcher.held:
            log.warning("%s", f"nothing is started: {held}" if held else "tasks are started again")
        self._dispatcher.held = held
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

    def _look(self) -> Sample:
        pids = [slot.pid for slot in self._pool.slots.values() if slot.pid]
        adopted = [worker.pid for worker, _ in self._pool.legacy.workers.values()]
        sample = self._sampler.look([os.getpid(), *adopted], [*pids, *adopted])
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
            expected = self._expected(job)
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
            waiting_bytes=self._expected(first) if first else None,
            loads=tuple(loads),
        )

    @staticmethod
    def _expected(job: Job) -> float | None:
        claim = job.spec.resources.memory_bytes
        if claim is not None:
            return float(claim)
        return 1.1 * job.footprint.memory_bytes if job.footprint.ends else None

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
