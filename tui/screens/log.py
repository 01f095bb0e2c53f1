"""The log of one task, live."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.strip import Strip

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import GristError
from gristmill.tui.columns import rule
from gristmill.tui.commands import bindings
from gristmill.tui.errands import is_out, send
from gristmill.tui.marks import Runs
from gristmill.tui.present import Mill
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.lines import Lines
from gristmill.tui.widgets.logview import LogView


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


class LogScreen(MillScreen):
    """A log and its title."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("log")
    ROOMS = ("log",)
    CSS_PATH: ClassVar[list[str]] = ["base.tcss", "log.tcss"]  # type: ignore[assignment]

    def __init__(self, task: str, name: str) -> None:
        super().__init__()
        self.task_id = task
        self.task_name = name
        self.state = ""
        self.live = False
        self.attempt = 0

    def compose_body(self) -> ComposeResult:
        """Title and log."""
        yield LogTitle(id="title")
        yield LogView(id="view")

    def on_mount(self) -> None:
        """The log has the keys."""
        super().on_mount()
        self.home().focus()
        self._title()

    def home(self) -> LogView:
        """The log."""
        return self.query_one(LogView)

    def show(self, mill: Mill) -> None:
        """Ask again where the log is, as long as that may change."""
        if not self.state or self.live or self.home().log_file is None:
            self._ask()

    def _ask(self) -> None:
        if not is_out(self, "log"):
            send(self, self._look_up, "log", f"log of {self.task_id}")

    async def _look_up(self) -> None:
        try:
            data = await self.ask("log", task=self.task_id)
        except GristError as error:
            self.home().open(self.home().path, str(error))
            return
        self.live, self.state, self.attempt = bool(data["live"]), str(data["state"]), int(data.get("attempt") or 0)
        note = "nothing written yet" if self.live else f"nothing was written; the task is {self.state}"
        self.home().open(data["path"], note)
        self._title()

    @on(LogView.Changed)
    def _changed(self, event: LogView.Changed) -> None:
        event.stop()
        self._title()

    def _title(self) -> None:
        view, marks = self.home(), self.mill_app.marks
        left: list[tuple[str, str]] = [(f"Log  {self.task_name}", "title")]
        if self.state:
            left += [("  ", "text"), *marks.state(self.state)]
        if self.attempt > 1:
            left.append((f"  attempt {self.attempt}", "warn"))
        if view.end:
            partly = "" if view.counted_to >= view.end else "+"
            left.append((f"  {figures.count(view.lines)}{partly} lines  {figures.size(view.end)}", "muted"))
        right: list[tuple[str, str]] = []
        if view.matches is not None:
            total = len(view.matches.starts)
            at = f"{view.match + 1}/" if view.match is not None else ""
            ends = "+" if view.matches.full or (view.matches.read_to < view.end and view.matches.starts) else ""
            right.append((f"/{view.matches.text} {at}{figures.count(total)}{ends}  ", "accent" if total else "warn"))
        if view.wrap:
            right.append(("wrap  ", "muted"))
        elif view.pan:
            right.append((f"+{view.pan} cells  ", "muted"))
        if view.following:
            right.append((f"{marks.live} follow", "ok") if self.live else ("end", "muted"))
        else:
            new = f" +{figures.count(view.new_lines)} new (f)" if view.new_lines else " (f)"
            right.append((f"PAUSED{new}  {view.place / max(1, view.end):.0%}", "warn"))
        self.query_one(LogTitle).show(tuple(left), tuple(right))

    def action_follow(self) -> None:
        """To the end, and stay there."""
        self.home().follow()

    def action_wrap(self) -> None:
        """Wrap, or pan."""
        self.home().toggle_wrap()

    def action_search(self) -> None:
        """Type what to look for."""
        matches = self.home().matches
        self.open_prompt("search; lower case finds both", matches.text if matches else "")

    def entered(self, text: str) -> None:
        """Look for it."""
        self.home().search(text)

    def action_next_match(self) -> None:
        """Further down."""
        self.home().step_match(forward=True)

    def action_last_match(self) -> None:
        """Further up."""
        self.home().step_match(forward=False)

    def action_copy(self) -> None:
        """The path of the log."""
        self.mill_app.copy(self.home().path or "")

    def action_back(self) -> None:
        """End the search, then one screen out."""
        if self.home().matches is not None:
            self.home().search("")
        else:
            super().action_back()
