"""The graphs of the overview, side by side: CPU, memory, and where there is room the workers against their limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.strip import Strip

from gristmill.supervisor.core import figures
from gristmill.tui import plot
from gristmill.tui.columns import cut, spread
from gristmill.tui.marks import Runs
from gristmill.tui.present import Mill
from gristmill.tui.widgets.lines import Lines

SECONDS = 2.0
"""The time that one column of dots stands for."""
_HEATS = ((0.4, "g0"), (0.65, "g1"), (0.85, "g2"), (9.0, "g3"))


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: its name, the figure of the moment, what else to say, and the samples as fractions."""

    name: str
    figure: str
    aside: str
    samples: Iterable[tuple[float, float]]
    heated: bool = True


def panels(mill: Mill) -> list[Panel]:
    """The three graphs of a machine."""
    machine, limit = mill.machine, mill.limit
    used = machine.memory_total_bytes - machine.memory_available_bytes
    top = max(1, max((max(reading.busy, reading.limit) for reading in mill.history), default=1))
    return [
        Panel("CPU", f"{machine.cpu_percent:.0f}%",
              f"ours {machine.cpu_ours_percent:.0f}%  load {machine.load_1m:.1f}  {machine.cores:g} cores",
              ((reading.time, reading.cpu) for reading in mill.history)),
        Panel("MEM", f"{used / max(1, machine.memory_total_bytes):.0%}",
              f"{figures.size(used)} of {figures.size(machine.memory_total_bytes)}"
              f"  ours {figures.size(machine.memory_ours_bytes)}",
              ((reading.time, reading.memory) for reading in mill.history)),
        Panel("WORKERS", f"{limit.busy}", f"limit {limit.workers}  scale 0–{top}",
              ((reading.time, reading.busy / top) for reading in mill.history), heated=False),
    ]  # fmt: skip


class Graphs(Lines):
    """One line when that is all there is, else a title and a filled graph for each."""

    mill: Mill | None = None
    number = 2

    def show(self, mill: Mill, number: int) -> None:
        """Show so many graphs of this state."""
        self.mill, self.number = mill, number
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """The panels, joined line by line."""
        if self.mill is None:
            return []
        marks = self.look.marks
        shown = panels(self.mill)[: self.number]
        room = width - 2 - 3 * (len(shown) - 1)
        widths = [room // len(shown) + (1 if index < room % len(shown) else 0) for index in range(len(shown))]
        blocks = [self._panel(panel, cells, height) for panel, cells in zip(shown, widths, strict=True)]
        lines = []
        for y in range(height):
            runs: list[tuple[str, str]] = [(" ", "text")]
            for index, block in enumerate(blocks):
                if index:
                    runs.append((f" {marks.divider} ", "faint"))
                runs += block[y]
            lines.append(self.strip(tuple(runs)))
        return lines

    def _panel(self, panel: Panel, width: int, height: int) -> list[Runs]:
        assert self.mill is not None
        if height == 1:
            head: Runs = ((f"{panel.name} ", "muted"), (f"{panel.figure:>4} ", "strong"))
            graph = self._plot(panel, width - sum(len(text) for text, _ in head), 1)
            return [cut((*head, *graph[0]), width)]
        title: Runs = ((panel.name, "muted"), (f"  {panel.figure}", "strong"))
        aside: Runs = ((panel.aside, "muted"),)
        if width < len(panel.aside) + 14:
            aside = ()
        return [spread(title, aside, width), *self._plot(panel, width, height - 1)]

    def _plot(self, panel: Panel, width: int, height: int) -> list[Runs]:
        assert self.mill is not None
        columns = plot.bucket(panel.samples, self.mill.time, SECONDS, max(2, width * 2))
        draw = plot.ascii_columns if self.look.marks.ascii else plot.braille
        lines: list[Runs] = []
        for row, line in enumerate(draw(columns, height)):
            share = (height - row - 0.5) / height
            tone = next(tone for most, tone in _HEATS if share <= most) if panel.heated else "g0"
            if row < height - 1:
                lines.append(((line, tone),))
                continue
            seen = line.lstrip()
            blank = len(line) - len(seen)
            lines.append((("." * blank if self.look.marks.ascii else "⣀" * blank, "faint"), (seen, tone)))
        return lines
