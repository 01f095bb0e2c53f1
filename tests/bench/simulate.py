"""The governor on the simulated machine, beside six simple controllers and the best constant number of workers.

    python tests/bench/simulate.py --named [--controllers all|ours|simple] [--only WORDS]
    python tests/bench/simulate.py --random 500 --seeds judging [--processes 2]
    python tests/bench/simulate.py --trace WORDS [--every 5]
    python tests/bench/simulate.py --best [--only WORDS]

Prints one Markdown table. Seeds are kept apart: what is tuned on `tuning` is reported on `judging` too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.simulator import chance, fairness, scenarios  # noqa: E402
from tests.simulator.controllers import OURS, SIMPLE, make  # noqa: E402
from tests.simulator.run import run  # noqa: E402
from tests.simulator.score import Score, score  # noqa: E402
from tests.simulator.world import GB, Scenario  # noqa: E402
from tests.simulator.yardstick import best  # noqa: E402

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
        raise SystemExit(f"No scenario is called anything like {words!r}: {', '.join(one.name for one in scenarios.ALL)}")
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
    head = ["scenario (best N)", *controllers, *(("whole", "90 % after", "wasted", "changes/min", "harm") if more else ())]
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
    head = ("controller", "steady 5th %", "median", "whole median", "OOM runs", "wasted mean", "changes/min 95th",
            "harm 95th", "90 % after, median")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for controller, results in by_controller.items():
        def of(value: Callable[[Score], float], share: float, results: list[Score] = results) -> float:
            return float(np.quantile([value(one) for one in results], share))

        cells = (
            controller, f"{100 * of(lambda one: one.steady, 0.05):.0f}", f"{100 * of(lambda one: one.steady, 0.5):.0f}",
            f"{100 * of(lambda one: one.whole, 0.5):.0f}",
            f"{100 * statistics.mean(one.ooms > 0 for one in results):.1f} %",
            f"{100 * statistics.mean(one.wasted for one in results):.2f} %",
            f"{of(lambda one: one.changes, 0.95):.1f}", f"{100 * of(lambda one: one.harm, 0.95):.0f} %",
            f"{statistics.median(one.reached for one in results):.0f} s",
        )
        print("| " + " | ".join(cells) + " |")
    if OURS in by_controller:
        results = by_controller[OURS]
        worst = sorted(results, key=lambda one: one.steady)[:12]
        print("\nlowest: " + ", ".join(f"{one.name} {100 * one.steady:.0f}" for one in worst))
        print("OOM: " + (", ".join(one.name for one in results if one.ooms) or "none"))
        for word, value in (("wasted", lambda one: one.wasted), ("harm", lambda one: one.harm)):
            top = sorted(results, key=value, reverse=True)[:6]
            print(f"{word}: " + ", ".join(f"{one.name} {100 * value(one):.1f} %" for one in top))
        print("changes/min: " + ", ".join(f"{one.name} {one.changes:.0f}"
                                          for one in sorted(results, key=lambda one: -one.changes)[:6]))


def trace(words: str, controller: str, every: int, until: float) -> None:
    """A line a second: what was decided and what came of it, in per cent of the best of its segment."""
    world = chosen(words)[0]
    marks = [(segment, best(world, segment)) for segment in world.segments]
    print(f"{world.name}: {world.hardware}")
    for kind in world.kinds:
        print(f"  {kind}")
    for one in world.neighbours:
        print(f"  {one}")
    for segment, mark in marks:
        print(f"  best from {segment[0]:.0f} to {segment[1]:.0f} s: {mark.workers} workers, {mark.rate:.2f} s of work a second")
    print("     s limit busy stop  done %  cpu % others  free GB queued bound     reason")
    last = [0.0, 0.0, 0.0, 0.0, 0.0]

    def show(machine, pool, decision) -> None:  # type: ignore[no-untyped-def]
        if pool or machine.now > until or machine.now < last[0] + every:
            return
        now, useful, cpu, others, ooms = (machine.now, machine.useful.sum(), machine.cpu.sum(),
                                          machine.others_cpu + machine.niced_cpu, machine.ooms)
        span = max(now - last[0], 0.25)
        mark = next((mark for (begin, end), mark in marks if begin <= now < end), marks[-1][1])
        stopped = int(machine.table[11, : machine.count].sum())
        marks_here = ("OOM " if ooms > last[4] else "") + (f"kill {len(decision.kill)} " if decision.kill else "")
        cores = machine.hardware.cores
        print(f"{now:6.1f} {decision.limit:5d} {machine.busy[0]:4d} {stopped:4d}"
              f" {100 * (useful - last[1]) / span / max(mark.rate, 1e-9):7.1f} {100 * (cpu - last[2]) / span / cores:6.1f}"
              f" {100 * (others - last[3]) / span / cores:6.1f} {machine.available / GB:8.2f}"
              f" {min(sum(queue.waiting for queue in machine.queues), 999999):6d} {decision.binding:9s} {marks_here}{decision.reason}")
        last[:] = now, useful, cpu, others, ooms

    began = time.perf_counter()
    controllers = [make(controller, world.hardware.cores) for _ in range(world.pools)]
    run(world, controllers, watch=show)
    print(f"{world.duration / (time.perf_counter() - began):.0f} × real time\n{score(world, controller)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--named", action="store_true", help="the named scenarios")
    parser.add_argument("--random", type=int, metavar="N", help="so many random scenarios")
    parser.add_argument("--fair", action="store_true", help="two governors on one machine")
    parser.add_argument("--best", action="store_true", help="the best constants of the named scenarios")
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
    elif asked.best:
        for world in chosen(asked.only):
            found = [best(world, segment) for segment in world.segments]
            print(f"{world.name}: near {world.best_near}; " + ", ".join(f"{one.workers} ({one.rate:.2f}/s)" for one in found))
    elif asked.random:
        seeds = chance.TUNING if asked.seeds == "tuning" else chance.JUDGING
        at_random(asked.random, seeds[asked.first :], controllers, asked.processes)
    elif asked.fair:
        fairness.report(controllers[-1])
    else:
        named(asked.only, controllers, asked.processes)


if __name__ == "__main__":
    main()
