"""Tasks that need cores and hardly any memory: sleepers, burners, and the story of 15-minute tasks that half wait."""

from __future__ import annotations

import statistics
import time

from tests.bench.governor import machine
from tests.bench.governor.rows import Row
from tests.bench.governor.tape import Load, Tape
from tests.bench.governor.trial import Bench, by_hand, rest_until, trial

BURNER = Load("burner", steps=20, cpu=0.1)


def sleepers(bench: Bench) -> list[Row]:
    """200 × `sleep 1`: tasks finished a second over the first 30 s, or until all are."""
    tasks, least = 200, 6 * machine.cores()
    with trial(bench) as mill:
        mill.drop("sleepers.toml", f'command = "exec sleep 1"\n[items]\ntotal = {tasks}\nper_task = 1\n')
        mill.watch()
        end = rest_until(mill.began + 30, lambda: bool(mill.job("sleepers").get("ended_at")))
        done = mill.job("sleepers")["items_done"]
        mill.save("sleepers")
        most = max(look.limit for look in mill.looks)
    rate = done / (end - mill.began)
    return [
        Row("sleepers", f"tasks a second over {end - mill.began:.0f} s", f"{rate:.1f}", f"> {least}", rate > least),
        Row("sleepers", "highest limit", str(most)),
    ]


def burners(bench: Bench) -> list[Row]:
    """CPU-bound tasks of 2 s beside `xargs -P cores`, in turn, in windows of the same length."""
    window, ramp, rounds, cores = bench.size(60, 20), bench.size(15, 8), 1 if bench.compact else 2, machine.cores()
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    limits: list[int] = []

    def ours(number: int) -> tuple[float, float]:
        with trial(bench) as mill:
            mill.put(BURNER)
            mill.watch()
            end = rest_until(mill.began + window)
            mill.save(f"burners-{number}")
            limits.extend(look.limit for look in mill.between(mill.began + ramp, end))
            return _rates(Tape(mill.tape), BURNER, mill.began, ramp, end)

    def theirs() -> tuple[float, float]:
        with by_hand(bench, BURNER, cores) as (_, tape):
            began = time.monotonic()
            end = rest_until(began + window)
            return _rates(Tape(tape), BURNER, began, ramp, end)

    for number in range(rounds):
        if number % 2:
            other = theirs()
            pairs.append((ours(number), other))
        else:
            pairs.append((ours(number), theirs()))
    whole, after = (statistics.mean(us[at] / them[at] for us, them in pairs) for at in (0, 1))
    usual = statistics.median(limits)
    per = [f"{us[1] / them[1]:.3f}" for us, them in pairs]
    return [
        Row("burners", f"limit after {ramp:.0f} s, median (extremes)", f"{usual:g} ({min(limits)}–{max(limits)})",
            f"{cores} ± 1", abs(usual - cores) <= 1),
        Row("burners", f"throughput of `xargs -P {cores}`, without the first {ramp:.0f} s",
            f"{after:.3f} (rounds {', '.join(per)})", "≥ 0.95", after >= 0.95),
        Row("burners", f"the same, all {window:.0f} s", f"{whole:.3f}"),
    ]


def story(bench: Bench) -> list[Row]:
    """Tasks that compute half of the time: time until all have ended, beside fixed numbers by hand."""
    steps, tasks = (30, 32) if not bench.compact else (8, 16)
    load = Load("story", steps, cpu=0.25, wait=0.25)
    cores = machine.cores()
    times: dict[int, float] = {}
    with trial(bench) as mill:
        mill.put(load, tasks)
        mill.watch()
        ours = rest_until(mill.began + 600, lambda: bool(mill.job("story").get("ended_at"))) - mill.began
        mill.save("story")
        limits, change = mill.limits(mill.began, mill.began + ours), len({look.limit for look in mill.looks})
    for slots in (2 * cores, 3 * cores, tasks):
        with by_hand(bench, load, slots, tasks) as (child, _):
            began = time.monotonic()
            child.wait()
            times[slots] = time.monotonic() - began
    best = min(times, key=times.__getitem__)
    hand = ", ".join(f"{slots}: {wall:.1f} s" for slots, wall in times.items())
    return [
        Row("story", f"time of the best number by hand ({best}), as a share of ours", f"{times[best] / ours:.3f}",
            "≥ 0.9", times[best] / ours >= 0.9),
        Row("story", f"ours {ours:.1f} s; by hand {hand}", f"limit {limits}, {change} different"),
    ]


def _rates(tape: Tape, load: Load, began: float, ramp: float, end: float) -> tuple[float, float]:
    """(work a second over all, without the ramp)."""
    return (
        tape.done([load], began, end) / (end - began),
        tape.done([load], began + ramp, end) / (end - began - ramp),
    )
