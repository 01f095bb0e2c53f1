"""Runs the scenarios and prints one Markdown table."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # so that `python tests/bench/governor` works as well

from tests.bench.governor import company, cpu, machine, memory
from tests.bench.governor.rows import HEAD, Row, table
from tests.bench.governor.tape import speed
from tests.bench.governor.trial import Bench

SCENARIOS = {
    "sleepers": cpu.sleepers, "burners": cpu.burners, "hogs": memory.hogs, "mixed": memory.mixed,
    "neighbour": company.neighbour, "full": company.full, "story": cpu.story, "two": company.two,
}
QUIET = 0.1
"""Share of the cores used by others from which the machine is not quiet, and figures are to be read with care."""
LOOK_S = 3.0


def main() -> None:
    """Reads the options, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS), metavar="NAME",
                        help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--compact", action="store_true", help="shorter tasks and windows: all within eight minutes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, traces and what was seen there")
    parser.add_argument("--patient", type=float, default=0.0, metavar="S",
                        help="wait for up to so many seconds before each scenario until the machine is quiet")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that what runs is ended as well
    print(f"{machine.cores()} cores, {machine.total() / 1e9:.0f} GB, {machine.available() / 1e9:.0f} GB available, "
          f"load {os.getloadavg()[0]:.2f} at the start, {'compact' if args.compact else 'full'} form\n")
    bench = Bench(args.compact, speed(), args.keep)
    began = time.monotonic()
    print(HEAD, flush=True)
    for name in args.only:
        used = others(args.patient)
        warning = "**not quiet**: read with care" if used > QUIET * machine.cores() else ""
        print(table([Row(name, "cores used by others just before", f"{used:.2f}", warning)]))
        print(table(SCENARIOS[name](bench)), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.2f} at the end")


def others(patience: float) -> float:
    """Cores in use now, while nothing of ours runs; waits so long for a quiet machine."""
    end = time.monotonic() + patience
    while True:
        before, began = machine.busy(), time.monotonic()
        time.sleep(LOOK_S)
        used = (machine.busy() - before) / (time.monotonic() - began)
        if used <= QUIET * machine.cores() or time.monotonic() > end:
            return used


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
