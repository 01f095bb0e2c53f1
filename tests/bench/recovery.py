"""How long a daemon takes to come back: with nothing to do, with running tasks to adopt, with a long past in its store.

    python tests/bench/recovery.py [--running 100] [--past 100000] [--rounds 5]

Each round kills the daemon and starts the next one. `ready` is the whole start of the process; what adopting costs is
the difference to the start of a daemon that has nothing to adopt, in the same round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.mill import Mill


def start(mill: Mill, *options: str) -> float:
    """Seconds until the daemon says `ready`."""
    began = time.monotonic()
    mill.start(*options)
    return time.monotonic() - began


def restart(mill: Mill, *options: str) -> float:
    mill.kill()
    return start(mill, *options)


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--running", type=int, default=100, metavar="N", help="tasks to adopt")
    parser.add_argument("--past", type=int, default=100_000, metavar="N", help="ended tasks in the store")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    args = parser.parse_args()
    idle, adopting, laden = [], [], []
    with (tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two,
          tempfile.TemporaryDirectory() as three):
        empty, busy, old = Mill(Path(one)), Mill(Path(two)), Mill(Path(three))
        with empty, busy, old:
            start(empty)
            start(busy, "--limit", str(args.running))
            busy.drop("many.toml", f'command = "exec sleep 10000"\n[items]\ntotal = {args.running}\nper_task = 1\n')
            busy.running("many", args.running)
            start(old)
            old.drop("past.toml", f'command = ["/bin/true"]\n[items]\ntotal = {args.past}\nper_task = 1\n')
            while old.job("past").get("ended_at") is None:
                old.ask("changed", timeout=5)
            for _ in range(args.rounds):
                idle.append(restart(empty))
                adopting.append(restart(busy, "--limit", str(args.running)))
                adopted = [worker for worker in busy.status()["workers"] if worker.get("adopted")]
                assert len(adopted) == args.running, f"{len(adopted)} adopted"
                laden.append(restart(old))
    base = statistics.median(idle)
    print(f"load {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, medians of {args.rounds} rounds")
    print("| start of a daemon | ready after | more than an empty one |\n|---|---|---|")
    for name, times in (("empty", idle), (f"{args.running} running tasks adopted", adopting),
                        (f"{args.past:,} ended tasks in the store", laden)):
        median = statistics.median(times)
        print(f"| {name} | {1000 * median:.0f} ms | {1000 * (median - base):+.0f} ms |")


if __name__ == "__main__":
    main()
