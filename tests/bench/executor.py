"""Calls a second through an `Executor`, beside `ProcessPoolExecutor` and loky in the same rounds.

    python tests/bench/executor.py [--rounds 5] [--calls 2000] [--workers 2]

Prints one Markdown table: no-op calls submitted one by one and waited for together, the time of one call after another,
and the ratio round by round. The daemon does what it always does: a journal, a durable record and a log for every call.
loky is measured where it is installed (`pip install loky`), and named where it is not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from concurrent import futures
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from gristmill import Client, Executor
from tests.bench.daemon import Daemon


def measure(pool: futures.Executor, calls: int) -> tuple[float, float]:
    """(calls a second that go out together, seconds of one call whose answer is waited for)."""
    began = time.perf_counter()
    for future in [pool.submit(abs, -number) for number in range(calls)]:
        future.result()
    rate = calls / (time.perf_counter() - began)
    began = time.perf_counter()
    for number in range(50):
        pool.submit(abs, -number).result()
    return rate, (time.perf_counter() - began) / 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        daemon = Daemon(Path(base), options.workers)
        try:
            ours = Executor(Client(daemon.jobs, daemon.state), max_workers=options.workers)
            pools: dict[str, futures.Executor] = {"gristmill": ours, "processes": ProcessPoolExecutor(options.workers)}
            try:
                from loky import ProcessPoolExecutor as Loky

                pools["loky"] = Loky(options.workers)
            except ImportError:
                print("loky is not installed: not measured\n")
            report(pools, options)
            for pool in pools.values():
                pool.shutdown()
        finally:
            daemon.close()


def report(pools: dict[str, futures.Executor], options: argparse.Namespace) -> None:
    print(f"{options.calls} no-op calls, {options.workers} workers, {options.rounds} rounds, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.2f}\n")
    rates: dict[str, list[float]] = {name: [] for name in pools}
    waits: dict[str, list[float]] = {name: [] for name in pools}
    for pool in pools.values():
        measure(pool, options.calls // 4)  # warm
    for _ in range(options.rounds):
        for name, pool in pools.items():
            rate, wait = measure(pool, options.calls)
            rates[name].append(rate)
            waits[name].append(wait)
    print("| executor | calls/s | gristmill is so many times as fast (min – max) | ms a call, one after another |")
    print("|---|---|---|---|")
    for name in pools:
        ratios = [a / b for a, b in zip(rates["gristmill"], rates[name], strict=True)]
        print(f"| {name} | {statistics.median(rates[name]):.0f} | "
              f"{statistics.median(ratios):.2f} ({min(ratios):.2f} – {max(ratios):.2f}) | "
              f"{1000 * statistics.median(waits[name]):.2f} |")


if __name__ == "__main__":
    main()
