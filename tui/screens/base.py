"""What all screens have in common: the bars, the line to type in, and the commands that hold everywhere.

Owns the order of the bars. A screen adds its body, `show`, and the actions of its own commands.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from gristmill.tui.commands import bindings, footer
from gristmill.tui.present import Mill
from gristmill.tui.widgets.bars import Footer, Header

if TYPE_CHECKING:
    from gristmill.tui.app import MillApp


class Prompt(Input):
    """A line to type in, in place of the footer.

    It exists only while it is wanted: an `Input` that is mounted with the first screen can find no screen to ask.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("prompt")

    def __init__(self, placeholder: str, value: str) -> None:
        super().__init__(value, placeholder, id="prompt", compact=True, select_on_focus=False)
        self.cursor_blink = False

    def action_dismiss(self) -> None:
        """Give the text up."""
        screen = self.screen
        assert isinstance(screen, MillScreen)
        screen.close_prompt("")


class MillScreen(Screen[None]):
    """Header, body, footer."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("all")
    ROOMS: tuple[str, ...] = ()
    AUTO_FOCUS = ""
    CSS_PATH = "base.tcss"

    @property
    def mill_app(self) -> MillApp:
        """The app, by its own type."""
        return cast("MillApp", self.app)

    async def ask(self, op: str, **fields: Any) -> Any:
        """Ask the daemon; an errand that gets its answer while its screen is taken down ends here."""
        try:
            return await self.mill_app.ask(op, **fields)
        finally:
            if not self.display:  # what the answer would be shown on may be gone already, before the errand is ended
                raise asyncio.CancelledError

    def compose(self) -> ComposeResult:
        """The bars around the body."""
        yield Header(self.mill_app.host, id="header")
        yield from self.compose_body()
        yield Footer(footer(*self.ROOMS, read_only=self.mill_app.read_only), id="footer")

    def compose_body(self) -> ComposeResult:
        """What is between the bars."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show what is known already."""
        self.call_after_refresh(self.mill_app.present)

    def on_screen_resume(self) -> None:
        """Show what has happened meanwhile."""
        self.mill_app.present()

    def show(self, mill: Mill) -> None:
        """Show this state; called at most once a second, and when something changes here."""

    def say(self, text: str, tone: str = "strong") -> None:
        """One line for the user, in the footer for a while."""
        self.query_one("#footer", Footer).say(text, tone)

    def open_prompt(self, placeholder: str, value: str) -> None:
        """Let the user type a line; `typed` and `entered` get it."""
        if self.query(Prompt):
            return
        self.query_one("#footer").display = False
        prompt = Prompt(placeholder, value)
        self.mount(prompt)
        self.set_focus(prompt)  # at once, not by and by: what is typed behind the key that opened it belongs to it

    def close_prompt(self, text: str) -> None:
        """Take the line away again, and go by this text."""
        self.query(Prompt).remove()
        self.query_one("#footer").display = True
        self.home().focus()
        self.entered(text)

    @on(Input.Changed, "#prompt")
    def _prompt_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.typed(event.value)

    @on(Input.Submitted, "#prompt")
    def _prompt_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close_prompt(event.value)

    def typed(self, text: str) -> None:
        """What stands in the line so far."""

    def entered(self, text: str) -> None:
        """What was typed in the end."""

    def home(self) -> Widget:
        """The widget that has the keys when nothing else has them."""
        raise NotImplementedError

    def action_back(self) -> None:
        """One screen out."""
        self.mill_app.go_back()

    def action_overview(self) -> None:
        """All screens out."""
        self.mill_app.go_home()

    def action_why(self) -> None:
        """Why so many workers run."""
        self.mill_app.open_why()

    def action_machine(self) -> None:
        """The machine in detail."""
        self.mill_app.open_machine()

    def action_help(self) -> None:
        """All keys."""
        self.mill_app.open_help()

    def action_conditions(self) -> None:
        """All that is wrong."""
        self.mill_app.open_conditions()

    def action_palette(self) -> None:
        """Find a command by name."""
        self.app.action_command_palette()

    def action_freeze(self) -> None:
        """Freeze the display, or let it go on."""
        self.mill_app.toggle_freeze()

    def action_theme(self) -> None:
        """Next theme."""
        self.say(f"theme {self.mill_app.next_theme()}")

    def action_leave(self) -> None:
        """Leave; the daemon keeps running."""
        self.app.exit(0)

    def action_lower(self) -> None:
        """Cap the workers one lower."""
        self.mill_app.orders.step_limit(-1)

    def action_raise_limit(self) -> None:
        """Cap the workers one higher."""
        self.mill_app.orders.step_limit(+1)

    def action_limit_auto(self) -> None:
        """Let the daemon find the number again."""
        self.mill_app.orders.set_limit(None)

    def action_pause(self) -> None:
        """Start nothing new, or start again."""
        self.mill_app.orders.pause()

    def action_drain(self) -> None:
        """Ask, then stop the daemon when all that runs has ended."""
        self.mill_app.orders.drain()
