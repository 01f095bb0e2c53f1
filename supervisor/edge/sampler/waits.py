"""What a worker would use if it had not to wait for a core, on a machine that others fill.

There a niced worker gets a fraction of what it wants. The kernel counts for each thread what it ran, what it waited for
a core, and how often it came to run (`schedstat`). Over some seconds, the rest of the time it slept, or waited for a
disk: with cores enough it would run for `ran / (ran + slept)` of the time. It is read only while the machine is full
and others have a part in that, of a bounded number of threads at a look; of more, trees take turns. Threads that ended
between two looks are not seen. Where they were most of what a tree used, or where the kernel keeps no such count,
nothing is said. Phases of work that are longer than those seconds are seen apart, and each is longer than it would be.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from gristmill.supervisor.core.governor.kinds import FULL, LOOKED_S, OTHERS
from gristmill.supervisor.edge.sampler.census import Process, Roll

ALONE_S = 5.0
"""Seconds between two looks where we fill it alone."""
BUDGET = 128
"""Threads that are looked at each time."""
MOST_OF_ONE = 64
"""Threads that are read of one process."""
BLUR = 0.02
"""CPU seconds: they are told in ticks, of which two may be missing here and there."""


def every(cores: float, cpu_total: float, cpu_ours: float) -> float | None:
    """Seconds between two looks, None while the machine is not full: there workers have what they want."""
    if cpu_total < FULL * cores:
        return None
    return 0.0 if cpu_total - cpu_ours >= OTHERS * cores else ALONE_S


class Count(NamedTuple):
    """What a thread ran and waited until now, in nanoseconds, and how often it came to run."""

    at: float
    ran: int
    waited: int
    turns: int


class Wish(NamedTuple):
    """The cores that a tree would use, and the seconds that its threads ran or slept, from which that is known: of
    several trees, who waited nearly all the time tells nearly nothing."""

    cores: float
    awake: float


class Followed:
    """What is known of one tree: when it was read, what it had spent by then, and its threads' counts, oldest first."""

    __slots__ = ("at", "counts", "spent")

    def __init__(self, at: float, spent: float) -> None:
        self.at, self.spent = at, spent
        self.counts: dict[tuple[int, int], dict[int, deque[Count]]] = {}  # by (pid, start), then by thread


class Waits:
    """Keeps the counts of the last seconds, as long as the machine is full."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        mine = self._read("self/schedstat", 0.0)
        self._counted = mine is not None and mine.ran > 0  # without the feature there is no file, or zeros
        self._trees: dict[int, Followed] = {}
        self.at = 0.0
        """When it looked last."""
        self._turn: dict[int, None] = {}  # roots in the order in which they are read

    def forget(self) -> None:
        """The machine is not full."""
        self._trees, self._turn = {}, {}

    def wanted(
        self, roll: Roll, now: float, spent: Mapping[int, float], idle_since: float | None = None
    ) -> dict[int, Wish]:
        """What each root's tree would use, of those that are read now and for which it can be told; `spent` are their
        CPU seconds so far. What the roll calls idle has been so since `idle_since`, else the last look."""
        if not self._counted:
            return {}
        trees: dict[int, list[Process]] = {root: [] for root in spent}
        for process in roll.living.values():
            if process.root in trees:
                trees[process.root].append(process)
        self._trees = {root: tree for root, tree in self._trees.items() if root in trees}
        idle_since = self.at if idle_since is None else idle_since
        found = {}
        for root in self._choose(trees):
            before = self._trees.get(root)
            after = self._trees[root] = Followed(now, spent[root])
            ran, wish, fresh = self._follow(trees[root], before, after, before is not None and before.at == idle_since)
            if before is not None and (whole := _whole(after.spent - before.spent, ran, wish, fresh)) is not None:
                found[root] = whole
        self.at = now
        return found

    def _choose(self, trees: Mapping[int, list[Process]]) -> list[int]:
        """The roots of the trees that are read now: those whose turn it is, and as many more as there is room for."""
        self._turn = {root: None for root in (*self._turn, *trees) if root in trees}
        chosen: list[int] = []
        left = BUDGET
        for root in self._turn:
            size = sum(min(process.threads, MOST_OF_ONE) for process in trees[root])
            if size > left and chosen:
                break
            chosen.append(root)
            left -= size
        for root in chosen:  # to the end of the queue
            self._turn[root] = self._turn.pop(root)
        return chosen

    def _follow(
        self, processes: list[Process], before: Followed | None, after: Followed, lately: bool
    ) -> tuple[float, Wish, bool]:
        """(CPU seconds of these processes' threads since they were last read, what they would use, whether some
        are read for the first time), with all that is read put into `after`; they were read `lately` where the roll
        tells who was idle since then."""
        ran = cores = awake = 0.0
        fresh, left = False, BUDGET
        known = before.counts if before is not None else {}
        for process in processes:
            if process.state == b"T":
                continue  # stopped it does not sleep: it is looked at anew when it goes on
            key = process.pid, process.start
            old, new = known.get(key, {}), after.counts.setdefault(key, {})
            rests = lately and process.idle and key in known  # it did nothing since then: its counts are the same
            threads = [(thread, "") for thread in old] if rests else self._threads(process)
            del threads[left:]
            left -= len(threads)
            for thread, path in threads:
                course = old.get(thread)
                count = course[-1]._replace(at=after.at) if rests and course else self._read(path, after.at)
                if count is None:
                    continue
                if course and count.ran >= course[-1].ran:
                    ran += (count.ran - course[-1].ran) / 1e9
                    share, seconds = _share(course[0], count)
                    cores, awake = cores + share, awake + seconds
                    while len(course) > 1 and course[1].at <= count.at - LOOKED_S:
                        course.popleft()
                else:
                    course, fresh = deque(), True
                course.append(count)
                new[thread] = course
        return ran, Wish(cores, awake), fresh

    def _threads(self, process: Process) -> list[tuple[int, str]]:
        """(thread, its file) of a process, the first ones of many."""
        pid = process.pid
        if process.threads == 1:
            return [(pid, f"{pid}/schedstat")]
        try:
            fd = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return []  # it has ended
        try:
            threads = sorted(map(int, os.listdir(fd)))[:MOST_OF_ONE]
        except OSError:
            return []
        finally:
            os.close(fd)
        return [(thread, f"{pid}/task/{thread}/schedstat") for thread in threads]

    def _read(self, path: str, now: float) -> Count | None:
        """One thread's count, None where it has ended, or where there is none."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return None
        try:
            ran, waited, turns = os.read(fd, 128).split()
        except (OSError, ValueError):
            return None
        finally:
            os.close(fd)
        return Count(now, int(ran), int(waited), int(turns))


def _share(first: Count, last: Count) -> tuple[float, float]:
    """(the share of the time between two counts that a thread would run if a core were always free, the seconds of it
    that it ran or slept)."""
    ran, waited = (last.ran - first.ran) / 1e9, (last.waited - first.waited) / 1e9
    # a wait is counted when it is over: the one that is under way may last as long as those did
    waited += waited / max(1, last.turns - first.turns)
    slept = max(0.0, last.at - first.at - ran - waited)
    return ran / (ran + slept) if ran > 0 else 0.0, ran + slept


def _whole(used: float, ran: float, wish: Wish, fresh: bool) -> Wish | None:
    """The wish of a tree which used so many CPU seconds, of which so many were seen in threads that have this wish;
    None where most was not seen."""
    unseen = used - ran
    if unseen <= BLUR and not fresh:
        return wish
    return wish._replace(cores=wish.cores * max(1.0, used / ran)) if ran > max(0.0, unseen) else None
