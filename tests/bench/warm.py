"""Calls in an interpreter that is warm, beside cold starts and loky's processes, and the memory that they share.

    python tests/bench/warm.py [--rounds 3] [--calls 1000] [--slots 2] [--memory-only]

Prints two Markdown tables. The first: one call of `numpy.ones(10).sum()` a task, for the peers a task, a call, or (in
batches of 100) an item; every round runs all of them, and the ratios are medians round by round. Ours does what it
always does: a durable record, a log and a result for every task. The second: what a 400 MB array costs that eight
workers have read all of, as proportional set sizes of all processes together. Needs numpy; loky is named as missing
where it is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gristmill.supervisor.edge.client import Client
from tests.bench.daemon import Daemon
from tests.bench.governor.machine import descendants
from tests.bench.stories.pss import pss

MODULE = """
import os, time
import numpy

TABLE = None

def load():
    global TABLE
    TABLE = numpy.random.default_rng(0).random(50_000_000)  # 400 MB

def add(index):
    return float(numpy.ones(10).sum())

def add_many(start, count):
    return sum(float(numpy.ones(10).sum()) for _ in range(count))

def read(index):
    found = float(TABLE.sum())
    open(f"read-{index}", "w").close()
    while not os.path.exists("go"):
        time.sleep(0.05)
    return found
"""
COLD = "import numpy; numpy.ones(10).sum()"
COPY = """
import os, sys, time
sys.path.insert(0, ".")
import bench_warm
bench_warm.load()
bench_warm.read(int(sys.argv[1]))
"""
LOKY = """
import sys, time
sys.path.insert(0, ".")
import bench_warm
from loky import get_reusable_executor
calls, slots, batch = map(int, sys.argv[1:])
executor = get_reusable_executor(max_workers=slots)
list(executor.map(bench_warm.add, range(50)))
began = time.perf_counter()
if batch == 1:
    list(executor.map(bench_warm.add, range(calls)))
