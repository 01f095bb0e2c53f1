"""Tasks that need memory: hogs that creep to 3 GB, and two kinds of model training side by side."""

from __future__ import annotations

from tests.bench.governor import machine
from tests.bench.governor.rows import Row
from tests.bench.governor.tape import Load, Tape
from tests.bench.governor.trial import Bench, rest_until, trial


def hog(bench: Bench) -> Load:
    """From 1 to 3 GB over 20 s."""
    return Load("hog", steps=40, cpu=0.005, wait=bench.size(0.5, 0.21) - 0.005, first=1000, last=3000)


def hogs(bench: Bench) -> list[Row]:
    """Hogs against fixed numbers around what memory holds."""
    room = int((machine.available() - max(0.05 * machine.total(), 0.25e9)) / (3000 << 20))
    numbers = [n for n in (room - 1, room, room + 1) if n > 0]
    return _against(bench, "hogs", [hog(bench)], numbers, bench.size(120, 24), bench.size(80, 20))


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
