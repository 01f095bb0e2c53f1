"""Who may govern the simulated machine: ours, and six simple ones as textbooks have them."""

from __future__ import annotations

import math
from typing import Protocol

from gristmill.supervisor.core import governor
from gristmill.supervisor.core.governor.decision import Binding, Decision
from gristmill.supervisor.core.governor.reading import Reading

MOST = 1024


class Controller(Protocol):
    """`settled`: what one decides who never looks, so that no reading need be made for it."""

    settled: Decision | None

    def decide(self, reading: Reading) -> Decision: ...

    def glance(self, at: float, available: float) -> tuple[str, ...]: ...


class Constant:
    """So many workers, whatever comes."""

    def __init__(self, limit: int) -> None:
        self.settled: Decision | None = Decision(limit=limit, binding=Binding.USER, reason="constant")

    def decide(self, reading: Reading) -> Decision:
        assert self.settled is not None
        return self.settled

    def glance(self, at: float, available: float) -> tuple[str, ...]:
        return ()


class Simple:
    """A limit that moves, and no thought of memory; `move` says where to."""

    settled: Decision | None = None

    def __init__(self, cores: float) -> None:
        self.limit = float(max(1, round(cores)))

    def move(self, reading: Reading) -> None:
        raise NotImplementedError

    def decide(self, reading: Reading) -> Decision:
        self.move(reading)
        self.limit = min(max(self.limit, 1.0), MOST)
        return Decision(limit=int(self.limit), binding=Binding.MEASURED, reason=f"{self.limit:.1f}")

    def glance(self, at: float, available: float) -> tuple[str, ...]:
        return ()


class LoadAverage(Simple):
    """`make -l` and GNU parallel's `--load`: one more while the one-minute load is below the cores."""

    _load = 0.0
    _at: float | None = None

    def move(self, reading: Reading) -> None:
        runnable = reading.runnable if reading.runnable is not None else reading.cpu_total
        period = 1.0 if self._at is None else reading.at - self._at
        self._at = reading.at
        fade = math.exp(-period / 60)
        self._load = self._load * fade + runnable * (1 - fade)
        if self._load < reading.cores:
            self.limit = min(self.limit + 1, reading.busy + 2)
        else:
            self.limit = max(1.0, min(self.limit, reading.busy) - 1)


class Aimd(Simple):
    """Additive increase, multiplicative decrease on pressure, as TCP does on loss."""

    _rest = 0.0

    def move(self, reading: Reading) -> None:
        cpu = reading.pressure_cpu
        if cpu is None:
            cpu = 1.0 if reading.cpu_total > 0.97 * reading.cores else 0.0
        pressed = cpu > 0.4 or (reading.pressure_memory or 0) > 0.1
        if pressed and reading.at >= self._rest and reading.busy <= self.limit + 1:  # once until it has shown
            self.limit *= 0.7
            self._rest = reading.at + 5
        elif not pressed and reading.busy > 0.8 * self.limit:
            self.limit += 0.5


class HillClimbing(Simple):
    """A step every ten seconds, further while completions a second grow, else back."""

    def __init__(self, cores: float) -> None:
        super().__init__(cores)
        self._step = 1.0
        self._done = 0.0
        self._began: float | None = None
        self._before: float | None = None

    def move(self, reading: Reading) -> None:
        if self._began is None:
            self._began = reading.at
        self._done += sum(one.count * one.wall for one in reading.ended)
        span = reading.at - self._began
        if span < 10 or (self._done == 0 and span < 120):
            return
        rate = self._done / span
        if self._before is not None and rate < self._before:
            self._step = -self._step
        self._before, self._done, self._began = rate, 0.0, reading.at
        self.limit += self._step * max(1.0, 0.1 * self.limit)


class Gradient2(Simple):
    """Netflix's concurrency limit: long-term over short-term latency, with room for a queue."""

    def __init__(self, cores: float) -> None:
        super().__init__(cores)
        self.limit = 20.0
        self._long: dict[str, float] = {}
        self._samples = 0

    def move(self, reading: Reading) -> None:
        for one in reading.ended:
            self._samples += 1
            long = self._long.get(one.kind, one.wall)
            gain = 2 / 601 if self._samples > 10 else 1 / self._samples
            long = long * (1 - gain) + one.wall * gain
            if long / one.wall > 2:
                long *= 0.95
            self._long[one.kind] = long
            if reading.busy < self.limit / 2:
                continue
            gradient = max(0.5, min(1.0, 1.5 * long / one.wall))
            wanted = self.limit * gradient + 4
            self.limit = min(max(20.0, self.limit * 0.8 + wanted * 0.2), MOST)


class Ours:
    """The governor of the daemon, as the daemon runs it: one state, decisions each second, relief in between."""

    settled: Decision | None = None

    def __init__(self) -> None:
        self.state = governor.State()

    def decide(self, reading: Reading) -> Decision:
        self.state, decision = governor.decide(reading, self.state)
        return decision

    def glance(self, at: float, available: float) -> tuple[str, ...]:
        self.state, killed = governor.relieve(at, available, self.state)
        return killed


SIMPLE = ("N=cores", "2×cores", "load avg", "AIMD", "hill", "Gradient2")
OURS = "this"


def make(name: str, cores: float) -> Controller:
    """A fresh controller by its name in the tables."""
    match name:
        case "N=cores":
            return Constant(max(1, round(cores)))
        case "2×cores":
            return Constant(max(1, round(2 * cores)))
        case "load avg":
            return LoadAverage(cores)
        case "AIMD":
            return Aimd(cores)
        case "hill":
            return HillClimbing(cores)
        case "Gradient2":
            return Gradient2(cores)
    return Ours()
