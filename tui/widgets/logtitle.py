"""The line above a log: which it is, and where in it the screen stands. Owns the line; its words are the screen's."""

from __future__ import annotations

from textual.strip import Strip

from gristmill.tui.columns import rule
from gristmill.tui.marks import Runs
from gristmill.tui.widgets.lines import Lines


class LogTitle(Lines):
    """What log it is, whether it goes on, where in it the screen stands, what was searched."""

    DEFAULT_CSS = "LogTitle { height: 1; }"
    left: Runs = ()
    right: Runs = ()

    def show(self, left: Runs, right: Runs) -> None:
        """Show this."""
        self.left, self.right = left, right
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """One rule."""
        return [self.strip(rule(self.left, self.right, width, self.look.marks.rule))]
