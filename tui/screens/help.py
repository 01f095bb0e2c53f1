"""All keys, from the table of commands, and what the signs mean."""

from __future__ import annotations

from textual.app import ComposeResult

from gristmill.tui.columns import cut, width_of
from gristmill.tui.commands import ROOMS, commands_in
from gristmill.tui.marks import SIGNS, Marks, Runs
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.scrolled import Scrolled


def sections(marks: Marks, read_only: bool) -> list[list[Runs]]:
    """A block of lines for each room, and one for the signs."""
    blocks: list[list[Runs]] = []
    for room, title in ROOMS.items():
        keyed = [command for command in commands_in(room, read_only=read_only) if command.shown]
        if keyed:
            blocks.append([((f" {title}", "title"),)] + [
                ((f"  {command.shown:<7}", "key"), (command.help, "text")) for command in keyed])  # fmt: skip
    blocks.append([
        ((" Copying text", "title"),),
        (("  Shift", "key"), ("-drag selects in most terminals; --no-mouse leaves them the mouse altogether", "text")),
    ])
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


class Keys(Scrolled):
    """The text of the help."""

    read_only = False

    def text(self, width: int) -> list[Runs]:
        """All keys and signs."""
        return flow(sections(self.look.marks, self.read_only), width)


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
