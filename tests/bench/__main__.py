"""Measures what the daemon costs, part by part, beside its peers, and writes the tables into docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType

from tests.bench.parts import measured

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
    measured(PAGE, {name: [part_of(name).part] for name in chosen}, args.compact, args.write, draw)


def part_of(name: str) -> ModuleType:
    """The file that measures a part."""
    return importlib.import_module(f"tests.bench.performance.{name}")


def draw(name: str) -> None:
    """Writes the pictures that a part has drawn."""
    for picture, drawn in getattr(part_of(name), "drawn", {}).items():
        picture.write_text(drawn)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
