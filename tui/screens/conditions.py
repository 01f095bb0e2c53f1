"""All that is wrong now: each condition with its reason in full, since when, and whether it holds new tasks back."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from textual.app import ComposeResult

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.figures import lasting
from gristmill.supervisor.core.protocol import ConditionView
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.columns import rule
from gristmill.tui.marks import Marks, Runs
from gristmill.tui.present import Mill
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.scrolled import Scrolled

INDENT = 7
"""Cells before a reason: the sign above it and a gap."""


def paragraphs(wrong: Sequence[ConditionView], now: float, marks: Marks, width: int) -> list[Runs]:
    """A heading, then each condition: its sign and age, and below them why."""
    holding = sum(one.holds for one in wrong)
    count = f"  holding new tasks back: {holding} of {len(wrong)}" if wrong else ""
    lines: list[Runs] = [rule((("Conditions", "title"), (count, "muted")), (), width, marks.rule)]
    if not wrong:
        lines.append((("  Nothing is wrong. What waits, waits for room: its row says for what.", "muted"),))
    for one in wrong:
        sign = marks.state("held") if one.holds else ((f"{marks.dot}NOTE", "warn"),)
        age = f"since {figures.full_clock(one.since)}, {lasting(now - one.since)}"
        lines += [(), (("  ", "text"), *sign, (" ", "text"), (one.kind, "strong"), (f"  {age}", "muted"))]
        lines += [((" " * INDENT + part, "text"),) for part in wrap(safe(one.reason), max(20, width - INDENT - 2))]
    return lines


class Conditions(Scrolled):
    """The text of it, as of the last update."""

    wrong: Sequence[ConditionView] = ()
    now = 0.0

    def show(self, wrong: Sequence[ConditionView], now: float) -> None:
        """Show these."""
        self.wrong, self.now = wrong, now
        self.renew()

    def text(self, width: int) -> list[Runs]:
        """All of them."""
        return paragraphs(self.wrong, self.now, self.look.marks, width)


class ConditionsScreen(MillScreen):
    """What is wrong."""

    def compose_body(self) -> ComposeResult:
        """Only the text."""
        yield Conditions(id="conditions")

    def on_mount(self) -> None:
        """The text has the keys."""
        super().on_mount()
        self.home().focus()

    def home(self) -> Conditions:
        """The text."""
        return self.query_one(Conditions)

    def show(self, mill: Mill) -> None:
        """Show this state."""
        self.home().show(mill.daemon.conditions, mill.time)

    def action_conditions(self) -> None:
        """The same key closes it."""
        self.action_back()
