"""The processes below given roots, read from /proc as seldom and as cheaply as it gets.

A process of ours is read at every look, through a descriptor that stays open where the limit on open files allows: a
third of the price, and a pid that was given to another process can't be mistaken for the one before. Parents are read
before their children, so that no CPU time is seen both in a child and in the parent that has just collected it.
Everybody else's processes are read when they are new, for their parent, and then now and then (`Strangers`).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gristmill.supervisor.edge.sampler.strangers import Strangers

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
PF_KTHREAD = 0x00200000
CROWD = 128
"""From so many processes of ours on, those that did nothing between two looks are left out of every other one."""


class Process:
    """One process of ours, as last read. Times are in ticks.

    `own` and `user` are its own CPU time and the user time in that, `ended` and `ended_user` those of its children
    that it has waited for; `plus_…` is what came to each since the look before. `root` is the pid of the nearest root
    at or above it; `uid` is its user's as long as nobody asks for those at normal niceness.
    """

    __slots__ = (
        "ended", "ended_user", "fd", "idle", "kernel", "nice", "own", "parent", "pid", "plus_ended",
        "plus_ended_user", "plus_own", "plus_user", "root", "rss", "start", "state", "threads", "uid", "user",
    )
    own: int
    user: int
    ended: int
    ended_user: int

    def __init__(self, pid: int) -> None:
        self.pid, self.fd, self.start, self.root, self.uid, self.idle = pid, -1, -1, pid, -1, False

    def take(self, stat: bytes, since: int = -1) -> bool:
        """Fills in a line of /proc/PID/stat, False when it is another process's; `since` is only of use for the first:
        all that a process has done that was started after it is new."""
        fields = stat[stat.rindex(b")") + 2 :].split(None, 22)
        start = int(fields[19])
        user, ended_user = int(fields[11]), int(fields[13])
        own, ended = user + int(fields[12]), ended_user + int(fields[14])
        if start == self.start:
            self.plus_own, self.plus_ended = own - self.own, ended - self.ended
            self.plus_user, self.plus_ended_user = user - self.user, ended_user - self.ended_user
            self.idle = own == self.own and ended == self.ended and fields[0] in b"ST"
        elif self.start != -1:
            return False
        elif start >= since:
            self.plus_own, self.plus_ended, self.plus_user, self.plus_ended_user = own, ended, user, ended_user
        else:
            self.rest()
        self.own, self.ended, self.user, self.ended_user = own, ended, user, ended_user
        self.start, self.parent, self.nice = start, int(fields[1]), int(fields[16])
        self.state, self.rss, self.threads = fields[0], int(fields[21]) * PAGE, int(fields[17])
        self.kernel = int(fields[6]) & PF_KTHREAD != 0
        return True

    def rest(self) -> None:
        """Nothing came to its times."""
        self.plus_own = self.plus_ended = self.plus_user = self.plus_ended_user = 0


@dataclass(frozen=True, slots=True)
class Roll:
    """Ours at one look, parents first, and those that were there at the look before and have gone."""

    living: dict[int, Process]
    gone: list[Process]


def _ticks() -> int:
    """Now, on the clock that the starts of processes are told by."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def _below(pid: int, roots: set[int], table: dict[int, Process]) -> bool:
    """Whether a root is somewhere below another one."""
    for _ in table:  # not for ever, should a pid that changed hands meanwhile make a ring of them
        pid = table[pid].parent
        if pid in roots or pid not in table:
            return pid in roots and pid in table
    return False


