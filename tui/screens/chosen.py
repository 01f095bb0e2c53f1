"""Screens with a list: what can be done to the rows that are marked, or to the one under the cursor.

Owns the commands that every list has. Which rows those are, and what they are called, the screen says.
"""

from __future__ import annotations

from typing import Any

from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.table import Table


class ListScreen(MillScreen):
    """A screen whose `home` is a list."""

    def home(self) -> Table[Any]:
        """The list that has the keys."""
        raise NotImplementedError

    def selection(self) -> tuple[str | None, str]:
        """The task or job under the cursor, as an id and as people call it."""
        raise NotImplementedError

    def marked(self) -> list[str]:
        """The ids of what is marked in the list and still there."""
        raise NotImplementedError

    def targets(self) -> list[str]:
        """The ids that a command is for; where marks are, never the row under the cursor, even if all have gone."""
        if self.home().marked:
            return self.marked()
        target = self.selection()[0]
        return [target] if target else []

    def action_log(self) -> None:
        """To the log, or to those of all that is marked."""
        if len(marked := self.targets()) > 1:
            self.mill_app.open_logs(marked)
            return
        self.mill_app.open_log(*self.selection())

    def action_cancel(self) -> None:
        """Ask, then cancel."""
        self.mill_app.orders.cancel(self.targets(), self.home().marked)

    def action_kill(self) -> None:
        """Ask, then cancel without a long grace."""
        self.mill_app.orders.cancel(self.targets(), self.home().marked, kill=True)

    def action_hold(self) -> None:
        """Hold the jobs, or release them."""
        self.mill_app.orders.hold(self.targets(), self.home().marked)

    def action_prefer(self) -> None:
        """A higher priority."""
        self.mill_app.orders.prefer(self.targets(), +1)

    def action_defer(self) -> None:
        """A lower priority."""
        self.mill_app.orders.prefer(self.targets(), -1)

    def action_retry(self) -> None:
        """Run again what failed."""
        self.mill_app.orders.retry(self.targets(), self.home().marked)

    def action_copy(self) -> None:
        """The id of the row."""
        self.mill_app.copy(self.selection()[0] or "")
