"""A text that is longer than the screen: the part of it that is shown, and the keys that move it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.strip import Strip

from gristmill.tui.columns import cut
from gristmill.tui.commands import bindings
from gristmill.tui.marks import Runs
from gristmill.tui.widgets.lines import Lines


class Scrolled(Lines):
    """Subclasses give `text`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("moving")
    can_focus = True
    top = 0

    def text(self, width: int) -> list[Runs]:
        """All lines, for this width."""
        raise NotImplementedError

    def draw(self, width: int, height: int) -> list[Strip]:
        """The part of it that is on the screen."""
        lines = self.text(width)
        self.top = max(0, min(self.top, len(lines) - height))
        more = len(lines) - self.top - height
        shown = [self.strip(cut(line, width, self.look.marks.cut)) for line in lines[self.top : self.top + height]]
        if more > 0 and shown:
            shown[-1] = self.strip(((f"  {more + 1} more lines below (j, PgDn)", "muted"),))
        return shown

    def _move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.renew()

    def action_down(self) -> None:
        """A line down."""
        self._move(1)

    def action_up(self) -> None:
        """A line up."""
        self._move(-1)

    def action_page_down(self) -> None:
        """A screen down."""
        self._move(max(1, self.size.height - 2))

    def action_page_up(self) -> None:
        """A screen up."""
        self._move(-max(1, self.size.height - 2))

    def action_first(self) -> None:
        """To the beginning."""
        self._move(-self.top)

    def action_last(self) -> None:
        """To the end."""
        self._move(10_000)
