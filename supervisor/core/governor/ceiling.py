"""The CPU ceiling: the fewest workers that keep the cores busy which are ours to use.

Owns that one formula. What a worker uses is learned by `kinds`, what others want by `others`.
"""

from __future__ import annotations

import math

ENOUGH = 0.975
"""The ceiling is the fewest workers that are expected to keep this share of the free cores busy."""
CROWDED = 1.07
"""With others on the machine, demand may be this much of what the cores give: they are not pushed aside."""
YIELDING = 1.25
"""The same where ours give way by themselves: niced ones beside work that is not. What waits part of the time leaves
cores idle unless some more of it is there, and takes next to nothing from others by being there."""
IDLE_USE = 0.002
"""A worker that uses fewer cores than this is not bounded by them."""
MOST = 2048


def expected_smaller(mean: float, deviation: float, bound: float) -> float:
    """E[min(R, B)] for a normal R: μ - (μ - B) Φ(z) - σ φ(z) with z = (μ - B) / σ (Clark 1961)."""
    if deviation < 1e-9:
        return min(mean, bound)
    z = (mean - bound) / deviation
    below = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return mean - (mean - bound) * below - deviation * density


def alone(budget: float, use: float | None) -> int | None:
    """The most workers that `budget` cores can feed, None when workers hardly use any.

    The fewest N ≥ B/u with E[min(R, B)] ≥ 0.975 B, where the runnable threads R of N workers, each of t threads that
    run a share q of the time, are taken as Normal(N u, N t² q (1 - q)); where N t ≤ B they can't exceed B.
    """
    if use is None or use < IDLE_USE:
        return None
    threads = math.ceil(use - 0.15) or 1  # a reading of 1.1 is one thread and noise
    share = min(1.0, use / threads)

    def enough(workers: int) -> bool:
        mean, variance = workers * use, workers * threads**2 * share * (1 - share)
        if workers * threads <= budget:  # they can't want more at once, however they meet
            return mean >= ENOUGH * budget
        return expected_smaller(mean, math.sqrt(variance), budget) >= ENOUGH * budget

    low = max(1, math.ceil(budget / use - 0.05))
    if low >= MOST or enough(low):
        return min(low, MOST)
    high = low
    while high < MOST and not enough(high):
        low, high = high, min(MOST, 2 * high)
    while high - low > 1:  # the expectation grows with every worker
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def shared(
    budget: float, use: float | None, demand: float, cores: float, yielding: bool = False
) -> int | None:
    """The most workers beside others who want `demand` cores: the whole number nearest to B/u that does not crowd.

    The nearest, not the next below: on two cores a tenth of a core of noise would halve us, and tasks are niced. Where
    ours are `yielding`, as many as keep `budget` cores busy, if they crowd only a little.
    """
    if use is None or use < IDLE_USE:
        return None
    workers = max(1, math.floor(budget / use + 0.5))
    while workers > 1 and workers > budget / use:
        wanted = workers * use + demand
        threads = math.ceil(use - 0.15) or 1
        spread = math.sqrt(workers * threads**2 * min(1.0, use / threads) * (1 - min(1.0, use / threads)))
        if wanted <= CROWDED * max(1e-9, expected_smaller(wanted, spread, cores)) or wanted <= cores + 0.5 * use:
            break
        workers -= 1
    if yielding:
        workers = max(workers, min(alone(budget, use) or 1, math.floor((YIELDING * cores - demand) / use)))
    return min(workers, MOST)
