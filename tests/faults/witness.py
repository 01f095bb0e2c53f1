"""Somebody else who asks the daemon all the while, and what a process costs: yardsticks of the tests."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from gristmill.supervisor.edge.client import Client


def memory(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError(f"process {pid} has ended")


def cpu_s(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def usual(seconds: Sequence[float]) -> float:
    """What 19 of 20 took at most: the longest is chance, on a machine that has other things to do."""
    return sorted(seconds)[len(seconds) * 19 // 20]


class Witness:
    """Asks for the status again and again, on a line of its own, from the begin to the end of a `with`."""

    def __init__(self, path: Path, every: float = 0.01) -> None:
        self._path, self._every = path, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.waits: list[float] = []
        self.fault: Exception | None = None

    def _ask(self) -> None:
        try:
            with Client(self._path) as client:
                while not self._over.wait(self._every) or len(self.waits) < 5:
                    began = time.monotonic()
                    client.ask("status")
                    self.waits.append(time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - told to whoever waits for this thread
            self.fault = error

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        assert self.fault is None, f"somebody else was refused: {self.fault}"
        print(f"others waited: median {self.median * 1e3:.1f} ms, longest {max(self.waits) * 1e3:.1f} ms")

    @property
    def median(self) -> float:
        """What an answer took as a rule."""
        return statistics.median(self.waits)

    @property
    def usual(self) -> float:
        """What nearly all answers took at most."""
        return usual(self.waits)
