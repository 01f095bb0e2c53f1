"""The parts of the Why screen: the limits with what binds, the measured curve, and the story of kinds and decisions."""

from __future__ import annotations

from dataclasses import dataclass

from textual.strip import Strip

from gristmill.supervisor.core.answers import WhyView
from gristmill.supervisor.core.protocol import DecisionView
from gristmill.tui import curve, why
from gristmill.tui.columns import cut, rule
from gristmill.tui.marks import Runs
from gristmill.tui.widgets.lines import Lines
from gristmill.tui.widgets.scrolled import Scrolled


@dataclass(frozen=True, slots=True)
class Known:
    """What the screen knows: the daemon's answer, all decisions (the newest first), the daemon's time, and a line
    about what could not be learned."""

    view: WhyView
    decisions: tuple[DecisionView, ...]
    now: float
    note: str = ""


class Limits(Lines):
    """The headline, what is being tried, each limit; below them, where there is room, the kinds."""

    known: Known | None = None
    with_kinds = False

    def show(self, known: Known, with_kinds: bool) -> None:
        """Show this state."""
        self.known, self.with_kinds = known, with_kinds
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """As much as finds room; the limits that bind least go first."""
        if self.known is None:
            return [self.strip(((" asking the daemon …", "muted"),))]
        lines = top(self.known, width, height, self)
        if self.with_kinds:
            lines += [(), *why.kinds(self.known.view.kinds, width, self.look.marks)]
        return [self.strip(cut(line, width, self.look.marks.cut)) for line in lines[:height]]


def top(known: Known, width: int, height: int, host: Lines) -> list[Runs]:
    """Headline, note, what is tried, limits."""
    marks, view = host.look.marks, known.view
    lines = [why.title(view, width, marks)]
    if known.note:
        lines.append(((f" {known.note}", "warn"),))
    lines += why.trying(view, width, marks)
    return [*lines, *why.limits(view, width, height - len(lines), marks)]


class Curve(Lines):
    """Throughput against workers, as measured."""

    known: Known | None = None

    def show(self, known: Known) -> None:
        """Show this state."""
        self.known = known
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """A title with the best point, then the curve."""
        if self.known is None:
            return []
        marks, view = self.look.marks, self.known.view
        aside = "  of the best; errors upright"
        name = (("Throughput", "title"), (aside, "muted"))
        found = curve.best(view.curve, marks)
        lines = [rule(name, ((found, "muted"),) if found else (), width, marks.rule)]
        lines += curve.draw(view.curve, view.limit.workers, width - 1, height - 1, marks)
        return [self.strip(cut(line, width, marks.cut)) for line in lines[:height]]


class Story(Scrolled):
    """Kinds and decisions, scrolled; on a narrow screen everything is here."""

    known: Known | None = None
    whole = False
    with_kinds = True

    def show(self, known: Known, whole: bool, with_kinds: bool) -> None:
        """Show this state; who has scrolled into the history keeps his place while new decisions come."""
        before = self.known
        self.known, self.whole, self.with_kinds = known, whole, with_kinds
        if before is not None and self.top > len(self._above(self.size.width)):
            old = why.history(before.decisions, known.now, self.size.width, self.look.marks)
            new = why.history(known.decisions, known.now, self.size.width, self.look.marks)
            self.top = max(0, self.top + len(new) - len(old))
        self.renew()

    def _above(self, width: int) -> list[Runs]:
        assert self.known is not None
        lines: list[Runs] = []
        if self.whole:
            lines += [*top(self.known, width, 99, self), ()]
        if self.with_kinds:
            lines += why.kinds(self.known.view.kinds, width, self.look.marks)
        return lines

    def text(self, width: int) -> list[Runs]:
        """All of it."""
        if self.known is None:
            return []
        history = why.history(self.known.decisions, self.known.now, width, self.look.marks)
        return [*self._above(width), *history]
