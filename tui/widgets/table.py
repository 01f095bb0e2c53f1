"""A list of any length of which only the visible rows exist; its cursor follows what a row is, not where it stands.

Owns the scrolling and the cursor. What the rows are comes from a `Source`; what a key does with them is a screen's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from textual.binding import BindingType
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip

from gristmill.tui.columns import cut, fit, row, rule, said
from gristmill.tui.commands import bindings
from gristmill.tui.marks import Runs
from gristmill.tui.rows import Context, Layout
from gristmill.tui.widgets.lines import Lines

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """Rows by position, of which some may not be known yet."""

    def __len__(self) -> int: ...

    def row(self, index: int) -> T_co | None:
        """The row at a position; None while it is not known."""
        ...

    def key(self, index: int) -> str | None:
        """What the row at a position is, for good; None while it is not known."""
        ...

    def find(self, key: str) -> int | None:
        """Where that row stands now."""
        ...


class Listed(Generic[T]):
    """A source that has all its rows at hand."""

    def __init__(self, rows: Sequence[T], identify: Callable[[T], str]) -> None:
        self._rows = rows
        self._identify = identify
        self._places: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> T | None:
        """The row at a position."""
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def key(self, index: int) -> str | None:
        """What the row at a position is."""
        return self._identify(self._rows[index]) if 0 <= index < len(self._rows) else None

    def find(self, key: str) -> int | None:
        """Where that row stands now."""
        if self._places is None:
            self._places = {self._identify(row): index for index, row in enumerate(self._rows)}
        return self._places.get(key)


class Table(Lines, Generic[T]):
    """A title in a rule, a line of column names, and rows."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("moving", "list")
    can_focus = True

    class Moved(Message):
        """The cursor stands on another row, or the visible rows are others."""

        def __init__(self, table: Table[Any]) -> None:
            self.table = table
            super().__init__()

        @property
        def control(self) -> Table[Any]:
            """The table that this is about."""
            return self.table

    def __init__(self, layout: Layout[T], *, id: str) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.columns = layout
        self.source: Source[T] = Listed[T]([], str)
        self.context: Context | None = None
        self.title: Runs = ()
        self.aside: Runs = ()
        self.empty: str = ""
        self.cursor = 0
        self.top = 0
        self.key: str | None = None
        self.marked: set[str] = set()
        self.tag: Callable[[T], str | None] | None = None
        """What a mark binds to, where that is not the row's own key: a worker's task, not the worker."""

    def show(self, source: Source[T], context: Context, title: Runs, aside: Runs = ()) -> None:
        """Show these rows; the cursor stays with the row it is on, or in place where that row is gone."""
        self.source, self.context, self.title, self.aside = source, context, title, aside
        place = source.find(self.key) if self.key is not None else None
        if place is not None:
            self.cursor = place
        self._settle()

    @property
    def current(self) -> T | None:
        """The row under the cursor."""
        return self.source.row(self.cursor)

    @property
    def visible_rows(self) -> int:
        """How many rows find room under the title and the names of the columns."""
        return max(0, self.size.height - 2)

    def go_to(self, index: int) -> None:
        """Put the cursor on a position."""
        self.cursor = index
        self.key = None
        self._settle()

    def go_to_key(self, key: str) -> None:
        """Put the cursor on a row, now or when it comes."""
        self.key = key
        place = self.source.find(key)
        if place is not None:
            self.cursor = place
            self.top = place - self.visible_rows // 2
        self._settle()

    def _settle(self) -> None:
        before = (self.key, self.top)
        last = max(0, len(self.source) - 1)
        self.cursor = max(0, min(self.cursor, last))
        if (key := self.source.key(self.cursor)) is not None:
            self.key = key
        rows = max(1, self.visible_rows)
        self.top = max(0, min(self.top, self.cursor, len(self.source) - rows))
        if self.cursor >= self.top + rows:
            self.top = self.cursor - rows + 1
        self.renew()
        if before != (self.key, self.top):
            self.post_message(self.Moved(self))

    def draw(self, width: int, height: int) -> list[Strip]:
        """The title, the names of the columns, the visible rows."""
        marks = self.look.marks
        title = tuple((text, "title" if tone == "title" and self.has_focus else "muted" if tone == "title" else tone)
                      for text, tone in self.title)  # fmt: skip
        lines = [self.strip(rule(title, self.aside, width, marks.rule))]
        if self.context is None:
            return lines
        columns = self.columns.columns
        fitted = fit(columns, width - 4)
        names = row(columns, fitted, [said(column.title, "muted") for column in columns], marks.cut)
        lines.append(self.strip((("  ", "muted"), *names)))
        if not len(self.source) and self.empty:
            lines.append(self.strip((("  " + self.empty, "muted"),)))
        thumb = self._thumb(height - 2)
        shown = range(min(height - 2, len(self.source) - self.top))
        return [*lines, *(self._draw_row(self.top + line, fitted, width, line in thumb) for line in shown)]

    def _draw_row(self, index: int, fitted: list[tuple[int, int]], width: int, thumb: bool) -> Strip:
        context = self.context
        assert context is not None
        marks = context.marks
        under_cursor = index == self.cursor
        suffix = "+" if under_cursor and self.has_focus else ""
        cursor = marks.cursor if self.has_focus else marks.resting
        is_marked = self._tag_at(index) in self.marked
        sign = cursor if under_cursor else marks.marked if is_marked else " "
        second = marks.marked if under_cursor and is_marked else " "
        runs: list[tuple[str, str]] = [(sign, "accent" if self.has_focus else "muted"), (second, "accent")]
        value = self.source.row(index)
        if value is None:
            runs.append((marks.dot * 3, "faint"))
        else:
            draws = [partial(cell.show, value, context) for cell in self.columns.cells]
            runs += row(self.columns.columns, fitted, draws, marks.cut)
        line = cut(tuple(runs), width - 1, marks.cut)
        return self.strip((*line, (marks.thumb if thumb else " ", "faint")), suffix)

    def _thumb(self, rows: int) -> range:
        """The lines on which the scroll bar is drawn."""
        total = len(self.source)
        if total <= rows or rows < 1:
            return range(0)
        length = max(1, rows * rows // total)
        start = round(self.top / (total - rows) * (rows - length))
        return range(start, start + length)

    def move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self.go_to(self.cursor + by)

    def action_down(self) -> None:
        """Next row."""
        self.move(1)

    def action_up(self) -> None:
        """The row before."""
        self.move(-1)

    def action_page_down(self) -> None:
        """A screen further."""
        self.move(max(1, self.visible_rows - 1))

    def action_page_up(self) -> None:
        """A screen back."""
        self.move(-max(1, self.visible_rows - 1))

    def action_first(self) -> None:
        """To the first row."""
        self.go_to(0)

    def action_last(self) -> None:
        """To the last row."""
        self.go_to(len(self.source) - 1)

    def action_mark(self) -> None:
        """Mark this row, or take the mark away, and go to the next."""
        if (tag := self._tag_at(self.cursor)) is not None:
            self.marked ^= {tag}
            self.move(1)

    def _tag_at(self, index: int) -> str | None:
        row = self.source.row(index)
        return self.source.key(index) if self.tag is None or row is None else self.tag(row)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.move(-3)

    def on_click(self, event: Click) -> None:
        """A click puts the cursor on a row."""
        if 0 <= (index := self.top + event.y - 2) < len(self.source) and event.y >= 2:
            self.go_to(index)

    def watch_has_focus(self, value: bool) -> None:
        """The title and the cursor's row show the focus."""
        super().watch_has_focus(value)
        self.renew()
        if value:
            self.post_message(self.Moved(self))
