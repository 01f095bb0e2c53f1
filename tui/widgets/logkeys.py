"""The keys that move through a log; where they lead is the log view's."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.events import MouseScrollDown, MouseScrollUp

from gristmill.tui.commands import bindings
from gristmill.tui.widgets.lines import Lines

PAN = 8


class LogKeys(Lines):
    """Subclasses give `move`, `to_start`, `follow` and `pan_by`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("moving", "pager")
    can_focus = True

    def move(self, rows: int) -> None:
        """Scroll by so many rows."""
        raise NotImplementedError

    def to_start(self) -> None:
        """To the beginning."""
        raise NotImplementedError

    def follow(self) -> None:
        """To the end, and stay there."""
        raise NotImplementedError

    def pan_by(self, cells: int) -> None:
        """To the side."""
        raise NotImplementedError

    def action_down(self) -> None:
        """A row down."""
        self.move(1)

    def action_up(self) -> None:
        """A row up."""
        self.move(-1)

    def action_page_down(self) -> None:
        """A screen down."""
        self.move(max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        """A screen up."""
        self.move(-max(1, self.size.height - 1))

    def action_first(self) -> None:
        """To the beginning."""
        self.to_start()

    def action_last(self) -> None:
        """To the end, and follow it."""
        self.follow()

    def action_pan_left(self) -> None:
        """Pan to the left."""
        self.pan_by(-PAN)

    def action_pan_right(self) -> None:
        """Pan to the right; wrapped lines have nowhere to pan."""
        self.pan_by(PAN)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Three rows down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Three rows up."""
        event.stop()
        self.move(-3)
