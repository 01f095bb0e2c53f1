"""Processes that are not ours: whose they are, so far as they do batch work at a positive niceness like ours.

A machine of many users has thousands of them, so that only a tenth, a hundred at most, is read again at each look,
and those that are niced. A pid that has changed hands is forgotten, and so looked at as a new one next time.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Protocol

TICKS = os.sysconf("SC_CLK_TCK")
MOST = 100
"""Processes read again at a look, of either sort."""
LASTING_S = 5.0
"""Seconds for which a user counts who was seen at work: tasks are short, and the next one comes."""


class Seen(Protocol):
    """What is told of a process when it is met."""

    pid: int
    start: int
    nice: int
    own: int
    uid: int
    state: bytes
    kernel: bool


@dataclass(slots=True)
class Stranger:
    """One of them: its start, its CPU time so far and the rate of that, in ticks, and when it was last read."""

    start: int
    own: int
    at: float
    rate: float = 0.0


class Strangers:
    """All of them."""

    def __init__(self, proc: int) -> None:
        self._proc = proc
        self.known: dict[int, Stranger] = {}
        self._niced: dict[int, None] = {}  # in the order in which they are read
        self._turn: list[int] = []
        self._at_work: dict[int, float] = {}

    def meet(self, seen: Seen, now: float) -> None:
        """A process that turned out to be somebody else's."""
        self.known[seen.pid] = Stranger(seen.start, seen.own, now)
        if seen.nice > 0 and not seen.kernel:
            self._niced[seen.pid] = None
            if seen.state == b"R":
                self._at_work[seen.uid] = now

    def forget(self, pids: Iterable[int]) -> None:
        """These have gone."""
        for pid in pids:
            del self.known[pid]
            self._niced.pop(pid, None)

    def clear(self) -> None:
        """All are to be met anew."""
        self.known.clear()
        self._niced.clear()

    def review(self, now: float, ours: Container[int]) -> None:
        """Reads some of them again."""
        if not self._turn:
            self._turn = list(self.known)
        count = min(MOST, len(self.known) // 10 + 1)
        turn, self._turn = self._turn[:count], self._turn[count:]
        niced = list(self._niced)[:MOST]
        for pid in niced:  # to the end of the queue
            self._niced[pid] = self._niced.pop(pid)
        for pid in {*turn, *niced} & self.known.keys():
            if not self._read(pid, now, ours):
                self.forget([pid])

    def _read(self, pid: int, now: float, ours: Container[int]) -> bool:
        """Reads one of them, False when it is another by now, or has come under ours."""
        stranger = self.known[pid]
        try:
            fd = os.open(f"{pid}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)
        except OSError:
            return False
        try:
            stat = os.read(fd, 1024)
            uid = os.fstat(fd).st_uid
        except OSError:
            return False
        finally:
            os.close(fd)
        fields = stat[stat.rindex(b")") + 2 :].split(None, 20)
        if int(fields[19]) != stranger.start or int(fields[1]) in ours:
            return False
        own = int(fields[11]) + int(fields[12])
        worked, passed = own - stranger.own, now - stranger.at
        stranger.own, stranger.at = own, now
        stranger.rate = worked / TICKS / passed if passed > 0 else 0.0
        if int(fields[16]) > 0 and pid in self._niced:
            if fields[0] == b"R" or stranger.rate > 0.02:
                self._at_work[uid] = now
        elif int(fields[16]) > 0:
            return False  # it was made nice: met anew, it is taken as such
        else:
            self._niced.pop(pid, None)
        return True

    def users(self, now: float) -> set[int]:
        """The users that have niced processes at work."""
        self._at_work = {uid: at for uid, at in self._at_work.items() if now - at <= LASTING_S}
        return set(self._at_work)

    def niced_cores(self) -> float:
        """The CPU that the niced ones use, so far as was seen."""
        return sum(self.known[pid].rate for pid in self._niced)
