"""Processes as tests see them: in /proc, whoever started them."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for by whoever inherited it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def slay(pid: int) -> bool:
    """SIGKILL; False where nobody was left to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def children(pid: int) -> list[int]:
    """Whom its first thread has started, and who was not waited for."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pid: int) -> int:
    """Bytes of it in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def states(root: int) -> list[str]:
    """The state of each process that descends from `root`, those left out that have ended."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry)] = (int(fields[1]), fields[0])
    found, size = {root}, 0
    while size != len(found):
        size = len(found)
        found |= {pid for pid, (parent, _) in parents.items() if parent in found}
    return ["T" if parents[pid][1] == "D" and bound_to_stop(pid) else parents[pid][1]
            for pid in found - {root} if parents[pid][1] not in "ZX"]


def bound_to_stop(pid: int) -> bool:
    """Whether a process in the kernel's hands has its stop before it: a shell whose child was stopped in `vfork`, so
    before it became another program, wakes up only to stop."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    pending = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) >> (signal.SIGSTOP - 1) & 1)
