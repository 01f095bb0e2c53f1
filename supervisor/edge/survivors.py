"""What still lives of a task whose worker was killed: its processes, watched and ended without that worker.

They are known by what can't be another's: the mark of their run folder in their environment, or the pid with its
start time as the worker wrote both down; and whatever descends from those or shares their session. A signal goes
through a descriptor that was checked after it was opened, so that a stranger who got the pid later never hears it.
What is found stopped goes on: nobody is left who would let it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

TICKS = os.sysconf("SC_CLK_TCK")
SWEEP_S = 0.1
"""Seconds between two sweeps over what should be dead."""
AGAIN_S = 1.0
"""Seconds until a look is tried again that the machine refused."""
ENVIRON_MOST = 1 << 18
SWEEPS = 5
"""Looks in one go until all processes are stopped; whoever wants them stopped asks again each second."""


@dataclass(frozen=True, slots=True)
class Process:
    """A line of the process table. `start` in clock ticks since the boot names it together with its pid."""

    pid: int
    parent: int
    session: int
    start: int
    stopped: bool = field(default=False, compare=False)


def read(pid: int) -> Process | None:
    """The living process with this pid, None where there is none; one that is only waited for is dead."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            stat = file.read(1024)
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split(None, 20)
    if fields[0] in b"ZX":
        return None
    return Process(pid, int(fields[1]), int(fields[3]), int(fields[19]), fields[0] in b"Tt")


def age(process: Process) -> float:
    """Seconds since the process was started, whatever was done to the clock meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.start / TICKS


def find(mark: str, pid: int | None, start: int | None) -> list[Process]:
    """All that lives of a task, oldest first: what carries `mark` (NAME=value) in its environment, or is `pid` of
    `start`, and all that descends from these or is in a session that one of them leads."""
    table = {entry: process for entry in map(int, filter(str.isdigit, os.listdir("/proc"))) if (process := read(entry))}
    line = b"\0" + os.fsencode(mark) + b"\0"
    found = {p.pid for p in table.values() if (p.pid == pid and p.start == start) or line in b"\0" + _environ(p.pid)}
    leaders = {entry for entry in found if table[entry].session == entry}
    grew = True
    while grew:
        more = {p.pid for p in table.values() if p.parent in found or p.session in leaders} - found
        found |= more
        grew = bool(more)
    return sorted((table[entry] for entry in found), key=lambda process: (process.start, process.pid))


def _environ(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            return file.read(ENVIRON_MOST) or b""
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""  # gone, or somebody else's


class Survivors:
    """The processes of one task, until none of them is left."""

    def __init__(
        self, mark: str, pid: int | None, start: int | None, ended: Callable[[], None], wait: bool = False
    ) -> None:
        """`ended` is called once, when all are gone. With `wait` what the task's own process leaves running is waited
        for, otherwise it is ended."""
        self._mark, self._pid, self._start, self._ended, self._wait = mark, pid, start, ended, wait
        self._fds: dict[int, int] = {}
        self._kill_at: float | None = None
        self._fresh = True
        self.frozen: dict[int, int] = {}
        """Starts by pid of those that were stopped here."""
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        living = find(mark, pid, start)
        self.first = living[0] if living else None
        """The task's own process, or what is oldest of it."""
        self._plan(0.0)

    @property
    def pid(self) -> int:
        """The pid of the task's own process."""
        return self.first.pid if self.first else 0

    def end_task(self, grace: float = 0.0) -> None:
        """TERM to all of them, KILL after `grace` seconds until nothing is left."""
        if self._kill_at is None or self._kill_at > self._loop.time() + grace:
            self._kill_at = self._loop.time() + grace
            self.frozen.clear()
            self._plan(grace if self._take_hold() else 0.0)
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a stopped process could not hear the TERM

    def stop(self) -> bool:
        """Stops all of them, also those that are made meanwhile (two looks in a row in which nothing moves have seen
        all there is); to be repeated for what could not be reached at once. False when they are ending."""
        if self._kill_at is not None:
            return False
        still = 0
        for _ in range(SWEEPS):
            moving = [process for process in self._take_hold() if not process.stopped and process.pid in self._fds]
            still = 0 if moving else still + 1
            if still == 2 or self._kill_at is not None:
                break
            for process in moving:
                self.frozen[process.pid] = process.start
                self._send(self._fds[process.pid], signal.SIGSTOP)
        return self._kill_at is None

    def go(self) -> None:
        """Lets those go on that were stopped here."""
        for pid in self.frozen:
            if pid in self._fds:
                self._send(self._fds[pid], signal.SIGCONT)
        self.frozen.clear()

    def close(self) -> None:
        """Stops watching, and lets all of them go on."""
        self.go()
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._fds.values():
            self._loop.remove_reader(fd)
            os.close(fd)
        self._fds.clear()

    def _plan(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._look)

    def _look(self) -> None:
        """Takes hold of what lives now; calls `ended` when nothing does."""
        self._timer = None
        if not self._take_hold():
            self._ended()
            return
        if self._fresh:
            self._fresh = False
            self._signal(signal.SIGCONT)  # a daemon that is gone, or its worker, may have stopped them
        if self._kill_at is not None and self._loop.time() >= self._kill_at:
            self._signal(signal.SIGKILL)
            self._plan(SWEEP_S)
        elif not self._fds:
            self._plan(AGAIN_S)

    def _take_hold(self) -> list[Process]:
        """Watches what is not watched yet; returns what lives, or may live as far as can be seen now."""
        try:
            living = find(self._mark, self._pid, self._start)
        except OSError:
            return [self.first] if self.first else []  # no descriptor left to look with
        own = self.first is not None and (self.first.pid, self.first.start)
        if not self._wait and self._kill_at is None and own not in {(p.pid, p.start) for p in living}:
            self._kill_at = self._loop.time()  # the task's own process ended before it was watched
        for process in living:
            if process.pid not in self._fds and (fd := _hold(process)) is not None:
                self._fds[process.pid] = fd
                self._loop.add_reader(fd, self._gone, process.pid)
        return living

    def _gone(self, pid: int) -> None:
        fd = self._fds.pop(pid)
        self._loop.remove_reader(fd)
        os.close(fd)
        if pid == self.pid and not self._wait:
            self._kill_at = self._loop.time()
        if self._kill_at is None or self._kill_at <= self._loop.time() or not self._fds:
            self._plan(0.0)  # it may have left children that were not seen yet

    def _signal(self, number: int) -> None:
        for fd in self._fds.values():
            self._send(fd, number)

    @staticmethod
    def _send(fd: int, number: int) -> None:
        try:
            signal.pidfd_send_signal(fd, number)
        except OSError:
            pass  # it has just ended, or is another user's by now (sudo): the descriptor tells


def _hold(process: Process) -> int | None:
    """A descriptor of this very process, None when it has gone."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return None  # it has gone; or no descriptor is left, and the next look takes hold of it
    now = read(process.pid)
    if now is None or now.start != process.start:
        os.close(fd)
        return None
    return fd
