"""What the tasks of a job were seen to need, by those that ended by themselves: kept with the job, and tallied for the
governor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from gristmill.supervisor.core.pace import Pace

OOM_RAISE = 1.5


class Footprint(msgspec.Struct):
    """What the tasks of a class were seen to need: means over the last ~20 ends, and the largest memory peak."""

    ends: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    raised_bytes: int = 0
    """What a task is taken to need at least since one was killed for lack of memory."""
    pace: Pace = msgspec.field(default_factory=Pace)
    """What ranges took, where the daemon chooses them."""

    def ran_out(self, memory_bytes: float) -> None:
        """Counts one task that was killed at, or for claiming, so many bytes: the next gets half as much again."""
        self.raised_bytes = max(self.raised_bytes, int(OOM_RAISE * memory_bytes))

    def learn(self, wall_s: float, cpu_s: float, memory_bytes: int) -> None:
        """Counts one task that ended by itself."""
        self.ends += 1
        gain = max(1.0 / self.ends, 0.05)
        self.wall_s += gain * (wall_s - self.wall_s)
        self.cpu_s += gain * (cpu_s - self.cpu_s)
        self.memory_bytes = max(memory_bytes, self.memory_bytes)


class Used(NamedTuple):
    """What one task that ended by itself used. `telling`: whether that may be compared with what others cost; `took_s`
    the seconds that it really took, where the others are what one of the usual size would have used."""

    wall_s: float
    cpu_s: float
    memory_bytes: int
    telling: bool = True
    took_s: float | None = None


@dataclass(slots=True)
class Tally:
    """Such tasks since somebody looked: how many, sums of seconds and of peaks in bytes, the largest peak."""

    count: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    took_s: float = 0.0
    memory_bytes: int = 0
    largest_bytes: int = 0
    telling: bool = True

    def add(self, used: Used) -> None:
        """One more."""
        self.count += 1
        self.wall_s += used.wall_s
        self.cpu_s += used.cpu_s
        self.took_s += used.wall_s if used.took_s is None else used.took_s
        self.memory_bytes += used.memory_bytes
        self.largest_bytes = max(self.largest_bytes, used.memory_bytes)
        self.telling = self.telling and used.telling
