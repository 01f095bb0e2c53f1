"""Tasks that need memory: hogs that creep to 3 GB, and two kinds of model training side by side."""

from __future__ import annotations

import time

from tests.bench.governor import machine
from tests.bench.governor.rows import Row
from tests.bench.governor.tape import Load, Tape
from tests.bench.governor.trial import Bench, by_hand, rest_until, trial


def hog(bench: Bench) -> Load:
    """From 1 to 3 GB over 20 s."""
    return Load("hog", steps=40, cpu=0.005, wait=bench.size(0.5, 0.21) - 0.005, first=1000, last=3000)


def hogs(bench: Bench) -> list[Row]:
    """Hogs beside `xargs -P N`, for the greatest N that memory holds by arithmetic and the one below: what somebody
    finds by hand who knows how far they grow."""
    load, window, learn = hog(bench), bench.size(120, 24), bench.size(80, 20)
    room = int((machine.available() - max(0.05 * machine.total(), 0.25e9)) / (3000 << 20))
    rows = []
    with trial(bench) as mill:
        mill.put(load)
        mill.watch()
        begin, end = mill.began + learn + window / 4, rest_until(mill.began + learn + window)
        ours = Tape(mill.tape).done([load], begin, end) / (end - begin)
        whole = Tape(mill.tape).done([load], mill.began, end) / (end - mill.began)
        kills = mill.killed()
        rows.append(Row("hogs", f"governor: {mill.harm()}",
                        f"{ours:.2f} s of work a second, limit {mill.limits(begin, end)}", "no kill", not kills))
        mill.save("hogs")
    theirs: dict[int, float] = {}
    for slots in (number for number in (room - 1, room) if number > 0):
        before = machine.oom_kills()
        with by_hand(bench, load, slots) as (_, tape):
            began = time.monotonic()
            end = rest_until(began + window)
            rate = Tape(tape).done([load], began + window / 4, end) / (end - began - window / 4)
        killed = machine.oom_kills() - before
        rows.append(Row("hogs", f"`xargs -P {slots}`: {killed} kills by the kernel", f"{rate:.2f} s of work a second"))
        if not killed:
            theirs[slots] = rate
    best = max(theirs, key=theirs.__getitem__, default=None)
    if best is None:
        return [*rows, Row("hogs", "no number by hand came through unharmed", "")]
    return [
        *rows,
        Row("hogs", f"throughput of `xargs -P {best}`, without the first {learn + window / 4:.0f} s",
            f"{ours / theirs[best]:.3f}", "≥ 0.9", ours >= 0.9 * theirs[best]),
        Row("hogs", f"the same, all {learn + window:.0f} s", f"{whole / theirs[best]:.3f}"),
    ]


def mixed(bench: Bench) -> list[Row]:
    """Small tasks that need a core, and creeping ones that need a third of one."""
    scale = bench.size(1, 0.5)
    small = Load("forward", steps=20, cpu=0.2 * scale, first=300, last=300)
    creeping = Load("lstm", steps=40, cpu=0.1 * scale, wait=0.2 * scale, first=200, last=1500)
    cores = machine.cores()
    numbers = [cores, cores + 1] if bench.compact else [cores, cores + 1, 2 * cores]
    return _against(bench, "mixed", [small, creeping], numbers, bench.size(90, 18), bench.size(40, 12))


def _against(bench: Bench, name: str, loads: list[Load], numbers: list[int], window: float, learn: float) -> list[Row]:
    """The governor's throughput as a share of that of the best fixed number that harmed nobody.

    The governor gets `learn` seconds more than the fixed numbers; they fill the first quarter of their window.
    """
    found: dict[str, tuple[float, float]] = {}
    rows, unharmed = [], []
    for who in ("auto", *map(str, numbers)):
        auto = who == "auto"
        with trial(bench, *([] if auto else ["--limit", who])) as mill:
            for load in loads:
                mill.put(load)
            mill.watch()
            ramp = window / 4 + (learn if auto else 0.0)
            end = rest_until(mill.began + window + (learn if auto else 0.0))
            tape = Tape(mill.tape)
            found[who] = (tape.done(loads, mill.began, end) / (end - mill.began),
                          tape.done(loads, mill.began + ramp, end) / (end - mill.began - ramp))
            kills = mill.killed()
            if not kills and not auto:
                unharmed.append(who)
            limits = mill.limits(mill.began + ramp, end)
            rows.append(Row(name, f"{'governor' if auto else f'fixed at {who}'}: {mill.harm()}",
                            f"{found[who][1]:.2f} s of work a second, limit {limits}",
                            "no kill" if auto else "", not kills if auto else None))
            mill.save(f"{name}-{who}")
    if not unharmed:
        return [*rows, Row(name, "no fixed number came through unharmed", "")]
    best = max(unharmed, key=lambda who: found[who][1])
    whole, ratio = (each / max(1e-9, found[best][1]) for each in found["auto"])
    return [
        *rows,
        Row(name, f"throughput of the best fixed number ({best}), without the first {learn + window / 4:.0f} s",
            f"{ratio:.3f}", "≥ 0.9", ratio >= 0.9),
        Row(name, f"the same, all {learn + window:.0f} s", f"{whole:.3f}"),
    ]
