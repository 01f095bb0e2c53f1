"""Tasks that need memory: hogs that creep to 3 GB, and two kinds of model training side by side."""

from __future__ import annotations

from tests.bench.governor import machine
from tests.bench.governor.rows import Row
from tests.bench.governor.tape import Load, Tape
from tests.bench.governor.trial import Bench, rest_until, trial


def hog(bench: Bench) -> Load:
    """From 1 to 3 GB over 20 s."""
    return Load("hog", steps=40, cpu=0.005, wait=bench.size(0.5, 0.15) - 0.005, first=1000, last=3000)


def hogs(bench: Bench) -> list[Row]:
    """Hogs against fixed numbers around what memory holds."""
    room = int((machine.available() - max(0.05 * machine.total(), 0.25e9)) / (3000 << 20))
    numbers = [n for n in (room - 1, room, room + 1) if n > 0]
    return _against(bench, "hogs", [hog(bench)], numbers, bench.size(120, 24), bench.size(40, 8))


def mixed(bench: Bench) -> list[Row]:
    """Small tasks that need a core, and creeping ones that need a third of one."""
    scale = bench.size(1, 0.5)
    small = Load("forward", steps=20, cpu=0.2 * scale, first=300, last=300)
    creeping = Load("lstm", steps=40, cpu=0.1 * scale, wait=0.2 * scale, first=200, last=1500)
    cores = machine.cores()
    return _against(bench, "mixed", [small, creeping], [cores, cores + 1, 2 * cores],
                    bench.size(90, 20), bench.size(30, 8))


def _against(bench: Bench, name: str, loads: list[Load], numbers: list[int], window: float, ramp: float) -> list[Row]:
    """The governor's throughput as a share of that of the best fixed number that harmed nobody."""
    found: dict[str, tuple[float, float]] = {}
    rows, unharmed = [], []
    for who in ("auto", *map(str, numbers)):
        with trial(bench, *(["--limit", who] if who != "auto" else [])) as mill:
            for load in loads:
                mill.put(load)
            mill.watch()
            end = rest_until(mill.began + window)
            tape = Tape(mill.tape)
            found[who] = (tape.done(loads, mill.began, end) / (end - mill.began),
                          tape.done(loads, mill.began + ramp, end) / (end - mill.began - ramp))
            kills = mill.killed()
            if not kills and who != "auto":
                unharmed.append(who)
            limits = mill.limits(mill.began + ramp, end)
            rows.append(Row(name, f"{'governor' if who == 'auto' else f'fixed at {who}'}: {mill.harm()}",
                            f"{found[who][1]:.2f} s of work a second, limit {limits}",
                            "no kill" if who == "auto" else "", not kills if who == "auto" else None))
            mill.save(f"{name}-{who}")
    if not unharmed:
        return [*rows, Row(name, "no fixed number came through unharmed", "")]
    for at, words in ((1, f"without the first {ramp:.0f} s"), (0, f"all {window:.0f} s")):
        best = max(unharmed, key=lambda who: found[who][at])
        ratio = found["auto"][at] / max(1e-9, found[best][at])
        rows.append(Row(name, f"throughput of the best fixed number ({best}), {words}", f"{ratio:.3f}",
                        "≥ 0.9" if at else "", ratio >= 0.9 if at else None))
    return rows
