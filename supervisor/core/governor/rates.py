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
LEAST_WATCHED, BREATH_S = 5.0, 8.0
"""Seconds for which a strain must have been seen; in so many it is seen anew: running and waiting take a while."""
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
    """One bin: weight, mean and variance of ln U, then of the residual of ln cost, then of the strain."""

    weight: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    costed: float = 0.0
    cost: float = 0.0
    spread: float = 0.0
    watched: float = 0.0
    strain: float = 0.0
    sway: float = 0.0

    def progress(self, value: float, weight: float) -> Cell:
        """With one more ln U."""
        total, mean, variance = _weigh(self.weight, self.mean, self.variance, value, weight)
        return msgspec.structs.replace(self, weight=total, mean=mean, variance=variance)

    def charge(self, value: float, weight: float) -> Cell:
        """With one more residual of ln cost, of so many tasks."""
        total, cost, spread = _weigh(self.costed, self.cost, self.spread, value, weight)
        return msgspec.structs.replace(self, costed=total, cost=cost, spread=spread)

    def watch(self, value: float, weight: float) -> Cell:
        """With one more look at how long tasks run for each second that they wait, as a logarithm."""
        total, strain, sway = _weigh(self.watched, self.strain, self.sway, value, weight)
        return msgspec.structs.replace(self, watched=total, strain=strain, sway=sway)

    def fade(self, keep: float, keep_cost: float) -> Cell:
        """With less weight on all that it holds."""
        return msgspec.structs.replace(
            self, weight=self.weight * keep, costed=self.costed * keep_cost, watched=self.watched * keep
        )


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

    def watch(self, busy: float, strain: float, weight: float = 1.0) -> Rates:
        """With a look at how long tasks run for each second that they wait, as a logarithm."""
        return self._put(busy, lambda cell: cell.watch(strain, weight))

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

    def eased(self, workers: float, base: float) -> Estimate | None:
        """How much more so many workers get done than `base` do, as a logarithm, by what they use and their strain;
        None where that was not seen.

        Tasks that wait for a share of their time need so much waiting for each piece of work, however many there are.
        Those that run for longer between two waits pay more for the same piece. That is seen within seconds, long
        before any ends. Where the waits themselves grow with the number (a disk), it speaks too well of more workers,
        and never of fewer.
        """
        there, here = self.cells.get(bin_of(workers)), self.cells.get(bin_of(base))
        used, base_used = self.used(workers), self.used(base)
        if there is None or here is None or used is None or base_used is None:
            return None
        if not self.is_watched(workers) or not self.is_watched(base):
            return None
        error = math.sqrt(
            sum(max(_chance(n, cell.strain), cell.sway) * BREATH_S / cell.watched
                for n, cell in ((workers, there), (base, here)))
        )
        value = used.value - base_used.value - (there.strain - here.strain)
        return Estimate(value, math.hypot(used.error, base_used.error, error))

    def is_watched(self, workers: float) -> bool:
        """Whether it is known how so many run and wait."""
        cell = self.cells.get(bin_of(workers))
        return cell is not None and cell.watched >= LEAST_WATCHED

    def seen(self) -> list[float]:
        """Numbers of workers with a rate, ascending."""
        return [workers_of(number) for number in sorted(self.cells) if self.cells[number].weight >= 1.0]


def _chance(workers: float, strain: float) -> float:
    """The variance of a strain that is mere chance, half of what independent workers show in a second (binomial)."""
    share = 1 / (1 + math.exp(-strain))
    return 0.5 / max(1e-3, workers * share * (1 - share))


def _weigh(held: float, mean: float, variance: float, value: float, weight: float) -> tuple[float, float, float]:
    """(weight, mean, variance) after one value more (West 1979, "Updating mean and variance estimates")."""
    total = held + weight
    gain = weight / total
    off = value - mean
    return total, mean + gain * off, (1 - gain) * (variance + gain * off * off)
