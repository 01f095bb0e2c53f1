"""Runs the stories, prints their tables, and writes them into docs/stories.md where that is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tests.bench.parts import Part, measured
from tests.bench.stories import batches, cubes, folds, gradients, memory, sleepers, starts
from tests.bench.stories.tables import PAGE

STORIES: dict[str, Sequence[Part]] = {
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
    measured(PAGE, {name: STORIES[name] for name in args.only}, args.compact, args.write)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
