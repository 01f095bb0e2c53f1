"""Measures what the daemon costs, part by part, beside its peers, and writes the tables into docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from tests.bench.governor import machine
from tests.bench.stories.rounds import adopt, say
from tests.bench.stories.tables import placed

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
PARTS = ("dispatch", "latency", "idle", "scale", "logs", "many")


def main() -> None:
    """Reads the options, runs, prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--compact", action="store_true", help="fewer tasks and rounds: all within four minutes")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    args = parser.parse_args()
    chosen = args.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what runs is ended as well
    adopt()
    failed = []
    for name in chosen:
        try:
            text = told(name, args.compact)
        except (SystemExit, AssertionError, subprocess.SubprocessError) as failure:  # the others are told all the same
            say(f"{name}: failed: {failure}")
            failed.append(name)
            continue
        print(text, flush=True)
        if args.write:
            PAGE.write_text(placed(PAGE.read_text(), name, f"\n{text}\n"))
            for picture, drawn in getattr(part_of(name), "drawn", {}).items():
                picture.write_text(drawn)
            say(f"{name}: written into {PAGE.name}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def part_of(name: str) -> ModuleType:
    """The file that measures a part."""
    return importlib.import_module(f"tests.bench.performance.{name}")


def told(name: str, compact: bool) -> str:
    """Runs a part; its tables, and what they have to be read with."""
    part = part_of(name).part
    began, load = time.monotonic(), os.getloadavg()[0]
    text = "\n".join(table.markdown() for table in part(compact))
    return (f"{text}\n{machine.cores()} cores, {machine.total() / 1e9:.0f} GB, Python {platform.python_version()}, "
            f"load {load:.2f} before, {'compact' if compact else 'full'} form, {time.monotonic() - began:.0f} s.\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
