"""All keys, from the table of commands, and what the signs mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.strip import Strip

from gristmill.tui.columns import cut, width_of
from gristmill.tui.commands import ROOMS, bindings, commands_in
from gristmill.tui.marks import SIGNS, Marks, Runs
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.lines import Lines


def sections(marks: Marks, read_only: bool) -> list[list[Runs]]:
    """A block of lines for each room, and one for the signs."""
    blocks: list[list[Runs]] = []
    for room, title in ROOMS.items():
        keyed = [command for command in commands_in(room, read_only=read_only) if command.shown]
        if keyed:
            blocks.append([((f" {title}", "title"),)] + [
                ((f"  {command.shown:<7}", "key"), (command.help, "text")) for command in keyed])  # fmt: skip
    signs: list[Runs] = [((" Signs", "title"),)]
    for state in SIGNS:
        runs = marks.state(state)
        signs.append((("  ", "text"), *runs, (" " * (9 - width_of(runs)), "text"), (state, "muted")))
    return [*blocks, signs]


def flow(blocks: list[list[Runs]], width: int) -> list[Runs]:
    """The blocks below each other, or in two columns where there is room; none is torn apart."""
    if width < 130:
        return [line for block in blocks for line in (*block, ())][:-1]
    columns: list[list[Runs]] = [[], []]
    total = sum(len(block) + 1 for block in blocks)
    for block in blocks:
        columns[0 if len(columns[0]) + len(block) <= total / 2 + 3 and not columns[1] else 1] += [*block, ()]
    half = width // 2
    lines = max(map(len, columns))
    left, right = ([*column, *[()] * (lines - len(column))] for column in columns)
    return [(*cut(one, half), *other) for one, other in zip(left, right, strict=True)]


class Keys(Lines):
    """The text of the help, scrolled where it is too long."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("moving")
    can_focus = True
    top = 0
    read_only = False

    def draw(self, width: int, height: int) -> list[Strip]:
        """The part of it that is on the screen."""
        lines = flow(sections(self.look.marks, self.read_only), width)
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


class HelpScreen(MillScreen):
    """The help."""

    def compose_body(self) -> ComposeResult:
        """Only the text."""
        yield Keys(id="keys")

    def on_mount(self) -> None:
        """The text has the keys."""
        super().on_mount()
        keys = self.home()
        keys.read_only = self.mill_app.read_only
        keys.focus()

    def home(self) -> Keys:
        """The text."""
        return self.query_one(Keys)

    def action_help(self) -> None:
        """The same key closes it."""
        self.action_back()
