"""Runs the stories, prints their tables, and writes them into docs/stories.md where that is asked for."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time

from tests.bench.governor import machine
from tests.bench.stories import batches, cubes, folds, gradients, memory, sleepers, starts
from tests.bench.stories.rounds import adopt, say
from tests.bench.stories.tables import PAGE, placed

STORIES = {
    "a": [batches.story, sleepers.story], "b": [gradients.story], "c": [cubes.story], "d": [folds.story, memory.story],
    "e": [starts.story],
}


def main() -> None:
    """Reads the options, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(STORIES), default=list(STORIES), metavar="STORY",
                        help=f"of {', '.join(STORIES)}")
    parser.add_argument("--compact", action="store_true", help="fewer items and rounds: all within four minutes")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/stories.md")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what runs is ended as well
    adopt()
    failed = []
    for name in args.only:
        try:
            text = told(name, args.compact)
        except (SystemExit, AssertionError, subprocess.SubprocessError) as failure:  # the others are told all the same
            say(f"{name}: failed: {failure}")
            failed.append(name)
            continue
        print(text, flush=True)
        if args.write:
            PAGE.write_text(placed(PAGE.read_text(), name, f"\n{text}\n"))
            say(f"{name}: written into {PAGE.name}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def told(name: str, compact: bool) -> str:
    """Runs all parts of a story; its tables, and what they have to be read with."""
    began, load = time.monotonic(), os.getloadavg()[0]
    text = "\n".join(table.markdown() for part in STORIES[name] for table in part(compact))
    return f"{text}\n{conditions(compact, load)}, {time.monotonic() - began:.0f} s.\n"


def conditions(compact: bool, load: float) -> str:
    """What a figure has to be read with."""
    return (f"{machine.cores()} cores, {machine.total() / 1e9:.0f} GB, Python {platform.python_version()}, "
            f"load {load:.2f} before, {'compact' if compact else 'full'} form")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
