"""The table of measured throughput: what so many busy workers got done, with errors.

ln W(N) = ln U(N) - ln c(N): U is what N workers use together (or N itself where they hardly compute), seen every
second; c is what a task costs among N workers, seen when one ends or tells its progress. Contention that no reading
shows (memory bandwidth, coherency, a cliff) shows in c. A table, and no fitted law: a fit of the Universal Scalability
Law guided nothing, and its jumps lost on cliffs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

SLOPE = 1.5
"""Standard deviation, expected beforehand, of how ln c changes with ln N: 0 where workers do not meet, 2 on a cliff."""
STEP = 0.06
"""Beyond 20 workers a bin is so much wider than the one before."""
NOISE, FEW = 0.1, 3.0
"""Variance of ln c from task to task that is expected beforehand, and what that counts for, in tasks: of two tasks
that cost the same nothing is known yet."""
HALF_LIFE_S = 180.0
COST_HALF_LIVES = 5.0
"""Costs are forgotten so many times slower than progress."""
TASK_SPREAD = 0.1
"""Variance of ln c between numbers of workers that is expected beforehand; shrinks means of few costs towards 0."""
FLOOR = 0.02
"""The standard deviation of ln U is never taken for less."""


def bin_of(workers: float) -> int:
    """The bin that a number of busy workers falls into."""
    whole = max(1, round(workers))
    return whole if whole <= 20 else 20 + round(math.log(workers / 20) / math.log(1 + STEP))


def workers_of(number: int) -> float:
    """The number of workers that a bin stands for."""
    return float(number) if number <= 20 else 20 * (1 + STEP) ** (number - 20)


class Estimate(NamedTuple):
    """A logarithm with its standard error."""

    value: float
    error: float


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """One bin: weight, mean and variance of ln U, then of the residual of ln cost."""

    weight: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    costed: float = 0.0
    cost: float = 0.0
    spread: float = 0.0

    def progress(self, value: float, weight: float) -> Cell:
        """With one more ln U."""
        total = self.weight + weight
        gain = weight / total
        off = value - self.mean
        variance = (1 - gain) * (self.variance + gain * off * off)
        return Cell(total, self.mean + gain * off, variance, self.costed, self.cost, self.spread)

    def charge(self, value: float, weight: float) -> Cell:
        """With one more residual of ln cost, of so many tasks."""
        total = self.costed + weight
        gain = weight / total
        off = value - self.cost
        spread = (1 - gain) * (self.spread + gain * off * off)
        return Cell(self.weight, self.mean, self.variance, total, self.cost + gain * off, spread)

    def fade(self, keep: float, keep_cost: float) -> Cell:
        """With less weight on all that it holds."""
        return Cell(self.weight * keep, self.mean, self.variance, self.costed * keep_cost, self.cost, self.spread)


class Rates(msgspec.Struct, frozen=True):
    """The table."""

    cells: dict[int, Cell] = {}

    def fade(self, dt: float, wall: float) -> Rates:
        """After `dt` seconds in which tasks take about `wall`."""
        keep = 0.5 ** (dt / max(HALF_LIFE_S, 3 * wall))
        slow = keep ** (1 / COST_HALF_LIVES)
        faded = {number: cell.fade(keep, slow) for number, cell in self.cells.items()}
        return Rates({number: cell for number, cell in faded.items() if cell.weight + cell.costed > 0.01})

    def doubt(self, keep: float = 0.1) -> Rates:
        """After the conditions have changed under which progress was seen."""
        return Rates({number: cell.fade(keep, 1.0) for number, cell in self.cells.items()})

    def progress(self, busy: float, used: float, weight: float = 1.0) -> Rates:
        """With the use of `used` (cores, or workers) by `busy` workers over one period."""
        return self._put(busy, lambda cell: cell.progress(math.log(max(1e-3, used)), weight))

    def charge(self, busy: float, residual: float, weight: float) -> Rates:
        """With tasks that cost e^residual times the usual while `busy` workers were."""
        return self._put(busy, lambda cell: cell.charge(max(-4.0, min(4.0, residual)), weight))

    def _put(self, busy: float, change: object) -> Rates:
        number = bin_of(busy)
        return Rates({**self.cells, number: change(self.cells.get(number, Cell()))})  # type: ignore[operator]

    def cost(self, workers: float) -> Estimate:
        """ln c among so many workers: what was seen there and nearby, each counted by how sure it is.

        The mean of a bin is off by chance, and by what the cost may change on the way from there (`SLOPE`), so that a
        number seen for an hour does not speak for its neighbour that was seen for a minute.
        """
        costed = sum(cell.costed for cell in self.cells.values())
        if not costed:
            return Estimate(0.0, math.sqrt(TASK_SPREAD))
        usual = sum(cell.costed * cell.cost for cell in self.cells.values()) / costed
        spread = sum(cell.costed * cell.spread for cell in self.cells.values())
        noise = (spread + FEW * NOISE) / (costed + FEW)
        place = math.log(max(1.0, workers))
        total = 1 / TASK_SPREAD
        mean = total * usual
        for number, cell in self.cells.items():
            if cell.costed > 0:
                way = math.log(workers_of(number)) - place
                weight = 1 / (noise / cell.costed + (SLOPE * way) ** 2)
                total += weight
                mean += weight * cell.cost
        return Estimate(mean / total, 1 / math.sqrt(total))

    def used(self, workers: float) -> Estimate | None:
        """ln U of so many workers, None where it was not seen lately."""
        cell = self.cells.get(bin_of(workers))
        if cell is None or cell.weight < 1.0:
            return None
        deviation = max(FLOOR, math.sqrt(cell.variance))
        return Estimate(cell.mean, deviation / math.sqrt(cell.weight))

    def rate(self, workers: float) -> Estimate | None:
        """ln W of so many workers, None where they were not seen lately."""
        used = self.used(workers)
        if used is None:
            return None
        cost = self.cost(workers)
        return Estimate(used.value - cost.value, math.hypot(used.error, cost.error))

    def seen(self) -> list[float]:
        """Numbers of workers with a rate, ascending."""
        return [workers_of(number) for number in sorted(self.cells) if self.cells[number].weight >= 1.0]
