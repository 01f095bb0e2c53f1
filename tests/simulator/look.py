"""Readings of the simulated machine as the real one would give them: late, noisy, counted in ticks."""

from __future__ import annotations

from collections import deque

import numpy as np

from gristmill.supervisor.core.governor.kinds import LOOKED_S
from gristmill.supervisor.core.governor.reading import Claim, Ended, Reading, Running, Waiting
from gristmill.supervisor.edge.sampler import waits
from tests.simulator.machine import Machine
from tests.simulator.queues import Past
from tests.simulator.rows import Floats, Row

TICK = 0.01
MOST_WAITING = 1_000_000


class Look:
    """What one pool's sampler remembers from reading to reading."""

    def __init__(self, machine: Machine, pool: int, seed: int) -> None:
        self._machine, self._pool = machine, pool
        self._chance = np.random.default_rng((seed, pool, 77))
        self._numbers = [n for n, kind in enumerate(machine.scenario.kinds) if kind.pool == pool]
        self._names = [kind.name for kind in machine.scenario.kinds]
        self._items: dict[str, tuple[int, int]] = {}
        self._waited_at = 0.0
        self._counts: dict[str, deque[tuple[float, float, float]]] = {}
        """By task, for the last seconds: when, CPU seconds, and those that its threads waited for a core."""
        self._last = self._totals()
        self.late = 0

    def due(self) -> bool:
        """Once a second; now and then the daemon is late."""
        if self.late > 0:
            self.late -= 1
            return False
        self.late = 3 + (int(self._chance.integers(1, 4)) if self._chance.random() < 0.02 else 0)
        return True

    def available(self) -> float:
        """Available memory, as far as the kernel's estimate goes."""
        machine = self._machine
        noise = 0.002 * machine.hardware.memory * float(self._chance.standard_normal())
        return max(0.0, machine.available + noise)

    def _totals(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        machine, pool = self._machine, self._pool
        theirs = float(machine.cpu.sum() - machine.cpu[pool])
        return np.array([machine.now, machine.cpu[pool], machine.others.cpu, machine.others.niced_cpu + theirs,
                         machine.busy_time[pool], *machine.pressed])

    def read(self) -> Reading:
        machine, chance, hardware = self._machine, self._chance, self._machine.hardware
        totals = self._totals()
        period, ours, others, niced, busy, *pressed = (totals - self._last).tolist()
        self._last = totals
        period = max(period, TICK)
        noise = chance.standard_normal(4) * 0.01 * hardware.cores
        ours_use = max(0.0, ours / period + 0.3 * noise[0])
        niced_use = max(0.0, niced / period + 0.3 * noise[1]) if niced > 0 else 0.0
        total = min(hardware.cores, max(0.0, ours_use + niced_use + others / period + noise[2]))
        shares = [min(1.0, one / period) if hardware.psi else None for one in pressed]
        return Reading(
            at=machine.now + 0.003 * float(chance.random()),
            cores=hardware.cores,
            cpu_total=total,
            cpu_ours=min(ours_use, total),
            cpu_nice=niced_use,
            batch_users=int(niced > 0.02 * period) if len(machine.cpu) > 1 or machine.scenario.neighbours else 0,
            runnable=float(round(machine.others.runnable)) if hardware.procs else None,
            memory_total=hardware.memory,
            memory_available=self.available(),
            pressure_cpu=shares[0],
            pressure_memory=shares[1],
            pressure_io=shares[2],
            busy=busy / period,
            niced=machine.scenario.weight < 1,
            running=self._running(period, waits.every(hardware.cores, total, ours_use)),
            ended=self._ended(),
            waiting=self._waiting(),
            chance=float(chance.random()),
        )

    def _running(self, period: float, pause: float | None) -> tuple[Running, ...]:
        machine, chance = self._machine, self._chance
        table = machine.table[:, : machine.count]
        mine = np.isfinite(table[Row.WORK])
        if len(machine.cpu) > 1:
            mine &= table[Row.POOL] == self._pool
        table = table if mine.all() else table[:, mine]
        count = table.shape[1]
        spent = np.floor(table[Row.CPU] / TICK) * TICK
        cpu = np.maximum(0.0, spent - np.floor(table[Row.SEEN] / TICK) * TICK) / period
        memory = table[Row.MEMORY] * (1 + 0.005 * chance.standard_normal(count))
        age = machine.now - table[Row.BEGAN] - table[Row.HELD]
        progress = np.floor(100 * table[Row.POSITION] / table[Row.WORK]) / 100
        machine.table[Row.SEEN, : machine.count][mine] = table[Row.CPU]
        self._items = {}
        wanted: dict[str, tuple[float, float]] = {}
        if pause is None:
            self._counts = {}
        elif machine.now - self._waited_at >= pause:
            wanted, self._waited_at = self._wanted(table), machine.now
        running = []
        kinds = machine.scenario.kinds
        for number, item, one_age, one_cpu, one_memory, one_spent, done, stopped in zip(
            table[Row.KIND].astype(int).tolist(), table[Row.ITEM].astype(int).tolist(), age.tolist(), cpu.tolist(),
            memory.tolist(), spent.tolist(), progress.tolist(), table[Row.STOPPED].tolist(), strict=True,
        ):
            name = f"{self._names[number]}.{item}"
            self._items[name] = (number, item)
            running.append(Running(
                task=name, kind=self._names[number], age=one_age, cpu=one_cpu, memory=one_memory, spent=one_spent,
                progress=done if kinds[number].reports else None, stopped=stopped > 0,
                wanted=wanted[name][0] if name in wanted else None, awake=wanted[name][1] if name in wanted else 1.0,
            ))
        return tuple(running)

    def _wanted(self, table: Floats) -> dict[str, tuple[float, float]]:
        """The cores that each task would use if it had not to wait for one, by what the kernel counted of the last
        seconds, and the seconds that it did not wait; of those that run on since an earlier look."""
        now, before, self._counts = self._machine.now, self._counts, {}
        wanted = {}
        for number, item, cpu, waited, threads, stopped in table[
            [Row.KIND, Row.ITEM, Row.CPU, Row.WAITED, Row.THREADS, Row.STOPPED]
        ].T.tolist():
            if stopped:
                continue
            name = f"{self._names[int(number)]}.{int(item)}"
            counts = self._counts[name] = before.get(name, deque())
            if counts:
                then, cpu_then, waited_then = counts[0]
                had = threads * (now - then) - (waited - waited_then)
                wanted[name] = threads * min(1.0, (cpu - cpu_then) / max(had, 1e-9)), max(had, cpu - cpu_then)
                while len(counts) > 1 and counts[1][0] <= now - LOOKED_S:
                    counts.popleft()
            counts.append((now, cpu, waited))
        return wanted

    def _ended(self) -> tuple[Ended, ...]:
        ended = []
        for number in self._numbers:
            past = self._machine.past[number]
            count = int(past.count)
            if count < 1:
                continue
            # rusage of short children is right on average only.
            ticks = min(1.0, TICK * past.count / max(past.cpu, 1e-9))
            blur = 1 + 0.3 * ticks * self._chance.standard_normal() / count**0.5
            ended.append(Ended(
                kind=self._names[number], count=count, wall=past.wall / past.count,
                cpu=max(0.0, past.cpu / past.count * float(blur)), peak=past.peaks / past.count,
                largest=past.peak, busy=past.busy / past.count,
            ))
            self._machine.past[number] = Past()
        return tuple(ended)

    def _waiting(self) -> tuple[Waiting, ...]:
        waiting = []
        for number in self._numbers:
            queue, kind = self._machine.queues[number], self._machine.scenario.kinds[number]
            if queue.waiting > 0:
                waiting.append(Waiting(kind=kind.name, count=min(queue.waiting, MOST_WAITING),
                                       claim=Claim(memory=kind.claim), raised=queue.raised))
        return tuple(waiting)

    def items(self, names: tuple[str, ...]) -> list[tuple[int, int]]:
        """The tasks of these names, as the machine knows them; those that have ended meanwhile are no more."""
        return [self._items[name] for name in names if name in self._items]
