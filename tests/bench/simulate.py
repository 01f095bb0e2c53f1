"""The governor on the simulated machine, beside six simple controllers and the best constant number of workers.

    python tests/bench/simulate.py --named [--controllers all|ours|simple] [--only WORDS]
    python tests/bench/simulate.py --random 500 --seeds judging [--processes 2]
    python tests/bench/simulate.py --trace WORDS [--every 5]
    python tests/bench/simulate.py --best [--only WORDS]
    python tests/bench/simulate.py --keep named|random
    python tests/bench/simulate.py --fair

Prints one Markdown table. Seeds are kept apart: what is tuned on `tuning` is reported on `judging` too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from operator import attrgetter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from gristmill.supervisor.core.governor.decision import Decision
from tests.simulator import chance, fairness, scenarios, yardstick
from tests.simulator.controllers import OURS, SIMPLE, make
from tests.simulator.machine import Machine
from tests.simulator.rows import Row
from tests.simulator.run import run
from tests.simulator.score import Score, judge, score
from tests.simulator.world import GB, Scenario
from tests.simulator.yardstick import Best, best

DRAWN = 500
"""Random scenarios for judging whose best constants are kept: half an hour's work."""
HEAD = ("controller", "steady 5th", "median", "whole median", "OOM runs", "wasted mean", "changes/min 95th",
        "harm 95th", "90 % after, median")
BARS = ("bars for this", "≥ 85 %", "≥ 98 %", "", "≤ 1 %", "≤ 1 %", "≤ 11", "≤ 15 %", "")
"""Of the table of random scenarios: its columns, and what our governor is to reach."""
Asked = tuple[Scenario, str]


def judged(asked: Asked) -> Score:
    return score(*asked)


def scores(asked: Sequence[Asked], processes: int) -> Iterable[Score]:
    """In the order asked, worked out side by side."""
    if processes < 2:
        yield from map(judged, asked)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(judged, asked)


def chosen(words: str | None) -> list[Scenario]:
    """Named scenarios that hold these words, or a random one by `random:SEED`."""
    if words is not None and words.startswith("random:"):
        return [chance.draw(int(words.removeprefix("random:")))]
    found = [one for one in scenarios.ALL if words is None or words.lower() in one.name.lower()]
    if not found:
        names = ", ".join(one.name for one in scenarios.ALL)
        raise SystemExit(f"No scenario is called anything like {words!r}: {names}")
    return found


def cell(one: Score) -> str:
    """As the governor's table has it: per cent of the best, or what is worse."""
    if one.ooms:
        return "OOM"
    harm = f", harm {100 * one.harm:.0f} %" if one.harm > 0.05 else ""
    return f"{100 * one.steady:.0f}{harm}"


def named(words: str | None, controllers: Sequence[str], processes: int) -> None:
    worlds = chosen(words)
    asked = [(world, controller) for world in worlds for controller in controllers]
    results = iter(scores(asked, processes))
    more = OURS in controllers
    figures = ("whole", "90 % after", "wasted", "changes/min", "harm") if more else ()
    head = ["scenario (best N)", *controllers, *figures]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for world in worlds:
        row = [next(results) for _ in controllers]
        cells = [f"{world.name} ({', '.join(map(str, row[0].workers))})", *map(cell, row)]
        if more:
            one = row[controllers.index(OURS)]
            cells += [f"{100 * one.whole:.0f}", f"{one.reached:.0f} s", f"{100 * one.wasted:.1f} %",
                      f"{one.changes:.1f}", f"{100 * one.harm:.0f} %"]
        print("| " + " | ".join(cells) + " |", flush=True)


def at_random(count: int, seeds: range, controllers: Sequence[str], processes: int) -> None:
    worlds = [chance.draw(seed) for seed in seeds[:count]]
    asked = [(world, controller) for world in worlds for controller in controllers]
    by_controller: dict[str, list[Score]] = {controller: [] for controller in controllers}
    for one in scores(asked, processes):
        by_controller[one.controller].append(one)
    print(f"{count} random scenarios, seeds {seeds[0]}–{seeds[count - 1]}\n")
    print("| " + " | ".join(HEAD) + " |\n|" + "---|" * len(HEAD))
    for controller, results in by_controller.items():
        low, median = np.quantile([one.steady for one in results], (0.05, 0.5))
        cells = (
            controller, f"{100 * low:.2f} %", f"{100 * median:.1f} %",
            f"{100 * statistics.median(one.whole for one in results):.1f} %",
            f"{100 * statistics.mean(one.ooms > 0 for one in results):.1f} %",
            f"{100 * statistics.mean(one.wasted for one in results):.2f} %",
            f"{np.quantile([one.changes for one in results], 0.95):.1f}",
            f"{100 * np.quantile([one.harm for one in results], 0.95):.1f} %",
            f"{statistics.median(one.reached for one in results):.0f} s",
        )
        print("| " + " | ".join(cells) + " |")
    if OURS in by_controller:
        print("| " + " | ".join(BARS) + " |")
        results = by_controller[OURS]
        worst = sorted(results, key=lambda one: one.steady)[:12]
        print("\nlowest: " + ", ".join(f"{one.name} {100 * one.steady:.0f}" for one in worst))
        print("OOM: " + (", ".join(one.name for one in results if one.ooms) or "none"))
        for word in ("wasted", "harm"):
            top = sorted(results, key=attrgetter(word), reverse=True)[:6]
            print(f"{word}: " + ", ".join(f"{one.name} {100 * getattr(one, word):.1f} %" for one in top))
        top = sorted(results, key=lambda one: -one.changes)[:6]
        print("changes/min: " + ", ".join(f"{one.name} {one.changes:.0f}" for one in top))


