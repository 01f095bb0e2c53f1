"""Why so many workers run: what each constraint allows, the measured curve, what was learned, and what was decided.

Asks the daemon once an update while it is on top, and never otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.events import Resize

from gristmill.supervisor.core.answers import WhyView
from gristmill.supervisor.core.errors import GristError
from gristmill.tui import curve, why
from gristmill.tui.commands import bindings
from gristmill.tui.errands import is_out, send
from gristmill.tui.present import Mill
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.bars import Header
from gristmill.tui.widgets.reasons import Curve, Known, Limits, Story, top

BARS = 3
"""Lines of header and footer."""
LEAST = 7
"""Lines that kinds and history keep."""
OLD_S = 5.0
"""An answer older than this is said to be old."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who gets which lines; 0 is not shown. `whole`: the list alone, with everything in it."""

    limits: int
    curve: int
    wide: bool = False
    whole: bool = False


def plan(width: int, height: int, rows: int, measured: bool = True) -> Plan:
    """Share the screen, `rows` being what the limits would like: the curve gets what they and the story leave."""
    room = height - BARS - LEAST
    if width < 60 or room < 5:
        return Plan(0, 0, whole=True)
    if width >= 120 and height >= 30:
        upper = max(rows + 8, (height - BARS) * 3 // 5)
        return Plan(upper, upper, wide=True)
    limits = min(rows, room)
    left = room - limits
    wanted = 9 if measured else 2
    return Plan(limits, min(wanted, left) if left >= curve.LEAST else 0)


class WhyScreen(MillScreen):
    """The reasons."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("why")
    ROOMS = ("why",)
    CSS_PATH: ClassVar[list[str]] = ["base.tcss", "why.tcss"]  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self._answer: WhyView | None = None
        self._answered_at = 0.0
        self._refused = ""
        self._asked_for: tuple[int, float] | None = None
        self._plan: Plan | None = None

    def compose_body(self) -> ComposeResult:
        """The limits and the curve above, or beside each other; the story below."""
        with Container(id="upper"):
            yield Limits(id="limits")
            yield Curve(id="curve")
        yield Story(id="story")

    def on_mount(self) -> None:
        """The story has the keys."""
        super().on_mount()
        self.query_one(Header).hint = ""
        self.home().focus()

    def home(self) -> Story:
        """What is scrolled."""
        return self.query_one(Story)

    def show(self, mill: Mill) -> None:
        """Show this state, and ask again where it is a new one."""
        self._draw(mill)
        if self._asked_for != (mill.seq, mill.time) and not is_out(self, "why"):
            self._asked_for = (mill.seq, mill.time)
            send(self, self._fetch, "why", "why so many workers run")

    async def _fetch(self) -> None:
        try:
            answer = msgspec.convert(await self.ask("why"), WhyView)
        except (GristError, msgspec.ValidationError) as error:
            self._refused = str(error)
        else:
            if self.mill_app.is_frozen and self._answer is not None:
                return  # asked before the display was frozen, answered after
            self._answer, self._refused = answer, ""
        mill = self.mill_app.shown
        if mill is not None:
            if not self._refused:
                self._answered_at = mill.time
            self._draw(mill)

    def _known(self, mill: Mill) -> Known:
        """What is known: the newest answer, or as long as there is none what every update says."""
        answer = self._answer
        if answer is None:
            note = f"the daemon does not say more: {self._refused}" if self._refused else "asking the daemon …"
            view = WhyView(limit=mill.limit, binding="user" if mill.limit.mode == "fixed" else "")
            return Known(view, tuple(why.joined(mill.decisions, ())), mill.time, note)
        age = mill.time - self._answered_at
        note = ""
        if self._refused or age > OLD_S:
            note = f"as it was {age:.0f} s ago" + (f": {self._refused}" if self._refused else "")
        return Known(answer, tuple(why.joined(mill.decisions, answer.decisions)), mill.time, note)

    def _draw(self, mill: Mill) -> None:
        known = self._known(mill)
        self._arrange(known)
        shared = self._plan
        assert shared is not None
        if not shared.whole:
            self.query_one(Limits).show(known, shared.wide)
            if shared.curve:
                self.query_one(Curve).show(known)
        self.home().show(known, shared.whole, not shared.wide)

    def _arrange(self, known: Known) -> None:
        view = known.view
        rows = len(top(known, self.size.width, 99, self.query_one(Limits)))
        wanted = plan(*self.size, rows, bool(view.curve))
        if wanted == self._plan:
            return
        self._plan = wanted
        self.set_class(wanted.wide, "wide")
        upper, curve_shown = self.query_one("#upper"), self.query_one(Curve)
        upper.display = not wanted.whole
        curve_shown.display = wanted.curve > 0
        upper.styles.height = max(1, wanted.limits if wanted.wide else wanted.limits + wanted.curve)
        self.query_one(Limits).styles.height = max(1, wanted.limits)
        curve_shown.styles.height = max(1, wanted.curve)

    def on_resize(self, _: Resize) -> None:
        """Another size is another plan."""
        if self.mill_app.shown is not None:
            self._draw(self.mill_app.shown)

    def action_why(self) -> None:
        """It is open already."""
