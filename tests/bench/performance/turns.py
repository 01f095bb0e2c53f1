"""Runs the daemon and writes down for how long each turn of its event loop held everything else up.

    python tests/bench/performance/turns.py FILE daemon …       # as `grist daemon …`; FILE is written when it ends

A turn is what lies between two looks at the descriptors. A line each: seconds by the clock, seconds of the CPU. Those
of the CPU say what the code costs; by the clock others that were given the core meanwhile count as well.
"""

from __future__ import annotations

import selectors
import sys
import time
from array import array
from pathlib import Path


def main() -> None:
    file, *words = sys.argv[1:]
    walls, cpus = array("d"), array("d")
    select = selectors.EpollSelector.select
    began: list[float] = []

    def timed(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        if began:
            walls.append(time.perf_counter() - began[0])
            cpus.append(time.thread_time() - began[1])
        found = select(self, timeout)
        began[:] = time.perf_counter(), time.thread_time()
        return found

    selectors.EpollSelector.select = timed  # type: ignore[method-assign,assignment]
    from gristmill.supervisor.cli import main as grist

    try:
        grist(words)
    finally:
        Path(file).write_text("".join(f"{wall:.6f} {cpu:.6f}\n" for wall, cpu in zip(walls, cpus, strict=True)))


if __name__ == "__main__":
    main()
