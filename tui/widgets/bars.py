"""The bars above and below every screen: what the mill does at the moment, and which keys there are."""

from __future__ import annotations

from dataclasses import dataclass

from textual.strip import Strip

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.figures import lasting
from gristmill.supervisor.core.protocol import ConditionView
from gristmill.supervisor.core.reasons import named
from gristmill.tui.columns import cut, spread, width_of
from gristmill.tui.commands import COMMANDS, Command
from gristmill.tui.marks import Runs
from gristmill.tui.present import STALE_AFTER, Mill
from gristmill.tui.widgets.lines import Lines

HINT = next(f"{command.shown} {command.label}" for command in COMMANDS if command.action == "why")
"""What stands beside the reason for the limit: the key that shows all of it."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How fresh the screen is. `age_s`: seconds since the last update; `lost` is why no daemon answers, or empty."""

    age_s: float = 0.0
    lost: str = ""
    frozen_s: float | None = None
    clock: float = 0.0
    trip: str = ""
    """How long the line takes there and back, where that is worth a word."""

    @property
    def stale(self) -> bool:
        """Old enough to say so: at once when the daemon hung up, after a while when it is only silent."""
        return self.age_s > (1.5 if self.lost else STALE_AFTER)


class Header(Lines):
    """Two lines: the figures that matter, and the reason for the limit or what is wrong."""

    DEFAULT_CSS = "Header { height: 2; dock: top; }"
    ground = "^"

    def __init__(self, host: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.host = host
        self.mill: Mill | None = None
        self.pulse = Pulse()
        self.hint = HINT

    def show(self, mill: Mill | None, pulse: Pulse) -> None:
        """Show this state."""
        self.mill, self.pulse = mill, pulse
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """The two lines."""
        right = self._right(width)
        top = spread(self._left(width), right, width)
        below = cut(self._below(width), width, self.look.marks.cut)
        return [self.strip(top), self.strip(below, "" if below and below[0][1] == "banner" else None)]

    def _right(self, width: int) -> Runs:
        clock = figures.full_clock(self.pulse.clock) if self.pulse.clock else ""
        trip = ((self.pulse.trip + "  ", "warn"),) if self.pulse.trip and width >= 76 else ()
        host = ((self.host + "  ", "muted"),) if width >= 90 else ()
        return (*trip, *host, (clock + " ", "muted")) if width >= 66 else ()

    def _left(self, width: int) -> Runs:
        marks, mill = self.look.marks, self.mill
        name = (" gristmill  ", "title")
        if mill is None:
            return (name, ("no daemon" if self.pulse.lost else "connecting", "muted"))
        state, tone = self._state(mill)
        gap = ("   " if width >= 76 else "  ", "text")
        runs = [name, (f"{marks.live} {state}", tone), gap]
        mode = f" {mill.limit.mode}" if width >= 70 else ""
        runs += [("workers ", "muted"), (f"{mill.limit.busy}/{mill.limit.workers}", "strong"), (mode, "muted"), gap]
        runs += [("queue ", "muted"), (figures.count(mill.queued), "strong"), gap]
        runs += [("failed ", "muted"), (figures.count(mill.failed), "fail" if mill.failed else "strong")]
        return tuple(runs)

    def _state(self, mill: Mill) -> tuple[str, str]:
        if self.pulse.frozen_s is not None:
            return "frozen", "warn"
        if self.pulse.stale:
            return "stale", "warn"
        return ("held", "warn") if mill.daemon.state == "held" else ("live", "ok")

    def _below(self, width: int) -> Runs:
        mill, pulse = self.mill, self.pulse
        if mill is None:
            return ()
        if pulse.stale:
            why = f" ({pulse.lost})" if pulse.lost else ""
            return ((f" stale {pulse.age_s:.0f} s, retrying{why}", "banner"),)
        wrong = mill.daemon.conditions
        if mill.daemon.state == "held" and not any(one.holds for one in wrong):
            return ((f" held: {mill.daemon.reason or 'no reason given'}", "banner"),)
        if wrong and wrong[0].holds:
            return self._condition("held", "banner", wrong, mill.time, width)
        if pulse.frozen_s is not None:
            return ((f" frozen {pulse.frozen_s:.0f} s ago; work goes on (p)", "banner"),)
        if wrong:
            return self._condition("note", "warn", wrong, mill.time, width)
        limit: Runs = ((f" limit {mill.limit.workers}: ", "muted"), (mill.limit.reason or "no reason given", "text"))
        return spread(limit, ((f"  {self.hint} ", "muted"),) if self.hint else (), width)

    def _condition(self, word: str, tone: str, wrong: list[ConditionView], now: float, width: int) -> Runs:
        """The first condition with its age, and how many more there are; the key that shows all of them."""
        first, more = wrong[0], len(wrong) - 1
        tail = f" {lasting(now - first.since)}{f', +{more} more' if more else ''} (!) "
        return spread(((f" {word}: {named(first.kind, first.reason)}", tone),), ((tail, tone),), width)


class Footer(Lines):
    """The keys of a screen; for some seconds, what a command had to say."""

    DEFAULT_CSS = "Footer { height: 1; dock: bottom; }"
    ground = "^"

    def __init__(self, commands: list[Command], *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.commands = commands
        self.said: tuple[str, str] | None = None
        self._until = 0

    def say(self, text: str, tone: str = "strong", seconds: float = 5.0) -> None:
        """Show one line in place of the keys for a while."""
        self.said = (text, tone)
        self._until += 1
        turn = self._until
        self.renew()
        self.set_timer(seconds, lambda: self._unsay(turn))

    def _unsay(self, turn: int) -> None:
        if turn == self._until:
            self.said = None
            self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """The keys that find room; help and leave stay longest."""
        if self.said is not None:
            return [self.strip(cut(((" " + self.said[0], self.said[1]),), width, self.look.marks.cut))]
        kept = list(self.commands)
        runs = _keys(kept)
        while width_of(runs) > width and len(kept) > 2:
            kept.pop(-3)
            runs = _keys(kept)
        return [self.strip(cut(runs, width))]


def _keys(commands: list[Command]) -> Runs:
    runs: list[tuple[str, str]] = []
    for command in commands:
        runs += [(" " + command.shown, "key"), (f" {command.label} ", "muted")]
    return tuple(runs)
