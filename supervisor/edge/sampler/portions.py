"""Memory of processes where what several of them share counts once: their proportional set sizes (PSS).

To read one takes a walk through a process's page tables, 0.1 ms for a small one and tens of them for a huge one. So
each is read every 5 s while its resident size changes and every 30 s while it does not, and at a look only as many
as a budget of time allows, those first where the error may have grown largest. In between, growth of the resident
size counts in full (new pages are private; a task that grows must not look smaller than it is), and shrinking in
proportion. What was not read yet counts with its resident size, and so does what may not be read, another user's.
"""

from __future__ import annotations

import heapq
import os
import time
from dataclasses import dataclass

from gristmill.supervisor.edge.sampler.census import Process, Roll
from gristmill.supervisor.edge.sampler.gauge import number

BUDGET_S = 0.0015
BUDGET_EACH_S = 1e-6
"""Seconds that a look may take for it: so much, and a little for each process of ours past 500."""
EVERY_S = 5.0
STILL_S = 30.0
SOON_S = 1.0
LARGE = 1 << 25


@dataclass(frozen=True, slots=True)
class Portion:
    """What was last read of a process: its proportional size, what of it nobody shares, and its resident size, in
    bytes; when, and at what cost in seconds."""

    start: int
    pss: int
    own: int
    rss: int
    at: float
    cost: float


class Portions:
    """The portion of each process."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        self._read: dict[int, Portion] = {}

    def size(self, process: Process) -> int:
        """The memory of a process in bytes as far as it is known now."""
        rss = process.rss
        last = self._read.get(process.pid)
        if last is None or last.start != process.start:
            return rss
        if rss >= last.rss:
            return last.pss + rss - last.rss
        return last.pss * rss // last.rss

    def beyond(self, process: Process, origin: Process) -> int:
        """The memory in bytes that a process has not from the living one that it was forked from: what it shares with
        that one is there once, however many are forked. Until it was read, what it has more of."""
        last = self._read.get(process.pid)
        if last is None or last.start != process.start:
            return max(0, process.rss - origin.rss)
        return last.own + max(0, process.rss - last.rss)

    def refresh(self, roll: Roll, now: float) -> None:
        """Reads as many as there is time for."""
        for process in roll.gone:
            self._read.pop(process.pid, None)
        stirred = {process.root for process in roll.gone}
        due = []
        for pid, process in roll.living.items():
            last = self._read.get(pid)
            if last is None or last.start != process.start:
                urgency, stale = 10.0, True
                stirred.add(process.root)
            else:
                urgency = now - last.at
                pause = (STILL_S if process.rss == last.rss else EVERY_S) * (1 + last.cost / BUDGET_S)
                stale = urgency > pause
                if urgency > SOON_S and not stale and process.rss > LARGE:
                    stale = abs(process.rss - last.rss) > process.rss // 4 or process.root in stirred
            # a process that hangs in the kernel may hold the lock that the reading needs; the dead have no memory
            if stale and process.rss and process.state not in b"DZX":
                due.append((-urgency * process.rss, pid))
        began = time.perf_counter()
        end = began + BUDGET_S + BUDGET_EACH_S * max(0, len(roll.living) - 500)
        heapq.heapify(due)
        while due and began < end:
            _, pid = heapq.heappop(due)
            process = roll.living[pid]
            pss, own = self._sizes(pid) or (process.rss, process.rss)
            done = time.perf_counter()
            self._read[pid] = Portion(process.start, pss, own, process.rss, now, done - began)
            began = done

    def _sizes(self, pid: int) -> tuple[int, int] | None:
        """The proportional size of a process, and what of it nobody shares, in bytes; None where that may not be read
        or the process has ended."""
        try:
            fd = os.open(f"{pid}/smaps_rollup", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return None
        try:
            text = os.read(fd, 1024)
        except OSError:
            return None
        finally:
            os.close(fd)
        own = (number(text, b"Private_Clean:") or 0) + (number(text, b"Private_Dirty:") or 0)
        return 1024 * (number(text, b"Pss:") or 0), 1024 * own
