"""The machine core by core, its memory, swap and disks, read when somebody looks.

Owns the counters of the look before: how busy a core is, is a difference. The first look waits a moment for one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from gristmill.supervisor.core.answers import CoreView, DiskView

FRESH_S = 0.3
"""Two looks closer to each other than this tell nothing."""
STALE_S = 10.0


class Vitals:
    """Reads them; `disks` says what of ours lies where."""

    def __init__(
        self, disks: Mapping[str, Path], proc: Path = Path("/proc"), clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._disks, self._proc, self._clock, self._sleep = disks, proc, clock, sleep
        self._at = 0.0
        self._before: dict[int, tuple[float, float]] = {}
        self._shown: list[CoreView] = []

    def cores(self) -> list[CoreView]:
        """How busy each core of the machine was since the last look, or in the last moments."""
        now = self._clock()
        if self._shown and now - self._at < FRESH_S:
            return self._shown
        if not self._before or now - self._at > STALE_S:
            self._before = self._times()
            self._sleep(FRESH_S)
        before, self._before, self._at = self._before, self._times(), self._clock()
        ours = os.sched_getaffinity(0)
        self._shown = [
            CoreView(number=number, percent=_percent(before.get(number, (0.0, 0.0)), now), ours=number in ours)
            for number, now in sorted(self._before.items())
        ]
        return self._shown

    def _times(self) -> dict[int, tuple[float, float]]:
        """(busy, all) ticks by core."""
        found = {}
        for line in (self._proc / "stat").read_text().splitlines():
            name, *times = line.split()
            if name.startswith("cpu") and name != "cpu":
                user, nice, system, idle, wait, irq, softirq, steal = (float(one) for one in (*times, *"0" * 8)[:8])
                busy = user + nice + system + irq + softirq + steal
                found[int(name[3:])] = (busy, busy + idle + wait)
        return found

    def memory(self) -> dict[str, int]:
        """`MemTotal`, `MemAvailable`, `Cached`, `SwapTotal`, `SwapFree` and their kin, in bytes."""
        found = {}
        for line in (self._proc / "meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            words = rest.split()
            if words and words[0].isdecimal():
                found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
        return found

    def disks(self) -> list[DiskView]:
        """Each file system that something of ours lies on, once."""
        found: dict[int, DiskView] = {}
        for what, path in self._disks.items():
            try:
                device, volume = os.stat(path).st_dev, os.statvfs(path)
            except OSError:
                continue  # a folder that is gone has no disk
            if device in found:
                found[device].what += f", {what}"
                continue
            inodes = 100 * (1 - volume.f_favail / volume.f_files) if volume.f_files else None
            found[device] = DiskView(
                what=what, path=str(path), total_bytes=volume.f_blocks * volume.f_frsize,
                free_bytes=volume.f_bavail * volume.f_frsize,
                inodes_percent=None if inodes is None else round(inodes, 1),
            )
        return list(found.values())


def _percent(before: tuple[float, float], now: tuple[float, float]) -> float:
    passed = now[1] - before[1]
    return round(max(0.0, min(100.0, 100 * (now[0] - before[0]) / passed)), 1) if passed > 0 else 0.0
