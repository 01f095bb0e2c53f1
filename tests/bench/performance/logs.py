"""What it costs that tasks write much, and what is left of those that write nothing."""

from __future__ import annotations

import sys
import time

from tests.bench.performance import process
from tests.bench.performance.ground import CLAIM, ground
from tests.bench.stories.tables import Bar, Table, bars

WRITERS, MB_S = 8, 25
WRITER = f"""
import os, time
block = b"x" * 127 + b"\\n"
block *= 2048
due = time.monotonic()
while True:
    os.write(1, block)
    due += len(block) / {MB_S}e6
    time.sleep(max(0.0, due - time.monotonic()))
"""
BOUND = "256 MiB"
"""Of what a log keeps; more is written than that, as by a task that has gone mad."""


def part(compact: bool) -> list[Table]:
    """All tables."""
    seconds, silent = (10.0, 1000) if compact else (30.0, 10_000)
    with ground("--limit", str(WRITERS)) as mill:
        mill.run('["/bin/true"]', silent)
        left = sum(path.is_file() for path in (mill.state / "logs").rglob("*"))
        program = mill.base / "writer.py"
        program.write_text(WRITER)
        command = f'command = ["{sys.executable}", "{program}"]\n[limits]\nlog = "{BOUND}"\n'
        mill.drop("writers.toml", f"{command}[items]\ntotal = {WRITERS}\nper_task = 1\n{CLAIM}")
        mill.running("writers", WRITERS)
        time.sleep(1.0)
        others = process.ours(mill.pid)[1:]
        began, cpu, rest = time.monotonic(), process.cpu_s(mill.pid), process.cpu_of(others)
        written = _written(mill.pid)
        time.sleep(seconds)
        wall = time.monotonic() - began
        daemon = 100 * (process.cpu_s(mill.pid) - cpu) / wall
        workers = 100 * (process.cpu_of(others) - rest) / wall
        rate = (_written(mill.pid) - written) / wall / 1e6
        mill.grist("cancel", "writers")
        mill.ended("writers")
    return [
        Table(f"{WRITERS} tasks that write all the time, {seconds:.0f} s, of each log {BOUND} kept",
              ("MB/s in all", "daemon, % of a core", "all workers, % of a core"), [(rate, daemon, workers)]),
        bars([
            Bar(f"daemon while {rate:.0f} MB/s are written, % of a core", f"{daemon:.2f}", "< 2", daemon < 2),
            Bar(f"files of {silent:,} tasks that wrote nothing", str(left), "0", left == 0),
        ]),
    ]


def _written(daemon: int) -> float:
    """Bytes that the tasks have written."""
    total = 0
    for worker in process.ours(daemon)[2:]:
        for task in process.children(worker):
            with open(f"/proc/{task}/io") as file:
                total += next(int(line.split()[1]) for line in file if line.startswith("wchar"))
    return float(total)
