"""The CPU that we may use, and how much of just that is in use by whomever.

Three domains: the whole machine; under an affinity the CPUs of that; under a CPU quota, where it is less than those,
the group that has the quota, so that a container with 4 of the host's cores is not told of 80 busy ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gristmill.supervisor.edge import groups
from gristmill.supervisor.edge.sampler.gauge import Gauge, number

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Count:
    """The counters of one domain; only differences within the same domain mean anything.

    `busy` and `nice` are CPU seconds used at all, and as user time at a positive niceness; None where the kernel
    doesn't keep them. `group` is the one with the quota.
    """

    domain: str
    cores: float
    busy: float | None
    nice: float | None
    runnable: int | None = None
    group: Path | None = None


class Cores:
    """Reads them."""

    def __init__(self, proc: Path) -> None:
        self._stat = Gauge(proc / "stat")
        self._cpu: tuple[Path, ...] = ()
        self._accounts: dict[Path, Path] = {}
        self._gauges: dict[Path, Gauge] = {}

    def settle(self, mounts: Mapping[str, Path], lineages: Mapping[str, tuple[Path, ...]]) -> None:
        """Tells which groups we are in."""
        self.close()
        self._cpu = lineages.get("cpu", ())
        # v1 keeps the time that a group used beside its quota (most systems mount both as one) or in a tree of its own
        apart = lineages.get("cpuacct", ()) if mounts.get("cpuacct") != mounts.get("cpu") else ()
        for group in self._cpu:
            inside = group.relative_to(mounts.get("cpu") or mounts[""])
            twins = (twin for twin in apart if inside == twin.relative_to(mounts.get("cpuacct") or mounts[""]))
            self._accounts[group] = next(twins, group)

    def close(self) -> None:
        """Closes all files."""
        for gauge in (self._stat, *self._gauges.values()):
            gauge.close()
        self._gauges.clear()
        self._accounts.clear()

    def read(self) -> Count:
        """The counters now."""
        allowed = os.sched_getaffinity(0)
        bound = groups.narrowest((self._quota(group), group) for group in self._cpu)
        if bound is not None and bound[0] < len(allowed):
            return self._group(*bound)
        return self._cpus(allowed)

    def _gauge(self, path: Path) -> Gauge:
        gauge = self._gauges.get(path)
        if gauge is None:
            gauge = self._gauges[path] = Gauge(path)
        return gauge

    def _quota(self, group: Path) -> float | None:
        text = self._gauge(group / "cpu.max").word()
        if not text:
            most = self._gauge(group / "cpu.cfs_quota_us").word()
            text = f"{most} {self._gauge(group / 'cpu.cfs_period_us').word()}" if most.isdigit() else ""
        return groups.cores(text)

    def _group(self, cores: float, group: Path) -> Count:
        stat = self._gauge(group / "cpu.stat").read()
        used, nice = number(stat, b"usage_usec "), number(stat, b"nice_usec ")
        busy = None if used is None else used / 1e6
        if busy is None:  # the first version of groups
            text = self._gauge(self._accounts[group] / "cpuacct.usage").word()
            busy = int(text) / 1e9 if text else None
        return Count(f"group {group}", cores, busy, None if nice is None else nice / 1e6, group=group)

    def _cpus(self, allowed: set[int]) -> Count:
        text = self._stat.read(1 << 17)
        rows = {}
        for line in text[: text.index(b"\nintr ") if b"\nintr " in text else len(text)].split(b"\n"):
            if line.startswith(b"cpu"):
                name, *times = line.split()
                rows[name[3:]] = [int(time) for time in times]
        names = {b"%d" % each for each in allowed}
        whole = rows.pop(b"")
        if not names < rows.keys():  # all of them, or numbered otherwise than we are told: a container's own view
            busy, nice = _used(whole)
            # one is this very thread
            running = number(text, b"procs_running ")
            return Count("machine", len(names), busy, nice, None if running is None else max(0, running - 1))
        used = [_used(rows[name]) for name in names]
        domain = "cpus " + ",".join(map(str, sorted(allowed)))
        return Count(domain, len(names), sum(busy for busy, _ in used), sum(nice for _, nice in used))


def _used(times: list[int]) -> tuple[float, float]:
    """(busy, nice) seconds of a line of /proc/stat: waiting for a disk is idle; `user` and `nice` contain the guests'
    time already; what the hypervisor gave to others is as good as used, since nobody here can have it."""
    user, nice, system, _, _, irq, softirq, steal = (*times, 0, 0, 0, 0)[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS, nice / TICKS