def trace(words: str, controller: str, every: int, until: float) -> None:
    """A line a second: what was decided and what came of it, in per cent of the best of its segment."""
    world = chosen(words)[0]
    marks = [(segment, best(world, segment)) for segment in world.segments]
    print(f"{world.name}: {world.hardware}")
    for kind in world.kinds:
        print(f"  {kind}")
    for one in world.neighbours:
        print(f"  {one}")
    for (begin, end), mark in marks:
        print(f"  best from {begin:.0f} to {end:.0f} s: {mark.workers} workers, {mark.rate:.2f} s of work a second")
    print("     s limit   busy stop  done %  cpu % others  free GB queued bound     reason")
    began = time.perf_counter()
    controllers = [make(controller, world.hardware.cores) for _ in range(world.pools)]
    course = run(world, controllers, watch=Lines(marks, every, until))
    print(f"{world.duration / (time.perf_counter() - began):.0f} × real time\n{judge(course, controller)}")


class Lines:
    """Prints what happened since the line before."""

    def __init__(self, marks: list[tuple[tuple[float, float], Best]], every: int, until: float) -> None:
        self._marks, self._every, self._until = marks, every, until
        self._last = (0.0,) * 6

    def __call__(self, machine: Machine, pool: int, decision: Decision) -> None:
        if pool or machine.now > self._until or 0 < machine.now < self._last[0] + self._every:
            return
        now = (machine.now, float(machine.useful.sum()), float(machine.busy_time.sum()), float(machine.cpu.sum()),
               machine.others.cpu + machine.others.niced_cpu, float(machine.ooms))
        span = max(now[0] - self._last[0], 0.25)
        means = [(one - before) / span for one, before in zip(now, self._last, strict=True)]
        _, useful, busy, cpu, others, ooms = means
        mark = next((mark for (begin, end), mark in self._marks if begin <= now[0] < end), self._marks[-1][1])
        stopped = int(machine.row(Row.STOPPED).sum())
        queued = min(sum(queue.waiting for queue in machine.queues), 999_999)
        cores = machine.hardware.cores
        events = ("OOM! " if ooms else "") + (f"kills {len(decision.kill)}; " if decision.kill else "")
        done = 100 * useful / max(mark.rate, 1e-9)
        print(f"{now[0]:6.1f} {decision.limit:5d} {busy:6.1f} {stopped:4d} {done:7.1f}"
              f" {100 * cpu / cores:6.1f} {100 * others / cores:6.1f} {machine.available / GB:8.2f} {queued:6d}"
              f" {decision.binding:9s} {events}{decision.reason}")
        self._last = now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--named", action="store_true", help="the named scenarios")
    parser.add_argument("--random", type=int, metavar="N", help="so many random scenarios")
    parser.add_argument("--fair", action="store_true", help="two governors on one machine")
    parser.add_argument("--best", action="store_true", help="the best constants of the named scenarios")
    parser.add_argument("--keep", choices=("named", "random"),
                        help="write the best constants beside the simulator, after changes to it")
    parser.add_argument("--trace", metavar="WORDS", help="one scenario second by second; random:SEED for a random one")
    parser.add_argument("--only", metavar="WORDS", help="of the named ones only those with these words in the name")
    parser.add_argument("--seeds", choices=("tuning", "judging"), default="tuning")
    parser.add_argument("--first", type=int, default=0, help="skip so many seeds")
    parser.add_argument("--controllers", default="ours", help="all, ours, simple, or one's name")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="seconds between two lines of a trace")
    parser.add_argument("--until", type=float, default=1e9, help="last second of a trace")
    asked = parser.parse_args()
    groups = {"all": (*SIMPLE, OURS), "ours": (OURS,), "simple": SIMPLE}
    controllers = groups.get(asked.controllers, (asked.controllers,))
    if asked.trace is not None:
        trace(asked.trace, controllers[-1], asked.every, asked.until)
    elif asked.keep == "named":
        yardstick.keep(scenarios.ALL)
    elif asked.keep == "random":
        yardstick.keep(map(chance.draw, chance.JUDGING[:DRAWN]), yardstick.DRAWN)
    elif asked.best:
        for world in chosen(asked.only):
            found = [best(world, segment) for segment in world.segments]
            marks = ", ".join(f"{one.workers} ({one.rate:.2f}/s)" for one in found)
            print(f"{world.name}: near {world.best_near}; {marks}")
    elif asked.random:
        seeds = chance.TUNING if asked.seeds == "tuning" else chance.JUDGING
        at_random(asked.random, seeds[asked.first :], controllers, asked.processes)
    elif asked.fair:
        fairness.report(controllers[-1])
    else:
        named(asked.only, controllers, asked.processes)


if __name__ == "__main__":
    main()
