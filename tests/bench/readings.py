"""What a look at the machine costs with real processes: ours, beside one pass of psutil over the same table.

    python tests/bench/readings.py [--looks 120]

Prints one Markdown table, times in ms. Processes are forked from one small process and sleep; the looks follow each
other at once, with a clock that says a second passed, so that memory is read as often as in a daemon. `CPU` is the
time of the looking thread alone, the figure to quote of a machine that is busy otherwise. What is left out of the
peer's: PSS, CPU of ended children, pressure and groups. `strangers` are processes of others: known ones are read
again only now and then.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from gristmill.supervisor.edge.sampler import Sampler

MAKER = """
import os, signal, sys
workers, children = int(sys.argv[1]), int(sys.argv[2])
made = []
for _ in range(workers):
    pid = os.fork()
    if pid == 0:
        for _ in range(children):
            if os.fork() == 0:
                break
        while True:
            signal.pause()
    made.append(str(pid))
print(*made, flush=True)
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""


class Crowd:
    """Sleeping processes: so many workers below one process, with so many children each."""

    def __init__(self, workers: int, children: int) -> None:
        command = [sys.executable, "-I", "-S", "-c", MAKER, str(workers), str(children)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.workers = [int(word) for word in self.process.stdout.readline().split()]
        count = 1 + workers * (1 + children)
        while len(psutil.Process(self.process.pid).children(recursive=True)) + 1 < count:
            os.sched_yield()

    def close(self) -> None:
        self.process.communicate()


def timed(act: Callable[[], object], times: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Milliseconds of each of so many calls."""
    taken = []
    for _ in range(times):
        began = clock()
        act()
        taken.append(1000 * (clock() - began))
    return taken


def peer() -> int:
    """The same by psutil: one pass for parents, CPU and memory, and the machine's."""
    found = list(psutil.process_iter(["ppid", "cpu_times", "memory_info"]))
    psutil.cpu_times()
    psutil.virtual_memory()
    psutil.getloadavg()
    return len(found)


def measure(workers: int, children: int, strangers: int, looks: int) -> None:
    crowd, others = Crowd(workers, children), Crowd(strangers, 0) if strangers else None
    clock = iter(range(1, 1_000_000))
    try:
        with tempfile.TemporaryDirectory() as state:
            sampler = Sampler(Path(state), clock=lambda: float(next(clock)))
            ours = [crowd.process.pid]
            first = timed(lambda: sampler.look(ours, crowd.workers, []), 1)[0]
            taken = timed(lambda: sampler.look(ours, crowd.workers, []), looks)
            spent = timed(lambda: sampler.look(ours, crowd.workers, []), looks, time.thread_time)
            quick = timed(sampler.available, 200)
            seen = sampler.look(ours, crowd.workers, [])
            assert len(seen.trees) == workers
            sampler.close()
        theirs = timed(peer, max(3, looks // 10))
    finally:
        crowd.close()
        if others is not None:
            others.close()
    ordered, used = sorted(taken), sorted(spent)
    late = int(0.99 * (looks - 1))
    print(
        f"| {workers} × {children} | {strangers} | {first:.1f} | {statistics.mean(taken):.2f} | {ordered[late]:.2f} | "
        f"{statistics.mean(spent):.2f} | {used[late]:.2f} | {1000 * statistics.median(quick):.0f} | "
        f"{statistics.median(theirs):.1f} | {statistics.median(theirs) / statistics.median(taken):.1f} |", flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=int, default=120)
    options = parser.parse_args()
    print(f"{options.looks} looks, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}\n")
    print("| workers × children | strangers | first look | mean | p99 | CPU mean | CPU p99 | quick look µs | psutil | "
          "psutil : ours |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for workers, children, strangers in ((64, 3, 0), (64, 3, 2000), (512, 0, 0), (512, 3, 0)):
        measure(workers, children, strangers, options.looks)


if __name__ == "__main__":
    main()
