"""Memory that is left: the machine's, and that of each limited control group on our way up.

What a group uses contains its page cache, which the kernel gives up before anybody is killed. As MemAvailable does
for the machine, we take the inactive part of it as free and leave half of the rest, the files that are really read
again and again, to those who read them. (Kubernetes leaves all of it: a group that reads one big file over and over
then looks full for ever.) Swap is not counted: work that swaps is not work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gristmill.supervisor.edge import groups
from gristmill.supervisor.edge.sampler.gauge import Gauge, number


class Memory:
    """Reads it."""

    def __init__(self, proc: Path) -> None:
        self._machine = Gauge(proc / "meminfo")
        self._groups: list[Group] = []
        self._limited: list[tuple[int, Group]] = []

    def settle(self, lineages: Mapping[str, tuple[Path, ...]]) -> None:
        """Tells which groups we are in."""
        self.close()
        self._groups = [Group(path) for path in lineages.get("memory", ())]
        self.find_bounds()

    def find_bounds(self) -> None:
        """Reads the limits anew, which an administrator may change at any time."""
        self._limited = [(bound, group) for group in self._groups if (bound := group.bound()) is not None]

    def read(self) -> tuple[int, int]:
        """(total, available) of the machine or the group that has the least left, by the limits last found."""
        text = self._machine.read(256)
        total, available = number(text, b"MemTotal:"), number(text, b"MemAvailable:")
        assert total is not None
        assert available is not None  # Linux ≥ 3.14
        total, available = 1024 * total, 1024 * available
        for bound, group in self._limited:
            if (left := max(0, bound - group.used())) < available:
                total, available = bound, left
        return total, available

    @property
    def bounded(self) -> Path | None:
        """The innermost group with a limit."""
        return self._limited[0][1].path if self._limited else None

    def close(self) -> None:
        """Closes all files."""
        self._machine.close()
        for group in self._groups:
            group.close()
        self._groups, self._limited = [], []


class Group:
    """One control group's memory, of either version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bounds = [Gauge(path / name) for name in groups.MEMORY]
        self._use = [Gauge(path / name) for name in ("memory.current", "memory.usage_in_bytes")]
        self._stat = Gauge(path / "memory.stat")

    def bound(self) -> int | None:
        """Its limit in bytes."""
        return groups.least(gauge.word() for gauge in self._bounds)

    def used(self) -> int:
        """What it uses and can't give up at once, in bytes."""
        text = next((text for gauge in self._use if (text := gauge.read())), b"0")
        stat = self._stat.read(1 << 14)
        first = b"total_" if b"\ntotal_inactive_file " in stat else b""  # v1: with the groups below it
        inactive, active = number(stat, first + b"inactive_file "), number(stat, first + b"active_file ")
        slab = number(stat, b"slab_reclaimable ")
        return max(0, int(text) - (inactive or 0) - (active or 0) // 2 - (slab or 0) // 2)

    def close(self) -> None:
        """Closes its files."""
        for gauge in (*self._bounds, *self._use, self._stat):
            gauge.close()
