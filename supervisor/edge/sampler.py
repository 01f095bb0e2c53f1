"""Live readings of the machine and of our processes: CPU, memory, disk.

Owns the counters of the previous look, since a rate is a difference of two. It draws no conclusion.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table. `cpu_s` includes children that it has waited for."""

    parent: int
    cpu_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Tree:
    """All below one worker: CPU in cores over the last period, memory of its task in bytes now."""

    cpu: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The machine between the last look and this one. CPU in cores, memory and disk in bytes."""

    cores: float
    cpu_total: float
    cpu_ours: float
    memory_total: int
    memory_available: int
    memory_ours: int
    load_1m: float
    disk_free: int
    disk_total: int
    trees: dict[int, Tree]


def process_table() -> dict[int, Process]:
    """Every process that we may see, from one pass over /proc: psutil costs three times as much for each."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fd = os.open(f"/proc/{entry}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # it ended while we looked
        try:
            stat = os.read(fd, 1024)
        except OSError:
            continue
        finally:
            os.close(fd)
        fields = stat[stat.rindex(b")") + 2 :].split(None, 23)
        cpu = int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
        table[int(entry)] = Process(int(fields[1]), cpu / TICKS, int(fields[21]) * PAGE)
    return table


def usable_cores() -> float:
    """Cores that this process may use: affinity, and the CPU quota of its cgroup (v2, or v1)."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = (CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (CGROUP / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (CGROUP / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return cores
    if quota in ("max", "-1"):
        return cores
    return min(cores, int(quota) / int(period))


def memory_limit() -> tuple[int, int] | None:
    """(limit, use) in bytes of our cgroup's memory, None where there is no limit."""
    for limit_file, use_file in (("memory.max", "memory.current"),
                                 ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        try:
            limit = (CGROUP / limit_file).read_text().strip()
            use = (CGROUP / use_file).read_text().strip()
        except OSError:
            continue
        if limit != "max" and int(limit) < psutil.virtual_memory().total:
            return int(limit), int(use)
    return None


class Sampler:
    """Takes one look after another."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._at = time.monotonic()
        self._busy = self._busy_seconds()
        self._cpu: dict[int, float] = {}

    @staticmethod
    def _busy_seconds() -> float:
        times = psutil.cpu_times()
        return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)

    def look(self, ours: list[int], workers: list[int], tasks: list[int]) -> Sample:
        """Reads the machine; `ours` are the roots of all our processes, `workers` the pids of workers among them and
        `tasks` those of tasks that have lost theirs."""
        now = time.monotonic()
        period = max(1e-3, now - self._at)
        busy = self._busy_seconds()
        table = process_table()
        children: dict[int, list[int]] = {}
        for pid, process in table.items():
            children.setdefault(process.parent, []).append(pid)

        cpu: dict[int, float] = {}
        memory: dict[int, int] = {}
        for root in {*ours, *workers, *tasks}:
            if root in table:
                cpu[root], memory[root] = _add_up(root, table, children)
        used = {root: max(0.0, seconds - self._cpu.get(root, seconds)) / period for root, seconds in cpu.items()}

        machine = psutil.virtual_memory()
        total, available = machine.total, machine.available
        if (bound := memory_limit()) is not None:
            total, available = bound[0], min(available, bound[0] - bound[1])
        disk = os.statvfs(self._state_dir)
        cores = usable_cores()
        sample = Sample(
            cores=cores,
            cpu_total=min(cores, max(0.0, busy - self._busy) / period),
            cpu_ours=min(cores, sum(used.get(root, 0.0) for root in ours)),
            memory_total=total,
            memory_available=available,
            memory_ours=sum(memory.get(root, 0) for root in ours),
            load_1m=os.getloadavg()[0],
            disk_free=disk.f_bavail * disk.f_frsize,
            disk_total=disk.f_blocks * disk.f_frsize,
            trees={root: Tree(used[root], memory[root] - table[root].memory_bytes) for root in workers if root in cpu}
            | {root: Tree(used[root], memory[root]) for root in tasks if root in cpu},
        )
        self._at, self._busy, self._cpu = now, busy, cpu
        return sample


def _add_up(root: int, table: dict[int, Process], children: dict[int, list[int]]) -> tuple[float, int]:
    """(CPU seconds, bytes) of `root` and all below it; what has ended counts in whoever waited for it."""
    cpu, memory, todo = 0.0, 0, [root]
    while todo:
        pid = todo.pop()
        cpu += table[pid].cpu_s
        memory += table[pid].memory_bytes
        todo.extend(children.get(pid, ()))
    return cpu, memory