class Census:
    """Takes it."""

    def __init__(self, proc: Path, most_open: int) -> None:
        self.proc = os.open(proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.strangers = Strangers(self.proc)
        self._room = most_open
        self._ours: dict[int, Process] = {}
        self._puzzles: set[tuple[int, int]] = set()
        self._since = _ticks()
        self._looks = 0

    def take(self, roots: Iterable[int], now: float) -> Roll:
        """All processes at and below `roots`, and a part of the others."""
        wanted = set(roots)
        since, self._since = self._since, _ticks()
        pids = {int(name) for name in os.listdir(self.proc) if name.isdigit()}
        gone = self._read_ours(pids)
        for process in gone:
            del self._ours[process.pid]
        known = self.strangers.known
        if wanted & known.keys():
            self.strangers.clear()  # one of them is ours now, and with it all that is below
        self.strangers.forget(known.keys() - pids)
        fresh = self._read_new(pids - self._ours.keys() - known.keys(), since)
        table = {**self._ours, **fresh}
        ours = self._reach(table, wanted)
        others = {pid: process for pid, process in table.items() if pid not in ours} if len(ours) < len(table) else {}
        for process in others.values():
            self._release(process)
        self._ours = ours
        self._dismiss(others, now)
        self.strangers.review(now, self._ours.keys())
        return Roll(ours, gone)

    def close(self) -> None:
        """Closes all files."""
        for process in self._ours.values():
            self._release(process)
        self._ours = {}
        os.close(self.proc)

    def _read_ours(self, pids: set[int]) -> list[Process]:
        """Reads those of the last look; what it returns has gone."""
        self._looks += 1
        if len(self._ours) < CROWD:
            return [process for process in self._ours.values() if not self._read_again(process)]
        gone: dict[int, Process] = {}
        for pid, process in self._ours.items():
            left_out = process.idle and (pid + self._looks) & 1  # the other half at the next look
            if left_out and pid in pids and pid != process.root and process.parent not in gone:
                process.rest()
            elif not self._read_again(process):
                gone[pid] = process
        return list(gone.values())

    def _read_again(self, process: Process) -> bool:
        """Reads a process that was there at the last look, False when it is gone."""
        try:
            if process.fd < 0:
                process.fd = os.open(f"{process.pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.proc)
                self._room -= 1
            there = process.take(os.pread(process.fd, 1024, 0))
        except OSError as error:
            there = error.errno in (errno.EMFILE, errno.ENFILE)  # it is read when there are files again
            process.rest()
        if not there or self._room < 0:
            self._release(process)
        return there

    def _read_new(self, pids: Iterable[int], since: int) -> dict[int, Process]:
        """Processes that are not known yet."""
        found = {}
        for pid in pids:
            process = Process(pid)
            try:
                fd = os.open(f"{pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.proc)
            except OSError:
                continue  # it ended while we looked
            try:
                process.take(os.read(fd, 1024), since)
                process.uid = os.fstat(fd).st_uid if process.nice > 0 else -1
            except OSError:
                continue
            finally:
                os.close(fd)
            found[pid] = process
        return found

    def _reach(self, table: dict[int, Process], roots: set[int]) -> dict[int, Process]:
        """What of `table` is at or below a root, parents first."""
        children: dict[int, list[Process]] = {}
        for process in table.values():
            children.setdefault(process.parent, []).append(process)
        reached: dict[int, Process] = {}
        todo = [table[pid] for pid in roots & table.keys() if not _below(pid, roots, table)]
        for process in todo:  # grows while it is walked
            pid, above = process.pid, reached.get(process.parent)
            reached[pid] = process
            process.root = pid if pid in roots or above is None else above.root
            if pid in children:
                todo += children[pid]
        return reached

    def _dismiss(self, others: dict[int, Process], now: float) -> None:
        """Tells whose processes are not ours: those of strangers. One whose parent has just ended has another by now,
        maybe one of ours: it is looked at once more before it counts as a stranger's."""
        known = self.strangers.known
        left, more = others, True
        while left and more:
            found = {pid: process for pid, process in left.items() if process.parent in known or not process.parent}
            more = bool(found)
            for process in found.values():
                self.strangers.meet(process, now)
            left = {pid: process for pid, process in left.items() if pid not in found}
        puzzles, self._puzzles = self._puzzles, set()
        for process in left.values():
            if (process.pid, process.start) in puzzles:
                self.strangers.meet(process, now)
            else:
                self._puzzles.add((process.pid, process.start))

    def _release(self, process: Process) -> None:
        """Closes the file of a process."""
        if process.fd >= 0:
            os.close(process.fd)
            process.fd = -1
            self._room += 1
