"""When the jobs in the queue will end: their work shared out over the workers as the dispatcher does it, in the mean.

A fluid model: what is left of a job is tasks times their mean length, and flows through as many workers as its share,
its own limit and its tasks allow. Where memory or cores let fewer run than the limit, the limit says so already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

STEPS_MOST = 10_000
TEN_TO_NINETY = 1.28
"""Standard deviations of a normal distribution below and above which one in ten lies."""
FIRST_ERROR = 0.35
"""Taken for the error, as a logarithm, before any forecast was tried: most lie between a half and the double."""
GAIN = 0.1
CLIP = 2.0
"""No single surprise counts for more than seven times off."""


class Line(NamedTuple):
    """What is left of a job: so many tasks of `wall_s` seconds (None: not known), at most `most` at once; it begins in
    `wait_s` at the earliest, when the jobs that it `needs` have ended."""

    id: int
    tasks: float
    wall_s: float | None
    most: int | None = None
    priority: int = 0
    wait_s: float = 0.0
    needs: tuple[int, ...] = ()


class Span(NamedTuple):
    """Seconds from now until a job begins and ends."""

    begin_s: float
    end_s: float


def forecast(lines: Iterable[Line], workers: int) -> dict[int, Span]:
    """The spans of those jobs of which enough is known, and of which what they wait for will come."""
    left = {line.id: line for line in lines if line.wall_s is not None and line.tasks > 0}
    ahead = {line.id for line in lines}
    begun: dict[int, float] = {}
    found: dict[int, Span] = {}
    now = 0.0
    for _ in range(STEPS_MOST):
        ready = [line for line in left.values() if line.wait_s <= now and not ahead.intersection(line.needs)]
        shares = _shared(ready, workers)
        for number in shares:
            begun.setdefault(number, now)
        ends = [left[number].tasks * _wall(left[number]) / share for number, share in shares.items()]
        starts = [line.wait_s - now for line in left.values() if line.wait_s > now]
        step = min(ends + starts, default=math.inf)
        if not math.isfinite(step):
            break
        now += step
        for number, share in shares.items():
            line = left[number]
            tasks = line.tasks - step * share / _wall(line)
            if tasks * _wall(line) <= 1e-6 * share:
                found[number] = Span(begun[number], now)
                ahead.discard(number)
                del left[number]
            else:
                left[number] = line._replace(tasks=tasks)
    return found


def _wall(line: Line) -> float:
    return max(1e-3, line.wall_s or 0.0)


def _shared(ready: Sequence[Line], workers: int) -> dict[int, float]:
    """How many workers each job has in the mean: by priority, then in even shares of what each can use."""
    shares: dict[int, float] = {}
    free = float(workers)
    for priority in sorted({line.priority for line in ready}, reverse=True):
        caps = {
            line.id: min(math.ceil(line.tasks), line.most or math.inf) for line in ready if line.priority == priority
        }
        while caps and free > 1e-9:
            even = free / len(caps)
            full = {number: cap for number, cap in caps.items() if cap <= even}
            for number, cap in (full or dict.fromkeys(caps, even)).items():
                shares[number] = float(cap)
                free -= cap
                del caps[number]
    return shares


class Error(msgspec.Struct, frozen=True):
    """How far forecasts were off: the mean square of the logarithm of what it took to what was said."""

    square: float = FIRST_ERROR**2
    count: int = 0

    def learn(self, said_s: float, took_s: float) -> Error:
        """After one more job has ended: `said_s` was forecast, `took_s` it was."""
        off = max(-CLIP, min(CLIP, math.log(max(took_s, 1.0) / max(said_s, 1.0))))
        gain = max(GAIN, 1.0 / (self.count + 1))
        return Error(self.square + gain * (off * off - self.square), self.count + 1)

    def band(self, seconds: float) -> tuple[float, float]:
        """Between which four of five lie where so many seconds are forecast."""
        factor = math.exp(TEN_TO_NINETY * math.sqrt(self.square))
        return seconds / factor, seconds * factor


def changed(lines: Iterable[Line], without: Iterable[int], faster: Mapping[int, float]) -> list[Line]:
    """The queue as it would be without some jobs, and with tasks of others so many times as fast."""
    gone = set(without)
    return [
        line._replace(
            wall_s=None if line.wall_s is None else line.wall_s / faster.get(line.id, 1.0),
            needs=tuple(number for number in line.needs if number not in gone),
        )
        for line in lines if line.id not in gone
    ]
