"""Runs the scenarios and prints one Markdown table."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # so that `python tests/bench/governor` works as well

from tests.bench.governor import company, cpu, machine, memory
from tests.bench.governor.rows import HEAD, table
from tests.bench.governor.tape import speed
from tests.bench.governor.trial import Bench

SCENARIOS = {
    "sleepers": cpu.sleepers, "burners": cpu.burners, "hogs": memory.hogs, "mixed": memory.mixed,
    "neighbour": company.neighbour, "story": cpu.story, "two": company.two,
}
QUIET = 0.7
"""Load of the last minute from which the machine is not quiet, and figures are to be read with care."""


def main() -> None:
    """Reads the options, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS), metavar="NAME",
                        help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--compact", action="store_true", help="shorter tasks and windows: all within eight minutes")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, traces and what was seen there")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{machine.cores()} cores, {machine.total() / 1e9:.0f} GB, {machine.available() / 1e9:.0f} GB available, "
          f"load {load:.2f} at the start, {'compact' if args.compact else 'full'} form\n")
    if load >= QUIET:
        print(f"**The machine is not quiet** (load {load:.2f}): figures are to be read with care.\n")
    bench = Bench(args.compact, speed(), args.keep)
    began = time.monotonic()
    print(HEAD, flush=True)
    for name in args.only:
        print(table(SCENARIOS[name](bench)), flush=True)
    print(f"\n{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
