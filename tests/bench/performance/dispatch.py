"""Tasks a second: no-ops through a whole daemon, beside everything else that starts processes, in the same rounds.

The daemon does what it always does: a session, a journal and a durable record for each task, a log for one that writes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gristmill.supervisor.edge.client import Client
from tests.bench.performance import peers
from tests.bench.performance.ground import Ground, ground
from tests.bench.stories import peers as stories
from tests.bench.stories.rounds import Laps, interleave
from tests.bench.stories.tables import Bar, Table, bars

TRUE, ECHO = "/bin/true", "/bin/echo"
SLOW = {"tsp": 500, "parallel": 300, "nq": 200, "dask": 600, "huey": 400, "hq": 600, "ray": 600, "loky": 1000}
"""So many tasks are enough of those that take long for each."""
TSP = """export TS_SOCKET=$T/socket TS_MAXFINISHED=1000000; tsp -S {slots}
for ((i = 0; i < {tasks}; i++)); do tsp -n {program}; done
for ((i = {tasks} - {slots}; i < {tasks}; i++)); do tsp -w $i; done; tsp -K"""
NQ = "export NQDIR=$T; for ((i = 0; i < {tasks}; i++)); do nq {program}; done; nq -w"

Contestants = dict[str, Callable[[], float]]


def part(compact: bool) -> list[Table]:
    """All tables."""
    sizes = [2000] if compact else [2000, 20_000]
    rounds = 3 if compact else 5
    absent = [words for name in (*peers.TOOLS, *peers.QUEUES) if (words := peers.missing(name))]
    tables, kept = [], []
    for slots in (8,) if compact else (2, 8):
        for tasks in sizes:
            with ground("--limit", str(slots)) as mill:
                table, row = _round(mill, slots, tasks, rounds, absent if tasks == 2000 else None)
                tables.append(table)
                kept.append(row)
    worst = {what: min(row[what] for row in kept) for what in kept[0]}
    cost = max(row["cpu"] for row in kept)
    hold = held(2000 if compact else 20_000)
    tables.append(bars([
        Bar("silent tasks, of `xargs -P`", f"{worst['silent']:.2f}", "≥ 2.0", worst["silent"] >= 2.0),
        Bar("tasks that write a line, of `xargs -P`", f"{worst['line']:.2f}", "≥ 1.0", worst["line"] >= 1.0),
        Bar("the same, of a C program with vfork and logs", f"{worst['c']:.2f}", "≥ 0.7", worst["c"] >= 0.7),
        Bar("silent tasks, of the fastest queue or pool", f"{worst['best']:.2f}", "> 1", worst["best"] > 1),
        Bar("CPU of all our processes, ms a silent task", f"{cost:.2f}", "≤ 0.35", cost <= 0.35),
        Bar("a turn of the event loop meanwhile, p99, ms of the CPU", f"{hold[1]:.1f}", "≤ 5", hold[1] <= 5),
        Bar("the same by the clock, others' turns at the core included", f"{hold[0]:.1f}"),
    ]))
    notes = "Not there: " + "; ".join(dict.fromkeys(absent)) + "." if absent else "All peers were there."
    return [*tables[:-1], tables[-1]._replace(notes=notes)]


def _round(
    mill: Ground, slots: int, tasks: int, rounds: int, absent: list[str] | None
) -> tuple[Table, dict[str, float]]:
    """The table of one number of slots and tasks, and what the bars are about; without `absent` no queue is asked."""
    costs: dict[str, list[float]] = {"silent": [], "line": []}

    def ours(load: str, command: str) -> float:
        rate, cpu = mill.run(command, tasks)
        costs[load].append(cpu)
        return rate

    silent, line = f'["{TRUE}"]', f'["{ECHO}", "{{index}}"]'
    mill.run(silent, tasks // 10)
    mill.run(line, tasks // 10)
    contestants: Contestants = {
        "gristmill": lambda: ours("silent", silent), "gristmill, a line each": lambda: ours("line", line),
        **_plain(mill, slots, tasks), **(_queues(mill, slots, tasks, absent) if absent is not None else {}),
    }
    laps = interleave(f"dispatch, {slots} slots", contestants, rounds)
    rows = [_row(laps, name, costs) for name in contestants]
    others = [name for name in contestants if not name.startswith(("gristmill", "xargs", "C vfork"))]
    best = laps.most(*others)
    notes = "nq runs one at a time. " if "nq" in contestants else ""
    caption = f"{tasks:,} tasks, {slots} slots, {rounds} rounds"
    head = ("", "tasks/s", "of xargs", "min – max", "gristmill : it", "others' CPU", "our CPU ms a task")
    table = Table(caption, head, rows, notes + "Ratios are medians round by round.")
    return table, {
        "silent": laps.ratio("gristmill", "xargs"), "line": laps.ratio("gristmill, a line each", "xargs, a line each"),
        "c": laps.ratio("gristmill, a line each", "C vfork, a line each"), "best": laps.ratio("gristmill", best),
        "cpu": statistics.median(costs["silent"]),
    }


def _row(laps: Laps, name: str, costs: dict[str, list[float]]) -> tuple[str | float | None, ...]:
    lined = name.endswith("a line each")
    base = "xargs, a line each" if lined else "xargs"
    ratios = laps.ratios(name, base)
    cost = {"gristmill": costs["silent"], "gristmill, a line each": costs["line"]}.get(name)
    return (name, laps.median(name), laps.ratio(name, base), f"{min(ratios):.2f} – {max(ratios):.2f}",
            laps.ratio("gristmill, a line each" if lined else "gristmill", name), f"{laps.foreign(name):.2f}",
            statistics.median(cost) if cost else None)


def _plain(mill: Ground, slots: int, tasks: int) -> Contestants:
    """What keeps no queue: xargs, C, Go."""
    spawn, channel = peers.c("spawn.c"), peers.go("channel.go")
    lines = {
        "xargs": f"seq {tasks} | xargs -P {slots} -n 1 {TRUE}",
        "xargs, a line each": f"seq {tasks} | xargs -P {slots} -n 1 {ECHO}",
        "C vfork": f"{spawn} {slots} {tasks} - {TRUE}",
        "C vfork, a line each": f"{spawn} {slots} {tasks} $T {ECHO} 1",
    }
    if channel is not None:
        lines["Go, a channel"] = f"{channel} {slots} {tasks} {TRUE}"
    return {name: partial(_rate, mill, line, tasks) for name, line in lines.items()}


def _queues(mill: Ground, slots: int, tasks: int, absent: list[str]) -> Contestants:
    """Queues and pools, those that are there; `absent` is told why others are not."""
    found: Contestants = {}
    lines = {"tsp": TSP, "nq": NQ, "parallel": "seq {tasks} | parallel --will-cite -j {slots} {program}"}
    for name, line in lines.items():
        if not peers.missing(name):
            count = min(tasks, SLOW[name])
            text = line.format(slots=slots, tasks=count, program=TRUE)
            found[name] = partial(_rate, mill, text, count)
    for name in peers.QUEUES:
        if not peers.missing(name):
            found[name] = partial(_queue, mill.base, name, slots, min(tasks, SLOW[name]))
    for name in list(found):
        try:
            found[name]()  # once before it counts
        except (SystemExit, subprocess.SubprocessError) as fault:
            del found[name]
            absent.append(f"{name} does not run: {str(fault).strip().splitlines()[-1][:200]}")
    return found


def _rate(mill: Ground, line: str, tasks: int) -> float:
    return tasks / mill.shell(line)


def _queue(base: Path, name: str, slots: int, tasks: int) -> float:
    folder = base / f"{name}-{len(list(base.iterdir()))}"
    folder.mkdir()
    program = str(peers.c("stamp.c")) if name == "hq" else TRUE
    argv = [str(peers.python()), str(peers.PROGRAMS / "queues.py"), name, str(slots), str(tasks), str(folder)]
    env = {**stories.environment(), "PROGRAM": program, "RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False,
                          start_new_session=True)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def held(tasks: int) -> tuple[float, float]:
    """p99 of the turns of the event loop while so many tasks run, ms: (by the clock, of the CPU)."""
    with ground(started=False) as mill:
        file = mill.base / "turns"
        where = ["--jobs", str(mill.jobs), "--state", str(mill.state), "--allow-root", "--quiet", "--limit", "8"]
        mill.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("turns.py")), str(file), "daemon", *where],
            stdout=subprocess.PIPE, text=True, env=mill.env, cwd=mill.base,
        )
        mill.ready()
        with Client(mill.state / "socket") as client:
            client.ask("status")
        mill.run(f'["{TRUE}"]', tasks)
        mill.stop()
        turns = [tuple(map(float, line.split())) for line in file.read_text().splitlines()]
    late = int(0.99 * (len(turns) - 1))
    return (1000 * sorted(wall for wall, _ in turns)[late], 1000 * sorted(cpu for _, cpu in turns)[late])
