"""Memory that a tree of processes needs in all: its proportional set size, looked at again and again, at its peak."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.bench.governor import machine

EVERY_S = 0.2


class Peak:
    """The greatest sum that was seen, in bytes, of so many processes, in so many looks that count."""

    def __init__(self) -> None:
        self.bytes = 0.0
        self.processes = self.looks = 0

    def look(self, root: int) -> None:
        """One look at a process and all that descend from it. It counts if none of them came or went meanwhile: what a
        process shares is counted for less by each that is forked, and the sum would be of two different moments."""
        before = machine.descendants(root)
        found = [pss(pid) for pid in before]
        if machine.descendants(root) != before:
            return
        self.looks += 1
        if sum(found) > self.bytes:
            self.bytes, self.processes = sum(found), len(found)


@contextlib.contextmanager
def watched(root: int) -> Iterator[Peak]:
    """Looks from now on until the end of the block."""
    peak, halt = Peak(), threading.Event()

    def look() -> None:
        while not halt.wait(EVERY_S):
            peak.look(root)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        halt.set()
        watcher.join()


def pss(pid: int) -> float:
    """Bytes; what several processes share counts for each in part. 0 for one that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024.0 * int(line.split()[1])
    return 0.0
