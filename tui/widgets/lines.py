"""A widget that is a list of lines, and repaints only the spans that differ from what it showed before.

Owns the way from runs of text and tone to Textual's strips, and so the last check that text is safe for a terminal.
Refuses layout and meaning.
"""

from __future__ import annotations

from typing import Protocol, cast

from rich.segment import Segment
from rich.style import Style
from textual.events import Event, Key, Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.looks import Palette
from gristmill.tui.marks import TO_ASCII, Marks, Runs

AIMED_MOST = 64
"""Keys that may be on their way at once."""


class Painted(Protocol):
    """The part of the app that every widget needs."""

    @property
    def palette(self) -> Palette: ...

    @property
    def marks(self) -> Marks: ...

    @property
    def aimed(self) -> set[int]: ...

    def may_paint(self) -> bool: ...


class Lines(Widget):
    """Subclasses give `draw`; `renew` draws again and refreshes what has changed."""

    DEFAULT_CSS = "Lines { height: 1fr; width: 1fr; }"
    ground = ""
    """Suffix of every tone: `^` for the raised ground of bars."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._strips: list[Strip] = []
        self._theme_drawn = ""

    @property
    def look(self) -> Painted:
        """The palette and the characters in use."""
        return cast("Painted", self.app)

    def draw(self, width: int, height: int) -> list[Strip]:
        """The lines for this size, the top one first; missing ones are blank."""
        raise NotImplementedError

    def renew(self) -> None:
        """Draw again; refresh only the spans that changed."""
        width, height = self.size
        if not width or not height:
            return
        blank = Strip.blank(width, self.tone("text" + self.ground))
        drawn = [strip.adjust_cell_length(width, self.tone("text" + self.ground)) for strip in self.draw(width, height)]
        new = (drawn + [blank] * height)[:height]
        old, self._strips = self._strips, new
        if len(old) != len(new) or self._theme_drawn != self.look.palette.name:
            self._theme_drawn = self.look.palette.name
            self.refresh()
            return
        for y, (before, after) in enumerate(zip(old, new, strict=True)):
            if (span := changed_span(before, after)) is not None:
                self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def render_line(self, y: int) -> Strip:
        """One line, as it was drawn last."""
        if y < len(self._strips) and self._strips[y].cell_length == self.size.width:
            return self._strips[y]
        return Strip.blank(self.size.width, self.tone("text" + self.ground))

    async def on_event(self, event: Event) -> None:
        """A key is noted: one that came while that before it opened a line to type in belongs to that line."""
        if isinstance(event, Key):
            aimed = self.look.aimed
            if len(aimed) > AIMED_MOST:
                aimed.clear()  # some never came back: their screen went with them
            aimed.add(id(event))
        await super().on_event(event)

    def on_resize(self, _: Resize) -> None:
        """Another size is another drawing."""
        self._strips = []
        self.renew()

    def on_mount(self) -> None:
        """Another theme is another drawing, too."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self.renew(), immediate=True)

    def tone(self, name: str) -> Style:
        """The style of a tone in the theme of the moment."""
        return self.look.palette.style(name)

    def strip(self, runs: Runs, suffix: str | None = None) -> Strip:
        """Runs as a strip; whatever is foreign in them can't reach the terminal as a command."""
        ground = self.ground if suffix is None else suffix
        merged: list[tuple[str, str]] = []
        for text, tone in runs:
            if merged and (tone == merged[-1][1] or text.isspace()):
                merged[-1] = (merged[-1][0] + text, merged[-1][1])  # fewer segments are fewer bytes on the line
            elif text:
                merged.append((text, tone))
        if self.look.marks.ascii:
            merged = [(text.translate(TO_ASCII), tone) for text, tone in merged]
        return Strip([Segment(safe(text), self.tone(tone + ground)) for text, tone in merged])


def changed_span(before: Strip, after: Strip) -> tuple[int, int] | None:
    """The cells, from and to, in which two lines differ, in whole segments; None if they are alike."""
    if before == after:
        return None
    old, new = list(before), list(after)
    start = 0
    for left, right in zip(old, new, strict=False):
        if left != right:
            break
        start += left.cell_length
    end = max(before.cell_length, after.cell_length)
    if before.cell_length == after.cell_length:
        for left, right in zip(reversed(old), reversed(new), strict=False):
            if left != right or end - left.cell_length < start:
                break
            end -= left.cell_length
    return (start, end) if end > start else (0, after.cell_length)