else:
    list(executor.map(bench_warm.add_many, range(0, calls, batch), [batch] * (calls // batch)))
print(calls / (time.perf_counter() - began))
"""
PEER = {"auto": "loky, 10,000 a call", "10,000": "loky, 10,000 a call", "100": "loky, 100 a call", "": "loky"}
"""Which row of loky's a row is held against, by what its name has in it."""
MEMORY_SLOTS = 8
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
PEERS = {**os.environ, **THREADS}
CLAIM = '[resources]\nmemory = "8 MiB"\n'
"""Of a kind that claims nothing one task would run first."""
NICE = "nice = 0\n"
"""As the peers are: ours would otherwise give way to whatever else runs."""


def run(daemon: Daemon, text: str) -> float:
    """Seconds from the first start to the last end of a job that must end well."""
    found = daemon.job(text)
    return float(found["ended_at"] - found["started_at"])


def ours(daemon: Daemon, base: Path, calls: int, isolation: str, batch: int = 1) -> float:
    """Calls (items, in batches; 0: ranges that the daemon chooses) a second; the interpreter is warm, as it is from the
    second job on."""
    function, per_task = "add" if batch == 1 else "add_many", batch or '"auto"'
    text = (f'call = "bench_warm:{function}"\ncwd = "{base}"\nisolation = "{isolation}"\n'
            f"{NICE}[items]\ntotal = {{}}\nper_task = {per_task}\n{CLAIM}")
    run(daemon, text.format(20 * (batch or 500)))
    return calls / run(daemon, text.format(calls))


def cold(calls: int, slots: int, base: Path) -> float:
    """Starts a second of an interpreter that imports numpy, by xargs."""
    began = time.perf_counter()
    command = ["xargs", "-P", str(slots), "-n", "1", sys.executable, "-c", COLD]
    subprocess.run(command, input="\n".join(map(str, range(calls))), text=True, check=True, cwd=base, env=PEERS)
    return calls / (time.perf_counter() - began)


def loky(calls: int, slots: int, batch: int, base: Path) -> float:
    """Calls a second of loky's executor, whose processes have imported numpy before."""
    command = [sys.executable, "-c", LOKY, str(calls), str(slots), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=base, env=PEERS)
    return float(done.stdout)


def measure(options: argparse.Namespace, base: Path) -> None:
    """The first table."""
    calls, slots = options.calls, options.slots
    daemon = Daemon(base / "daemon", slots)
    ways: dict[str, Callable[[], float]] = {
        "cold, `python -c` by xargs": lambda: cold(max(2 * slots, calls // 50), slots, base),
        "ours, a process each": lambda: ours(daemon, base, calls // 2, "fork"),
        "ours, reuse": lambda: ours(daemon, base, 5 * calls, "reuse"),
        "ours, reuse, 100 a task": lambda: ours(daemon, base, 100 * calls, "reuse", 100),
        "ours, reuse, auto": lambda: ours(daemon, base, 1000 * calls, "reuse", 0),
    }
    if importlib.util.find_spec("loky") is None:
        print("loky is not installed (pip install loky): its rows are left out\n")
    else:
        ways["loky"] = lambda: loky(5 * calls, slots, 1, base)
        ways["loky, 100 a call"] = lambda: loky(100 * calls, slots, 100, base)
        ways["loky, 10,000 a call"] = lambda: loky(1000 * calls, slots, 10_000, base)
    found: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for _ in range(options.rounds):
            for name, way in ways.items():
                found[name].append(way())
    finally:
        daemon.close()
    print("| calls | a second | × cold | × loky |\n|---|---|---|---|")
    for name, rates in found.items():
        peer = next((other for batch, other in PEER.items() if batch in name and other in found), None)
        times_cold = statistics.median(a / b for a, b in zip(rates, next(iter(found.values())), strict=True))
        times_loky = f"{statistics.median(a / b for a, b in zip(rates, found[peer], strict=True)):.2f}" if peer else "–"
        print(f"| {name} | {statistics.median(rates):,.0f} | {times_cold:.1f} | {times_loky} |", flush=True)


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────


def tree_pss(root: int) -> float:
    """MB of memory of all processes below `root`, where what several share counts once."""
    return sum(map(pss, descendants(root))) / 1e6


def wait_for_readers(base: Path) -> None:
    """Until every worker has read the whole array."""
    deadline = time.monotonic() + 600
    while not all((base / f"read-{index}").exists() for index in range(MEMORY_SLOTS)):
        if time.monotonic() > deadline:
            raise SystemExit("the workers did not get that far")
        time.sleep(0.1)


def shared(base: Path, isolation: str) -> float:
    """MB in all, daemon and interpreter included, with eight workers of ours."""
    daemon = Daemon(base / "daemon", MEMORY_SLOTS)
    text = (f'call = "bench_warm:read"\npreload = "bench_warm:load"\ncwd = "{base}"\nisolation = "{isolation}"\n'
            f"{NICE}[items]\ntotal = {MEMORY_SLOTS}\n{CLAIM}")
    try:
        with Client(daemon.state / "socket") as client:
            client.ask("add", file="bench.toml", text=text)
            wait_for_readers(base)
            found = tree_pss(daemon.process.pid)
            (base / "go").touch()
    finally:
        daemon.close()
    return found


def copied(base: Path) -> float:
    """MB in all of eight processes that have loaded the array each."""
    command = [sys.executable, "-c", COPY]
    made = [subprocess.Popen([*command, str(n)], cwd=base, env=PEERS) for n in range(MEMORY_SLOTS)]
    wait_for_readers(base)
    found = sum(tree_pss(process.pid) for process in made)
    (base / "go").touch()
    for process in made:
        process.wait()
    return found


def measure_memory(base: Path) -> None:
    """The second table."""
    print("\n| a 400 MB array under 8 workers | MB in all |\n|---|---|", flush=True)
    ways: dict[str, Callable[[Path], float]] = {
        "ours, `preload`, a process each": lambda where: shared(where, "fork"),
        "ours, `preload`, reuse": lambda where: shared(where, "reuse"), "a copy each": copied,
    }
    for number, (name, way) in enumerate(ways.items()):
        where = base / str(number)
        where.mkdir()
        (where / "bench_warm.py").write_text(MODULE)
        print(f"| {name} | {way(where):,.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--memory-only", action="store_true")
    options = parser.parse_args()
    print(f"{options.calls} calls, {options.slots} slots, {options.rounds} rounds, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.2f}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "bench_warm.py").write_text(MODULE)
        if not options.memory_only:
            measure(options, base)
        measure_memory(base)


if __name__ == "__main__":
    main()
