"""A question about something that can't be undone. It names what it is about by id, and is bound to that id: rows may
move under it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.strip import Strip

from gristmill.tui.columns import cut
from gristmill.tui.commands import bindings
from gristmill.tui.marks import Runs
from gristmill.tui.widgets.lines import Lines


class Asked(Lines):
    """The text of the question; the facts may change while it is open."""

    ground = "^"

    def __init__(self, text: str) -> None:
        super().__init__(id="asked")
        self.text = text
        self.facts: tuple[str, ...] = ()

    def draw(self, width: int, height: int) -> list[Strip]:
        """The question, the facts, the keys."""
        facts: list[Runs] = [((f"  {fact}", "muted"),) for fact in self.facts]
        keys: Runs = (("  y", "key"), (" yes    ", "muted"), ("n", "key"), (" no", "muted"))
        lines: list[Runs] = [(), ((f"  {self.text}", "strong"),), *facts, (), keys]
        return [self.strip(cut(line, width, self.look.marks.cut)) for line in lines]


class Question(ModalScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("question")
    CSS_PATH = "question.tcss"

    def __init__(self, text: str, ids: tuple[str, ...], notes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.text = text
        self.ids = ids
        self.notes = notes

    def compose(self) -> ComposeResult:
        """The question in the middle."""
        yield Asked(self.text)

    def show_facts(self, facts: tuple[str, ...]) -> None:
        """What these ids are now."""
        asked = self.query_one(Asked)
        asked.facts = facts
        asked.styles.height = len(facts) + 5
        asked.renew()

    def action_yes(self) -> None:
        """Do it."""
        self.dismiss(True)

    def action_no(self) -> None:
        """Leave it."""
        self.dismiss(False)
