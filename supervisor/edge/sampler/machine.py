"""Takes one look at the machine after another, and in between a quick one at its memory alone."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Collection
from pathlib import Path

from gristmill.supervisor.edge import groups
from gristmill.supervisor.edge.sampler.accounts import Accounts, Use
from gristmill.supervisor.edge.sampler.census import Census, Roll
from gristmill.supervisor.edge.sampler.cores import Cores, Count
from gristmill.supervisor.edge.sampler.gauge import Gauge
from gristmill.supervisor.edge.sampler.memory import Memory
from gristmill.supervisor.edge.sampler.portions import Portions
from gristmill.supervisor.edge.sampler.pressure import Pressure
from gristmill.supervisor.edge.sampler.sample import Sample, Tree
from gristmill.supervisor.edge.sampler.waits import Waits, Wish, every

NOTABLE = 0.02
"""Share of the cores from which on niced work of others has somebody behind it, whether we see whom or not."""


class Sampler:
    """Owns the counters of the previous look, since a rate is a difference of two."""

    def __init__(
        self, state_dir: Path, proc: Path = groups.PROC, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._state_dir, self._proc, self._clock = state_dir, proc, clock
        self._membership, self._placed = Gauge(proc / "self/cgroup"), b""
        self._cores, self._memory = Cores(proc), Memory(proc)
        self._pressure = {name: Pressure(proc / "pressure" / name, f"{name}.pressure")
                          for name in ("cpu", "memory", "io")}
        # a quarter of what may be open is ours: clients and logs want the rest
        self._census = Census(proc, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        self._accounts, self._portions = Accounts(), Portions(self._census.proc)
        self._waits = Waits(self._census.proc)
        self._place()
        self._at, self._count = clock(), self._cores.read()
        self._press(1.0, self._count)

    def close(self) -> None:
        """Closes all files."""
        self._membership.close()
        self._cores.close()
        self._memory.close()
        self._census.close()
        for pressure in self._pressure.values():
            pressure.close()

    def available(self) -> int:
        """The memory that is left, in bytes: cheap enough for several times a second."""
        return self._memory.read()[1]

    def look(self, ours: list[int], workers: list[int], tasks: list[int], callers: Collection[int] = ()) -> Sample:
        """Reads the machine; `ours` are the roots of all our processes, `workers` the pids of workers among them and
        `tasks` those of tasks that have lost theirs. `callers` are workers whose tasks are forked from them, and share
        what they have."""
        now = self._clock()
        previous, self._at = self._at, now
        period = max(1e-3, now - previous)
        self._place()
        before, self._count = self._count, self._cores.read()
        roll = self._census.take({*ours, *workers, *tasks}, now)
        use = self._accounts.add_up(roll)
        self._portions.refresh(roll, now)
        cores = self._count.cores
        cpu_ours = min(cores, use.total / period)
        cpu_total = min(cores, max(0.0, _rate(before, self._count, "busy", period, cpu_ours)))
        cpu_nice = self._nice(before, use, period, cpu_total - cpu_ours)
        pause = every(cores, cpu_total, cpu_ours)
        if pause is None:
            self._waits.forget()
        users = len(self._census.strangers.users(now))
        self._memory.find_bounds()
        memory_total, memory_available = self._memory.read()
        cpu, memory, io = self._press(period, self._count)
        disk = os.statvfs(self._state_dir)
        memory_held, memory_ours = self._held(roll, {*workers}, {*tasks}, callers)
        trees = self._trees(roll, use, period, memory_held, pause, previous)
        return Sample(
            cores=cores, cpu_total=cpu_total, cpu_ours=cpu_ours,
            memory_total=memory_total, memory_available=memory_available, memory_ours=memory_ours,
            load_1m=os.getloadavg()[0],
            disk_free=disk.f_bavail * disk.f_frsize, disk_total=disk.f_blocks * disk.f_frsize,
            trees=trees,
            cpu_nice=cpu_nice, batch_users=max(users, int(cpu_nice > max(0.1, NOTABLE * cores))),
            runnable=self._count.runnable,
            pressure_cpu=cpu, pressure_memory=memory, pressure_io=io,
        )

    def _place(self) -> None:
        """Finds the groups that we are in, which a service manager may change while we run."""
        placed = self._membership.read()
        if placed != self._placed:
            self._placed = placed
            mounts = groups.hierarchies(self._proc)
            lineages = groups.lineages(mounts, groups.memberships("self", self._proc))
            self._cores.settle(mounts, lineages)
            self._memory.settle(lineages)

    def _press(self, period: float, count: Count) -> tuple[float | None, float | None, float | None]:
        """Shares of time in which somebody waited, within the groups that bound us."""
        bounded = self._memory.bounded
        where = {"cpu": count.group, "memory": bounded, "io": bounded or count.group}
        cpu, memory, io = (self._pressure[name].share(period, group) for name, group in where.items())
        return cpu, memory, io

    def _nice(self, before: Count, use: Use, period: float, others: float) -> float:
        """CPU that others use at a positive niceness."""
        seen = self._census.strangers.niced_cores()  # where the kernel keeps no count of it for a group
        nice = _rate(before, self._count, "nice", period, seen + use.niced / period) - use.niced / period
        return max(0.0, min(nice, others))

    def _held(
        self, roll: Roll, workers: set[int], tasks: set[int], callers: Collection[int]
    ) -> tuple[dict[int, int], int]:
        """The memory of each tree, and of all of ours."""
        memory = dict.fromkeys(workers | tasks, 0)
        total = 0
        for pid, process in roll.living.items():
            size = self._portions.size(process)
            total += size
            if process.root in memory and pid not in workers:  # a worker's own memory is not its task's
                if process.parent in callers:
                    size = self._portions.beyond(process, roll.living[process.parent])
                memory[process.root] += size
        return memory, total

    def _trees(
        self, roll: Roll, use: Use, period: float, memory: dict[int, int], pause: float | None, previous: float,
    ) -> dict[int, Tree]:
        """The tree of each of those of which the memory is given."""
        spent = self._accounts.spent
        cpu = {root: min(self._count.cores, use.trees[root] / period) for root in memory if root in use.trees}
        wanted: dict[int, Wish] = {}
        if pause is not None and self._at - self._waits.at >= pause:
            wanted = self._waits.wanted(roll, self._at, {root: spent[root] for root in cpu}, previous)
        return {
            root: Tree(cores, memory[root], spent[root], *wanted.get(root, (None, 0.0))) for root, cores in cpu.items()
        }


def _rate(before: Count, now: Count, counter: str, period: float, otherwise: float) -> float:
    """How a counter rose, a second; `otherwise` where it is not kept or is another's than before."""
    first, last = getattr(before, counter), getattr(now, counter)
    if before.domain != now.domain or first is None or last is None:
        return otherwise
    return float(last - first) / period
