"""What the kernel says of the machine and of a tree of processes, read from /proc alone."""

from __future__ import annotations

import contextlib
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
    table = _processes()
    found = [table[pid] for pid in _below(root, table) if pid in table]
    return Tree(sum(sum(map(int, fields[11:15])) for fields in found) / TICKS,
                float(PAGE * sum(int(fields[21]) for fields in found)))


def descendants(root: int) -> set[int]:
    """The process and all below it."""
    return _below(root, _processes())


def _processes() -> dict[int, list[bytes]]:
    """By pid: the fields of `stat` behind the name; the second is the parent."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile
                stat = Path("/proc", entry, "stat").read_bytes()
                table[int(entry)] = stat[stat.rindex(b")") + 2 :].split()
    return table


def _below(root: int, table: dict[int, list[bytes]]) -> set[int]:
    parents = {pid: int(fields[1]) for pid, fields in table.items()}
    found, more = {root}, {root}
    while more := {pid for pid, parent in parents.items() if parent in more} - found:
        found |= more
    return found


def _meminfo(key: str) -> float:
    words = Path("/proc/meminfo").read_text().split()
    return 1024.0 * int(words[words.index(key) + 1])
