"""The simulated machine: tasks advance by steps of a quarter of a second, share CPU, disk and memory, and end.

It knows no governor: whoever controls it starts, stops and kills tasks by its verbs. A pool is one user's tasks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

import numpy as np
from numpy.typing import NDArray

from tests.simulator.others import Others
from tests.simulator.rows import Draws, Flags, Floats, Row
from tests.simulator.world import NICED, Scenario

STEP = 0.25
GIFT = 1.25
"""A task killed for lack of memory is taken to need so many times what it held."""


SWITCHING = 0.02
"""How much slower a running task is for each of up to three others that share its core: caches go cold."""


@dataclass(slots=True)
class Queue:
    """What waits of one kind: items from `next` on of those that have arrived, and those that come again."""

    arrived: int = 0
    next: int = 0
    again: list[int] = field(default_factory=list)
    raised: float = 0.0
    running: int = 0
    partly: float = 0.0

    @property
    def waiting(self) -> int:
        return self.arrived - self.next + len(self.again)

    def take(self, count: int) -> list[int]:
        items = self.again[:count]
        del self.again[:count]
        fresh = count - len(items)
        items.extend(range(self.next, self.next + fresh))
        self.next += fresh
        return items


@dataclass(slots=True)
class Past:
    """Tasks of one kind that ended since the last reading."""

    count: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    busy: float = 0.0


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
        self.early: list[list[tuple[float, float, float]]] = [[] for _ in range(scenario.pools)]
        pools = scenario.pools
        self.useful = np.zeros(pools)
        self.wasted = np.zeros(pools)
        self.cpu = np.zeros(pools)
        self.busy = [0] * pools
        self.busy_time = np.zeros(pools)
        self.ooms = 0
        self.wanted = self.lost = 0.0
        self.others_cpu = self.niced_cpu = 0.0
        self.runnable = 0.0
        self.pressed = [0.0, 0.0, 0.0]
        self.leaving = 0.0
        self.served = [0] * len(scenario.kinds)
        self.starts = 0
        self._others_use = 0.0
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
        granted = self._share_cpu(runnable)
        bandwidth = float((wants * table[Row.BANDWIDTH]).sum()) * granted if self._wide else 0.0
        slow = self._slowdown(runnable, int(going.sum()), bandwidth)
        used = runnable * granted
        running = granted * self._second_threads(used + self._others_use)
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
                self._turn(0, ended)
        self._spending = wants * granted
        table[Row.CPU] += self._spending * STEP
        table[Row.HELD] += STEP * ~going
        gained = speed * table[Row.WEIGHT]
        if len(self.useful) == 1:
            self.useful[0] += float(gained.sum()) * STEP
            self.cpu[0] += used * STEP
        else:
            pool = table[Row.POOL].astype(int)
            self.useful += np.bincount(pool, gained, len(self.useful)) * STEP
            self.cpu += np.bincount(pool, wants, len(self.useful)) * (granted * STEP)
        for number, count in enumerate(self.busy):
            self.busy_time[number] += count * STEP
        self._grow(table)
        self.step += 1
        self.arrive()
        self._end(table, speed)
        self._measure_memory()
        while self.available < 0 and self.count:
            self._run_out()

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

    def _turn(self, first: int, ended: NDArray[np.int64]) -> None:
        """Begin the next phase of these tasks: running if they waited, else waiting."""
        where = ended + first
        columns = self.table[:, where]
        share = columns[Row.SHARE]
        rest = np.where(columns[Row.POSITION] < columns[Row.LOAD], columns[Row.LOAD] - columns[Row.POSITION], np.inf)
        if self._loads:
            share = np.where(np.isfinite(rest), columns[Row.LOAD_SHARE], share)
        was_on = columns[Row.ON] > 0
        over = -np.minimum(columns[Row.LEFT], 0.0)
        columns[Row.EXTRA_ON] += over * was_on
        columns[Row.EXTRA_OFF] += over * ~was_on
        chance = self._chance.standard_exponential((2, len(ended)))
        with np.errstate(invalid="ignore"):
            running = np.where(share >= 1, np.inf, share * columns[Row.CYCLE] * chance[0])
            waiting = np.where(share <= 0, np.inf, (1 - share) * columns[Row.CYCLE] * chance[1])
        lengths = np.where(was_on, (running, waiting), (waiting, running))  # of the same phase, of the other
        extras = np.where(was_on, (columns[Row.EXTRA_ON], columns[Row.EXTRA_OFF]),
                          (columns[Row.EXTRA_OFF], columns[Row.EXTRA_ON]))
        same, other = lengths - extras
        turned = other > 0
        stays = ~turned & (same > 0)
        columns[Row.ON] = np.where(turned, ~was_on, was_on)
        columns[Row.LEFT] = np.minimum(np.where(turned, other, np.where(stays, same, 0.0)), rest)
        # What a phase was shortened by is paid; one that was skipped has paid its length.
        other_extra = np.where(turned, 0.0, -other)
        same_extra = np.where(turned, extras[0], np.where(stays, 0.0, -same))
        columns[Row.EXTRA_ON] = np.where(was_on, same_extra, other_extra)
        columns[Row.EXTRA_OFF] = np.where(was_on, other_extra, same_extra)
        self.table[:, where] = columns

    def _at_disk(self, table: Floats) -> Flags:
        at_disk: Flags = table[Row.DISK] > 0
        if self._loads:
            at_disk = at_disk | (table[Row.POSITION] < table[Row.LOAD])
        return at_disk

    def _share_cpu(self, ours: float) -> float:
        """What each of our threads gets of a core; files what the others got."""
        guests, niced = float(self.others.threads[self.step]), float(self.others.niced[self.step])
        others = guests + float(self.others.murmur[self.step])
        cores, weight = self.hardware.cores, self.scenario.weight
        classes = sorted(((1.0, others, 0), (NICED, niced, 1), (weight, ours, 2)), reverse=True)
        left, total = cores, sum(one[0] * one[1] for one in classes)
        grants = [1.0, 1.0, 1.0]
        all_threads = others + niced + ours
        if all_threads > cores:
            for one_weight, threads, name in classes:
                grants[name] = min(1.0, one_weight * left / total) if total > 0 else 1.0
                if grants[name] >= 1:
                    left -= threads
                    total -= one_weight * threads
                # Those that are left share by weight: `left / total` is theirs.
            # Run queues are per core: a thread of theirs meets one of ours before the balancer parts them.
            meet = min(1.0, (all_threads - cores) / cores) * weight / (1 + weight) if ours else 0.0
            grants[0] = min(grants[0], 1 - meet)
        self.wanted += guests * STEP
        self.lost += guests * (1 - grants[0]) * STEP
        self.others_cpu += others * grants[0] * STEP
        self.niced_cpu += niced * grants[1] * STEP
        self._others_use = others * grants[0] + niced * grants[1]
        self.runnable = all_threads
        self.pressed[0] += (1 - exp(-4 * max(0.0, all_threads - 0.9 * cores) / cores)) * STEP
        return grants[2]

    def _slowdown(self, threads: float, tasks: int, bandwidth: float) -> float:
        """How many times longer running takes, for a task that is bound by what is contended."""
        hardware = self.hardware
        slow = 1 + (hardware.sigma + hardware.kappa * tasks) * max(0, tasks - 1)
        if threads > hardware.cores:
            slow *= 1 + SWITCHING * min(3.0, threads / hardware.cores - 1)
        if hardware.cliff is not None and tasks > hardware.cliff:
            slow *= float((tasks / hardware.cliff) ** hardware.steepness)
        if hardware.bandwidth is not None and bandwidth > 0:
            slow *= float((1 + (bandwidth / hardware.bandwidth) ** 8) ** 0.125)
        return slow

    def _second_threads(self, used: float) -> float:
        """What a second of CPU is worth: second threads of a core do a third."""
        physical = self.hardware.physical
        if physical is None or used <= physical:
            return 1.0
        return (physical + (used - physical) / 3) / used

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

    def _grow(self, table: Floats) -> None:
        life = np.minimum(table[Row.POSITION] / table[Row.WORK], 1.0)
        table[Row.MEMORY] = table[Row.PEAK] * (
            table[Row.FLOOR] + table[Row.RISE] * np.minimum(life / table[Row.RAMP], 1.0) + table[Row.CREEP] * life
            + table[Row.SPIKE] * ((life - 0.9) * 10).clip(0, 1)
        )

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
            past.count += count
            past.wall += count * kind.wall * float(mine.sum()) * STEP / work
            past.cpu += count * kind.wall * kind.share * kind.threads
            past.peak = max(past.peak, float(table[Row.PEAK, mine].max()))
            past.busy += count * self.busy[kind.pool]
            queue = self.queues[number]
            queue.partly += count
            queue.next = min(int(queue.partly), queue.arrived)
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
            past.count += float(mine.sum())
            past.wall += float((wall - ended[Row.HELD])[mine].sum())
            past.cpu += float((ended[Row.CPU] - rest_cpu)[mine].sum())
            past.peak = max(past.peak, float(ended[Row.PEAK, mine].max()))
            busy = self.busy_time[kind.pool] - ended[Row.BUSY_BEGAN, mine]
            past.busy += float((busy / np.maximum(wall + rest, STEP)[mine]).sum())
            self.useful[kind.pool] -= float(excess[mine].sum()) * self.scenario.weights[number]
            self.early[kind.pool].extend(zip(rest[mine].tolist(), excess[mine].tolist(), rest_cpu[mine].tolist(),
                                             strict=True))
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

    def release_tiny(self, pool: int) -> None:
        """Workers with a stream of tiny tasks are between two of them at any moment: take them back."""
        kinds = self.row(Row.KIND)
        gone = np.zeros(self.count, bool)
        for number in self._tiny:
            if self.scenario.kinds[number].pool == pool:
                gone |= kinds == number
        if gone.any():
            self._remove(gone)

    def _next_stream(self, count: int) -> range:
        self._streams += count
        return range(self._streams - count, self._streams)

    def start(self, number: int, count: int) -> None:
        """Start so many tasks of a kind; those that follow on others' ends inside the step begin where they ended."""
        queue, kind = self.queues[number], self.scenario.kinds[number]
        items = self._next_stream(count) if kind.tiny else queue.take(count)
        columns = self.draws[number].columns(items, self.now, self._pace)
        early = self.early[kind.pool]
        if early and not kind.tiny:
            taken = np.array(early[-count:]).T
            del early[-count:]
            some = taken.shape[1]
            columns[Row.BEGAN, :some] -= taken[0]
            columns[Row.POSITION, :some] = taken[1]
            columns[Row.CPU, :some] = taken[2]
            self.useful[kind.pool] += float(taken[1].sum()) * self.scenario.weights[number]
        columns[Row.BUSY_BEGAN] = self.busy_time[kind.pool]
        while self.count + count > self.table.shape[1]:
            self.table = np.concatenate((self.table, np.zeros_like(self.table)), axis=1)
        self.table[:, self.count : self.count + count] = columns
        if self._waits:
            self._turn(self.count, np.arange(count))
        self.count += count
        self.busy[kind.pool] += count
        queue.running += count
