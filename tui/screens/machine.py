"""The machine: whose it is at the moment, core by core, memory, pressure, disks, GPUs.

Asks the daemon once an update while it is on top, and never otherwise.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import BindingType

from gristmill.supervisor.core.answers import VitalsView
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.protocol import EngineView
from gristmill.tui import machine
from gristmill.tui.commands import bindings
from gristmill.tui.errands import is_out, send
from gristmill.tui.marks import Runs
from gristmill.tui.present import Mill
from gristmill.tui.screens.base import MillScreen
from gristmill.tui.widgets.graphs import Graphs
from gristmill.tui.widgets.scrolled import Scrolled


class Body(Scrolled):
    """The text of it, as of the last answer."""

    view: VitalsView | None = None
    engines: tuple[EngineView, ...] = ()
    note = "asking the daemon …"

    def text(self, width: int) -> list[Runs]:
        """All of it."""
        said: list[Runs] = [((f"  {self.note}", "warn" if self.view is not None else "muted"),)] if self.note else []
        if self.view is None:
            return said
        return [*said, *machine.whole(self.view, width, self.size.height - len(said), self.look.marks,
                                        self.engines)]  # fmt: skip


class MachineScreen(MillScreen):
    """What the machine does."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("machine")
    ROOMS = ("machine",)
    CSS_PATH: ClassVar[list[str]] = ["base.tcss", "machine.tcss"]  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self._asked_for: tuple[int, float] | None = None

    def compose_body(self) -> ComposeResult:
        """Graphs of the last minutes where there is room, the text below."""
        yield Graphs(id="graphs")
        yield Body(id="body")

    def on_mount(self) -> None:
        """The text has the keys."""
        super().on_mount()
        self.home().focus()

    def home(self) -> Body:
        """The text."""
        return self.query_one(Body)

    def show(self, mill: Mill) -> None:
        """Show this state, and ask again where it is a new one."""
        graphs = self.query_one(Graphs)
        width, height = self.size
        graphs.display = height >= 30 and width >= 60
        graphs.styles.height = 6 if height < 40 else 9
        if graphs.display:
            graphs.show(mill, 3 if width >= 120 else 2)
        self.home().engines = mill.engines
        if self._asked_for != (mill.seq, mill.time) and not is_out(self, "vitals") and not self.mill_app.is_frozen:
            self._asked_for = (mill.seq, mill.time)
            send(self, self._fetch, "vitals", "the machine in detail")

    async def _fetch(self) -> None:
        body = self.home()
        try:
            body.view = msgspec.convert(await self.ask("vitals"), VitalsView)
        except (GristError, msgspec.ValidationError) as error:
            body.note = f"the daemon does not say: {error}"
        else:
            body.note = ""
        body.renew()

    def action_machine(self) -> None:
        """It is open already."""
