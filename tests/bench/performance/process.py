"""What the kernel says of single processes: CPU, memory, how often they woke up; read from /proc alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def cpu_s(pid: int) -> float:
    """CPU seconds of a process that lives, its children left out, to the nanosecond."""
    return sum(int(text.split()[0]) for text in _of_threads(pid, "schedstat")) / 1e9


def wakeups(pid: int) -> int:
    """How often its threads have gone to sleep by themselves, and so were woken."""
    lines = (line for text in _of_threads(pid, "status") for line in text.splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def rss_mb(pid: int) -> float:
    """Its resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(pid: int) -> list[int]:
    """Its children that live."""
    return [int(word) for text in _of_threads(pid, "children") for word in text.split()]


def ours(daemon: int) -> list[int]:
    """The daemon, its spawners and their workers; the tasks are left out."""
    spawners = children(daemon)
    return [daemon, *spawners, *(worker for spawner in spawners for worker in children(spawner))]


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds of all of these that live."""
    return sum(cpu_s(pid) for pid in pids)


def _of_threads(pid: int, name: str) -> list[str]:
    try:
        return [Path(f"/proc/{pid}/task/{thread}/{name}").read_text() for thread in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []  # it has just ended
