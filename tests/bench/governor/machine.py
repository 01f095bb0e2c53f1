"""What the kernel says of the machine and of a tree of processes, read from /proc alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cores() -> int:
    """Cores that we may use."""
    return len(os.sched_getaffinity(0))


def available() -> float:
    """Bytes of memory that are available."""
    return _meminfo("MemAvailable:")


def total() -> float:
    """Bytes of memory in all."""
    return _meminfo("MemTotal:")


def oom_kills() -> int:
    """Processes that the kernel has killed for lack of memory since the start of the machine."""
    words = Path("/proc/vmstat").read_text().split()
    return int(words[words.index("oom_kill") + 1])


def busy() -> float:
    """CPU seconds that the machine has worked, since its start."""
    user, nice, system, _, _, *irqs = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8])
    return (user + nice + system + sum(irqs)) / TICKS


class Tree(NamedTuple):
    """What a process and all its descendants use: CPU seconds, the ended ones included that somebody of them waited
    for, and bytes of memory, where shared pages count for each."""

    cpu: float
    memory: float


def tree(root: int) -> Tree:
    """What is used below a process, and by it."""
    table: dict[int, tuple[int, float, int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_bytes()
            except OSError:  # ended meanwhile
                continue
            fields = stat[stat.rindex(b")") + 2 :].split()
            table[int(entry)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICKS, PAGE * int(fields[21]))
    ours, more = {root}, {root}
    while more := {pid for pid, (parent, _, _) in table.items() if parent in more} - ours:
        ours |= more
    found = [table[pid] for pid in ours if pid in table]
    return Tree(sum(cpu for _, cpu, _ in found), sum(memory for _, _, memory in found))


def _meminfo(key: str) -> float:
    words = Path("/proc/meminfo").read_text().split()
    return 1024.0 * int(words[words.index(key) + 1])
