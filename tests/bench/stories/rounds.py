"""Contestants in turn, A B C C B A, so that what others do to the machine falls on all of them, and one that grows
slower as it grows warm favours nobody."""

from __future__ import annotations

import ctypes
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.bench.governor import machine

PR_SET_CHILD_SUBREAPER = 36


class Lap(NamedTuple):
    """One run of one contestant: what it measured, and the share of the cores that others used meanwhile."""

    value: float
    foreign: float


class Laps(NamedTuple):
    """All runs of all contestants, round by round."""

    of: dict[str, list[Lap]]

    def median(self, name: str) -> float:
        """What this contestant measured."""
        return statistics.median(lap.value for lap in self.of[name])

    def ratio(self, name: str, base: str) -> float:
        """The median over the rounds of `name` as a multiple of `base`."""
        return statistics.median(self.ratios(name, base))

    def ratios(self, name: str, base: str) -> list[float]:
        """`name` as a multiple of `base`, round by round."""
        pairs = zip(self.of[name], self.of[base], strict=True)
        return [ours.value / theirs.value for ours, theirs in pairs]

    def mean(self, name: str, *of: str) -> Laps:
        """With one more contestant, whose value of each round is the mean of what these have."""
        rounds = zip(*(self.of[each] for each in of), strict=True)
        laps = [Lap(*map(statistics.fmean, zip(*laps, strict=True))) for laps in rounds]
        return Laps({**self.of, name: laps})

    def foreign(self, name: str) -> float:
        """Share of the cores that others used beside this contestant."""
        return statistics.median(lap.foreign for lap in self.of[name])

    def least(self, *names: str) -> str:
        """The contestant of these with the smallest median."""
        return min(names, key=self.median)

    def most(self, *names: str) -> str:
        """The contestant of these with the greatest median."""
        return max(names, key=self.median)


def interleave(label: str, contestants: Mapping[str, Callable[[], float]], rounds: int) -> Laps:
    """Runs each contestant once a round, in every second one the last first; every run is told of on standard error."""
    found: dict[str, list[Lap]] = {name: [] for name in contestants}
    for number in range(1, rounds + 1):
        for name in [*contestants] if number % 2 else [*contestants][::-1]:
            lap = timed(contestants[name])
            found[name].append(lap)
            say(f"{label} {number}/{rounds}: {name}: {lap.value:.4g}, others {lap.foreign:.2f}")
    return Laps(found)


def timed(run: Callable[[], float]) -> Lap:
    """One run; what neither we nor our descendants used of the cores was others'."""
    own, busy, began = machine.tree(os.getpid()).cpu, machine.busy(), time.monotonic()
    value = run()
    wall = time.monotonic() - began
    others = machine.busy() - busy - (machine.tree(os.getpid()).cpu - own)
    return Lap(value, max(0.0, others) / (machine.cores() * wall))


def adopt() -> None:
    """From now on what our children leave behind is ours, so that the CPU seconds of an ended daemon's workers are too:
    they would pass for those of strangers."""
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise SystemExit("the kernel does not let us adopt what our children leave behind")


def say(what: str) -> None:
    """A line of progress."""
    print(f"# {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
