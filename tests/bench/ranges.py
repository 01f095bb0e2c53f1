"""Ranges that the daemon chooses: what handing them out costs, what is kept of ten million items, how a job ends.

    python tests/bench/ranges.py [--seconds 20] [--rounds 3] [--workers 8] [--items 10000000]

1. The same work by a plain loop in one process and by one worker in ranges of about a second, in turns: what the second
   takes more, in percent. As calls, and as commands, where each range starts an interpreter.
2. Ten million items: the most rows that the store held of them, and what the daemon's memory grew by.
3. Items of which the last tenth takes ten times as long, slept and not computed so that other load matters less: wall
   time in parts of the ideal one (all items shared evenly to the end), for chosen ranges and for fixed numbers a task.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.daemon import Daemon

MODULE = '''
import sys
import time

STEPS = {steps}
HEAVY = {heavy}


def item(index):
    total = 0
    for step in range(STEPS):
        total += step ^ index
    return total


def loop(start, count):
    for index in range(start, start + count):
        item(index)


def nap(start, count):
    time.sleep(1e-5 * count)


def uneven(start, count):
    heavy = max(0, start + count - max(HEAVY, start))
    time.sleep(0.02 * heavy + 0.002 * (count - heavy))


if __name__ == "__main__":
    loop(int(sys.argv[1]), int(sys.argv[2]))
'''


class Mill(Daemon):
    """A daemon beside a module that does the work."""

    def __init__(self, base: Path, workers: int, module: str) -> None:
        super().__init__(base, workers)
        (base / "work.py").write_text(module)

    def ranges(self, name: str, what: str, items: str) -> tuple[float, int]:
        """(seconds from the first start to the last end, tasks)."""
        seen = self.job(f'name = "{name}"\n{what}\n[items]\n{items}\n[resources]\nmemory = "16 MiB"\n')
        return seen["ended_at"] - seen["started_at"], seen["tasks"]

    def rows(self) -> int:
        """Rows of the table of tasks."""
        with closing(sqlite3.connect(f"file:{self.state}/queue.db?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM tasks").fetchone()[0])

    def memory(self) -> int:
        """Bytes that the daemon keeps to itself."""
        text = Path("/proc", str(self.process.pid), "smaps_rollup").read_text()
        return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


CALL = 'call = "work:{name}"\nisolation = "reuse"'
COMMAND = f'command = "{sys.executable} work.py {{start}} {{count}}"'


def module_of(seconds_each: float) -> str:
    """The module, its items as long as is asked for on this machine."""
    steps, began = 20_000, time.process_time()
    total = 0
    for _ in range(50):
        for step in range(steps):
            total += step ^ 7
    spent = (time.process_time() - began) / 50
    return module(steps=max(1, round(steps * seconds_each / spent)))


def module(steps: int = 1, heavy: int = 0) -> str:
    """The module, with items of so many steps, of which those from `heavy` on sleep longer."""
    return MODULE.replace("{steps}", str(steps)).replace("{heavy}", str(heavy))


def cost(base: Path, seconds: float, rounds: int) -> None:
    """Part 1."""
    each = 0.002
    items = round(seconds / each)
    daemon = Mill(base, 1, module_of(each))
    try:
        for name, what in (("calls", CALL.replace("{name}", "loop")), ("commands", COMMAND)):
            daemon.ranges(name, what, f"total = {items // 4}\nper_task = \"auto\"")
            more, tasks = [], 0
            for _ in range(rounds):
                began = time.perf_counter()
                subprocess.run([sys.executable, "work.py", "0", str(items)], cwd=base, check=True)
                plain = time.perf_counter() - began
                ours, tasks = daemon.ranges(name, what, f"total = {items}\nper_task = \"auto\"")
                more.append(100 * (ours / plain - 1))
            print(f"| ranges as {name} | {tasks} | {statistics.median(more):+.2f} % "
                  f"({min(more):+.2f} – {max(more):+.2f}) |", flush=True)
    finally:
        daemon.close()


def kept(base: Path, items: int) -> None:
    """Part 2."""
    daemon = Mill(base, 16, module())
    try:
        daemon.ranges("before", CALL.replace("{name}", "nap"), 'total = 1000\nper_task = "auto"')
        before, before_rows = daemon.memory(), daemon.rows()
        most_rows, most = 0, 0
        over = threading.Event()

        def watch() -> None:
            nonlocal most_rows, most
            while not over.wait(0.1):
                most_rows, most = max(most_rows, daemon.rows() - before_rows), max(most, daemon.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        seconds, tasks = daemon.ranges("many", CALL.replace("{name}", "nap"), f'total = {items}\nper_task = "auto"')
        over.set()
        watcher.join()
        print(f"{items:,} items in {tasks:,} tasks and {seconds:.1f} s on 16 workers: {most_rows} rows at most, "
              f"{daemon.rows() - before_rows} in the end; the daemon grew by {(most - before) / 1e6:+.1f} MB at most "
              f"(from {before / 1e6:.0f} MB)\n", flush=True)
    finally:
        daemon.close()


def tails(base: Path, workers: int, rounds: int) -> None:
    """Part 3."""
    items = 5000 * workers
    ideal = (0.02 * 0.1 + 0.002 * 0.9) * items / workers
    daemon = Mill(base, workers, module(heavy=items * 9 // 10))
    try:
        choices = {"chosen": "\"auto\"", "an even share": str(items // workers), "500 each": "500", "50 each": "50"}
        for name, per_task in choices.items():
            taken = []
            call = CALL.replace("{name}", "uneven")
            for _ in range(rounds):
                seconds, tasks = daemon.ranges(name.replace(" ", "-"), call, f"total = {items}\nper_task = {per_task}")
                taken.append(seconds / ideal)
            print(f"| {name} | {tasks} | {statistics.median(taken):.2f} "
                  f"({min(taken):.2f} – {max(taken):.2f}) |", flush=True)
    finally:
        daemon.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--items", type=int, default=10_000_000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the daemon is ended as well
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, {options.rounds} rounds\n")
    with tempfile.TemporaryDirectory() as base:
        print(f"| one worker, {options.seconds:g} s of work | tasks | more than a plain loop (min – max) |")
        print("|---|---|---|")
        cost(Path(base, "cost"), options.seconds, options.rounds)
        print()
        kept(Path(base, "kept"), options.items)
        print(f"| {options.workers} workers, uneven items | tasks | wall time / ideal (min – max) |\n|---|---|---|")
        tails(Path(base, "tails"), options.workers, options.rounds)


if __name__ == "__main__":
    main()
