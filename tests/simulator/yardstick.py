"""The best constant number of workers, by brute force: no task killed by the kernel, others harmed by 5 % at most.

Of many tries the best is partly luck: what the winner does is measured anew, in runs of their own.

Results are remembered: those of the named scenarios and of many random ones beside this file, the rest under the
system's folder for temporary files. They hold for one scenario and one state of the simulator's code.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests.simulator.controllers import Constant
from tests.simulator.run import run
from tests.simulator.world import Scenario

HARMLESS = 0.05
LEVEL = 0.99
"""The best number is shown as the smallest that reaches so much of the highest rate, which is the yardstick."""
KEPT, DRAWN = (Path(__file__).with_name(name) for name in ("best.json", "drawn.json"))
"""The results of the named scenarios, and of the random ones."""
STRIDE = 1.3
FRESH = (1, 2, 3)
"""Seeds of the runs in which the winner is measured."""
MOST = 2000


class Best(NamedTuple):
    """So many workers, and the useful work a second that they do."""

    workers: int
    rate: float


class Trial(NamedTuple):
    rate: float
    fits: bool


def held(scenario: Scenario, segment: tuple[float, float]) -> Scenario:
    """What a constant is tried on: the segment's load, long enough for two generations of tasks."""
    if scenario.whole:
        return scenario
    return scenario.held(segment, max(300.0, 2 * scenario.longest))


def attempt(world: Scenario, workers: int, seed: int | None = None) -> Trial:
    """How `workers` do in this world."""
    course = run(world, [Constant(workers)] * world.pools, seed=seed, give_up=True)
    if course.ooms:
        return Trial(0.0, False)
    warm = 0.0 if world.whole else 0.4 * world.duration
    rate = course.rate(warm, world.duration)
    return Trial(rate, course.harm() <= HARMLESS)


def search(world: Scenario) -> Best:
    """Coarse to fine: strides up to what does not fit or no longer gains, then halving about the best."""
    trials: dict[int, Trial] = {}

    def trial(workers: int) -> Trial:
        if workers not in trials:
            trials[workers] = attempt(world, workers)
        return trials[workers]

    n, top, idle = 1, 0.0, 0
    while n <= MOST and idle < 4:
        one = trial(n)
        if not one.fits:
            break
        idle = 0 if one.rate > 1.003 * top else idle + 1
        top = max(top, one.rate)
        n = max(n + 1, round(n * STRIDE))
    fitting = [number for number, one in trials.items() if one.fits]
    if not fitting:
        return Best(0, 0.0)
    low, high = max(fitting), min((number for number, one in trials.items() if not one.fits), default=0)
    while high - low > 1:  # the most that fits
        middle = (low + high) // 2
        low, high = (middle, high) if trial(middle).fits else (low, middle)
    while True:
        rates = {number: one.rate for number, one in sorted(trials.items()) if one.fits}
        best = min(number for number, rate in rates.items() if rate >= LEVEL * max(rates.values()))
        peak = max(rates, key=lambda number: rates[number])
        numbers = list(rates)
        gaps = set()
        for here in (best, peak):
            place = numbers.index(here)
            around = numbers[max(0, place - 1) : place + 2]
            gaps |= {(a + b) // 2 for a, b in pairwise(around) if b - a > max(1, 0.02 * b)}
        gaps -= trials.keys()  # between two that fit one may not, where others' bursts have their part in it
        if not gaps:
            return anew(world, best, peak, rates)
        for number in gaps:
            trial(number)


def anew(world: Scenario, best: int, peak: int, rates: dict[int, float]) -> Best:
    """The number found, with the rate of what it and the peak do in fresh runs; where tasks are killed in those, the
    next smaller number's."""
    if world.whole:
        return Best(best, rates[peak])  # judged on that very course
    found = {}
    for workers in {best, peak}:
        for fewer in sorted((number for number in rates if number <= workers), reverse=True):
            fresh = [attempt(world, fewer, seed) for seed in FRESH]
            if all(one.fits or one.rate > 0 for one in fresh):
                found[fewer] = sum(one.rate for one in fresh) / len(fresh)
                break
    return Best(min(best, max(found)), max(found.values())) if found else Best(0, 0.0)


@cache
def code() -> str:
    """Names the simulator as it is now: another one's results are no yardstick."""
    here = Path(__file__).parent
    sources = ("world", "rows", "phases", "contention", "others", "queues", "succession", "machine", "run", "yardstick")
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in sources)).hexdigest()[:12]


@cache
def _kept() -> dict[str, Best]:
    """The results that are kept with the code."""
    found: dict[str, Best] = {}
    for path in (KEPT, DRAWN):
        kept = json.loads(path.read_text()) if path.exists() else {}
        if kept.get("code") == code():
            found |= {key: Best(*best) for key, best in kept["best"].items()}
    return found


def keep(scenarios: Iterable[Scenario], path: Path = KEPT) -> None:
    """Write the results of these to be kept with the code."""
    found = {_key(held(one, segment)): best(one, segment) for one in scenarios for segment in one.segments}
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(found.items()))
    path.write_text(f'{{"code": "{code()}", "best": {{\n{lines}\n}}}}\n')


def _key(world: Scenario) -> str:
    text = repr(replace(world, name="", best_near=None))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def best(scenario: Scenario, segment: tuple[float, float]) -> Best:
    """`search`, remembered."""
    world = held(scenario, segment)
    key = _key(world)
    if key in _kept():
        return _kept()[key]
    folder = Path(tempfile.gettempdir()) / f"gristmill-simulator-{os.getuid()}" / code()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{key}.json"
    try:
        return Best(*json.loads(path.read_text()))
    except FileNotFoundError:
        found = search(world)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(found))
    part.replace(path)
    return found
