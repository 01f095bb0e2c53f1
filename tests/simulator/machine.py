"""The simulated machine: tasks advance by steps of a quarter of a second, share CPU, disk and memory, and end.

It knows no governor: whoever controls it starts, stops and kills tasks by its verbs. A pool is one user's tasks.
"""

from __future__ import annotations

from math import exp

import numpy as np
from numpy.typing import NDArray

from tests.simulator.contention import slowdown, worth
from tests.simulator.others import Others
from tests.simulator.phases import turn
from tests.simulator.queues import Past, Queue
from tests.simulator.rows import Draws, Flags, Floats, Row, held
from tests.simulator.succession import Succession, brief
from tests.simulator.world import Scenario

STEP = 0.25
GIFT = 1.25
"""A task killed for lack of memory is taken to need so many times what it held."""


class Machine:
    """Its public quantities are cumulative since the beginning, by pool where they are arrays."""

    def __init__(self, scenario: Scenario, seed: int | None = None) -> None:
        self.scenario = scenario
        self.hardware = scenario.hardware
        generator = np.random.default_rng(scenario.seed if seed is None else seed)
        self.draws = [Draws(kind, number, weight, STEP, generator)
                      for number, (kind, weight) in enumerate(zip(scenario.kinds, scenario.weights, strict=True))]
        self.steps = round(round(scenario.duration) / STEP)
        self.others = Others(scenario, self.steps, STEP, generator)
        self.table: Floats = np.zeros((len(Row), 1024))
        self.count = 0
        self.step = 0
        self.queues = [Queue() for _ in scenario.kinds]
        self.past = [Past() for _ in scenario.kinds]
        self.succession = Succession(scenario)
        pools = scenario.pools
        self.useful = np.zeros(pools)
        self.wasted = np.zeros(pools)
        self.cpu = np.zeros(pools)
        self.busy = [0] * pools
        self.busy_time = np.zeros(pools)
        self.ooms = 0
        self.pressed = [0.0, 0.0, 0.0]
        self.leaving = 0.0
        self.served = [0] * len(scenario.kinds)
        self.starts = 0
        self._spending: Floats = np.zeros(0)
        self.available = self.hardware.memory - float(self.others.memory[0])
        self._tiny = [number for number, kind in enumerate(scenario.kinds) if kind.tiny]
        self._chance = generator
        self._streams = 0
        self._waits = any(kind.share < 1 or kind.load for kind in scenario.kinds)
        self._pace = 1.0
        self._loads = any(kind.load for kind in scenario.kinds)
        self._disk = any(kind.disk or kind.load for kind in scenario.kinds)
        self._wide = any(kind.bandwidth for kind in scenario.kinds) and self.hardware.bandwidth is not None
        self._arrivals = sorted(
            (at, number, count) for number, kind in enumerate(scenario.kinds) for at, count in kind.arrivals
        )
        self.arrive()

    @property
    def now(self) -> float:
        return self.step * STEP

    def row(self, row: Row) -> Floats:
        return self.table[row, : self.count]

    def arrive(self) -> None:
        """Let what is due join the queues."""
        while self._arrivals and self._arrivals[0][0] <= self.now:
            _, number, count = self._arrivals.pop(0)
            self.queues[number].arrived += count

    def advance(self) -> None:
        """One step of everything."""
        table = self.table[:, : self.count]
        going = table[Row.STOPPED] == 0
        on, wants = self._want(table, going)
        runnable = float(wants.sum())
        granted = self.others.share(self.step, runnable)
        cores = self.hardware.cores
        self.pressed[0] += (1 - exp(-4 * max(0.0, self.others.runnable - 0.9 * cores) / cores)) * STEP
        bandwidth = float((wants * table[Row.BANDWIDTH]).sum()) * granted if self._wide else 0.0
        slow = slowdown(self.hardware, runnable, int(going.sum()), bandwidth)
        used = runnable * granted
        running = granted * worth(self.hardware, used + self.others.use)
        if slow > 1:
            running = running / (1 + table[Row.BOUND] * (slow - 1))
        waiting = self._wait(table, going & ~on)
        speed = np.where(on, running, waiting) * going
        table[Row.POSITION] += speed * STEP
        if self._waits:
            ran = float((on & going).sum())
            self._pace += 0.2 * (float((speed * on).sum()) / ran - self._pace) if ran else 0.0
            table[Row.LEFT] -= speed * STEP
            if len(ended := np.flatnonzero(table[Row.LEFT] <= 0)):
                self._turn(ended)
        self._spending = wants * granted
        table[Row.CPU] += self._spending * STEP
        table[Row.WAITED] += wants * ((1 - granted) * STEP)
        table[Row.HELD] += STEP * ~going
        gained = speed * table[Row.WEIGHT]
        if len(self.useful) == 1:
            self.useful[0] += float(gained.sum()) * STEP
            self.cpu[0] += used * STEP
        else:
            pool = table[Row.POOL].astype(int)
            self.useful += np.bincount(pool, gained, len(self.useful)) * STEP
            self.cpu += np.bincount(pool, wants, len(self.useful)) * (granted * STEP)
        self._count_busy(table, going)
        table[Row.MEMORY] = held(table)
        self.step += 1
        self.arrive()
        self._end(table, speed)
        self._measure_memory()
        while self.available < 0 and self.count:
            self._run_out()

    def _count_busy(self, table: Floats, going: Flags) -> None:
        """A stopped task keeps no worker busy."""
        stopped = table[Row.POOL, ~going].astype(int)
        for number, count in enumerate(self.busy):
            self.busy_time[number] += (count - int((stopped == number).sum())) * STEP

    def _want(self, table: Floats, going: Flags) -> tuple[Flags, Floats]:
        """(which tasks are in a running phase, the threads that they want to run)."""
        threads = table[Row.THREADS]
        if not self._waits:
            return going, threads * going
        if self._loads:
            loading = table[Row.POSITION] < table[Row.LOAD]
            threads = np.where(loading, 1.0, threads)
        on = table[Row.ON] > 0
        return on, threads * (on & going)

    def _turn(self, where: NDArray[np.int64]) -> None:
        turn(self.table, where, self._chance)

    def _at_disk(self, table: Floats) -> Flags:
        at_disk: Flags = table[Row.DISK] > 0
        return at_disk | (table[Row.POSITION] < table[Row.LOAD]) if self._loads else at_disk

    def _wait(self, table: Floats, waiting: Flags) -> Floats | float:
        """How fast a waiting phase goes by: the disk serves so many, other waits take their time."""
        if not self._disk:
            return 1.0
        at_disk = self._at_disk(table)
        asking = float((waiting & at_disk).sum())
        served = 1.0 if self.hardware.disk is None else min(1.0, self.hardware.disk / max(asking, 1e-9))
        if self.others.stalled[self.step]:
            served = min(served, 0.02)
        self.pressed[2] += (1.0 - exp(-asking / 4) if served >= 1 else 1.0) * STEP
        return np.where(at_disk, served, 1.0)

    def _measure_memory(self) -> None:
        used = float(self.others.memory[self.step]) + float(self.row(Row.MEMORY).sum()) + self.leaving
        self.leaving = 0.0
        self.available = self.hardware.memory - used
        short = max(0.0, 0.03 - self.available / self.hardware.memory) / 0.03
        self.pressed[1] += min(1.0, short) * STEP

    def _end(self, table: Floats, speed: Floats) -> None:
        """Let what is done go, and file it."""
        for number in self._tiny:
            kind, past = self.scenario.kinds[number], self.past[number]
            mine = table[Row.KIND] == number
            work = float(speed[mine].sum()) * STEP
            if work <= 0:
                continue
            count = work / kind.wall
            wall = float(mine.sum()) * STEP / count
            cpu = float(self._spending[mine].sum()) * STEP / count
            past.file_stream(count, wall, cpu, float(table[Row.PEAK, mine].max()), self.busy[kind.pool])
            self.queues[number].pass_by(count)
        done = table[Row.POSITION] >= table[Row.WORK]
        if not done.any():
            return
        ended = table[:, done]
        excess = ended[Row.POSITION] - ended[Row.WORK]
        rest = np.minimum(excess / np.maximum(speed[done], 1e-9), STEP)
        rest_cpu = self._spending[done] * rest
        wall = self.now - ended[Row.BEGAN] - rest
        kinds = ended[Row.KIND].astype(int)
        for number in set(kinds.tolist()):
            kind, past, mine = self.scenario.kinds[number], self.past[number], kinds == number
            busy = (self.busy_time[kind.pool] - ended[Row.BUSY_BEGAN]) / np.maximum(wall + rest, STEP)
            past.file(ended[:, mine], (wall - ended[Row.HELD])[mine], (ended[Row.CPU] - rest_cpu)[mine], busy[mine])
            self.useful[kind.pool] -= float(excess[mine].sum()) * self.scenario.weights[number]
            self.succession.file(number, ended[:, mine], rest[mine], excess[mine], rest_cpu[mine])
        self._remove(done)

    def _remove(self, gone: Flags) -> None:
        """Take tasks off the table, in whichever way they ended."""
        counts = np.bincount(self.row(Row.KIND)[gone].astype(int), minlength=len(self.queues)).tolist()
        for number, count in enumerate(counts):
            self.queues[number].running -= count
            self.busy[self.scenario.kinds[number].pool] -= count
        keep = ~gone
        left = int(keep.sum())
        self.table[:, :left] = self.table[:, : self.count][:, keep]
        self.count = left

    def _run_out(self) -> None:
        """The kernel kills the largest."""
        self.ooms += 1
        memory = self.row(Row.MEMORY)
        victim = np.zeros(self.count, bool)
        victim[int(memory.argmax())] = True
        self.available += float(memory.max())
        self._requeue(victim)

    def _requeue(self, victims: Flags) -> float:
        """Queue tasks again from their beginning; gives the memory that they held."""
        columns = self.table[:, : self.count][:, victims]
        for column in columns.T:
            number = int(column[Row.KIND])
            queue = self.queues[number]
            pool = self.scenario.kinds[number].pool
            if np.isfinite(column[Row.WORK]):
                queue.again.append(int(column[Row.ITEM]))
                self.useful[pool] -= column[Row.POSITION] * column[Row.WEIGHT]
                self.wasted[pool] += column[Row.POSITION] * column[Row.WEIGHT]
            queue.raised = max(queue.raised, GIFT * float(column[Row.MEMORY]))
        self._remove(victims)
        return float(columns[Row.MEMORY].sum())

    def find(self, items: list[tuple[int, int]]) -> Flags:
        """Which columns hold these (kind, item) pairs."""
        found = np.zeros(self.count, bool)
        for number, item in items:
            found |= (self.row(Row.KIND) == number) & (self.row(Row.ITEM) == item)
        return found

    def kill(self, items: list[tuple[int, int]]) -> None:
        """End tasks and queue them again; their memory is free a step later."""
        if (victims := self.find(items)).any():
            self.leaving += self._requeue(victims)

    def stop(self, items: list[tuple[int, int]], stopped: bool) -> None:
        self.row(Row.STOPPED)[self.find(items)] = stopped

    @property
    def has_tiny(self) -> bool:
        return bool(self._tiny) and self.count > 0

    def streams(self, pool: int) -> dict[int, int]:
        """By tiny kind: how many workers of a pool have a stream of such tasks."""
        mine = (number for number in self._tiny if self.scenario.kinds[number].pool == pool)
        return {number: self.queues[number].running for number in mine}

    def drop_streams(self, number: int, count: int) -> None:
        """Let so many workers end their stream of a tiny kind; the others go on where they are."""
        if count:
            gone = np.zeros(self.count, bool)
            gone[np.flatnonzero(self.row(Row.KIND) == number)[:count]] = True
            self._remove(gone)

    def _next_stream(self, count: int) -> range:
        self._streams += count
        return range(self._streams - count, self._streams)

    def start(self, number: int, count: int) -> None:
        """Start so many tasks of a kind; those that follow on others' ends inside the step begin where they ended."""
        queue, kind = self.queues[number], self.scenario.kinds[number]
        items = self._next_stream(count) if kind.tiny else queue.take(count)
        columns = self.draws[number].columns(items, self.now, self._pace)
        columns[Row.BUSY_BEGAN] = self.busy_time[kind.pool]
        followers = 0 if kind.tiny else self.succession.take(number, columns, self.busy[kind.pool] + count)
        self.useful[kind.pool] += float(columns[Row.POSITION, :followers].sum()) * self.scenario.weights[number]
        while self.count + count > self.table.shape[1]:
            self.table = np.concatenate((self.table, np.zeros_like(self.table)), axis=1)
        self.table[:, self.count : self.count + count] = columns
        if self._waits:
            going_on = followers if brief(kind) else 0
            self._turn(np.arange(self.count + going_on, self.count + count))
        self.count += count
        self.busy[kind.pool] += count
        queue.running += count
