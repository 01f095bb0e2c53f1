"""Who waits for what (PSI): shares of time, from the kernel's running totals.

Its averages are no use here: avg10 of an idle machine was seen at 73.
"""

from __future__ import annotations

from pathlib import Path

from gristmill.supervisor.edge.sampler.gauge import Gauge


class Pressure:
    """The time in which some task waited for one kind of thing."""

    def __init__(self, machine: Path, name: str) -> None:
        self._machine, self._name = machine, name
        self._gauges: dict[Path, Gauge] = {}
        self._before: tuple[Path, int] | None = None

    def share(self, period: float, group: Path | None) -> float | None:
        """Its share 0…1 of the last `period` seconds: in `group` where that says so, else on the machine; None where
        there is none, or nothing to compare with yet."""
        now = self._total(group / self._name) if group is not None else None
        now = now or self._total(self._machine)
        before, self._before = self._before, now
        if now is None or before is None or now[0] != before[0]:
            return None
        return min(1.0, max(0.0, (now[1] - before[1]) / 1e6 / period))

    def _total(self, path: Path) -> tuple[Path, int] | None:
        """The file and its microseconds so far."""
        gauge = self._gauges.get(path)
        if gauge is None:
            gauge = self._gauges[path] = Gauge(path)
        some, found, rest = gauge.read().partition(b" total=")
        return (path, int(rest.split(None, 1)[0])) if found and some.startswith(b"some ") else None

    def close(self) -> None:
        """Closes its files."""
        for gauge in self._gauges.values():
            gauge.close()
        self._gauges.clear()
