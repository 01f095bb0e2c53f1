"""What is shown while no daemon has ever answered: how to start one."""

from __future__ import annotations

from textual.strip import Strip

from gristmill.tui.columns import cut
from gristmill.tui.marks import Runs
from gristmill.tui.widgets.lines import Lines


class Lobby(Lines):
    """A few lines in the middle of the screen; it goes by itself when a daemon answers."""

    def __init__(self, jobs_dir: str, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self.jobs_dir = jobs_dir
        self.reason = ""
        self.socket = ""

    def show(self, reason: str, socket: str) -> None:
        """Say why nobody answers."""
        self.reason, self.socket = reason, socket
        self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """Centred as a block, so that the lines begin below each other."""
        if not self.reason:
            return []
        lines: list[Runs] = [
            (("No daemon is running for ", "text"), (self.jobs_dir, "strong")),
            (),
            (("  grist up", "key"), ("                 start one here, and this screen", "muted")),
            (("  grist daemon --jobs DIR", "key"), ("  start one in the foreground", "muted")),
            (),
            ((f"{self.reason}: ", "muted"), (self.socket, "faint")),
            (("This screen keeps trying, and comes alive by itself.  q leaves.", "muted"),),
        ]
        block = min(width - 2, 66)
        left = " " * max(1, (width - block) // 2)
        above: list[Runs] = [()] * max(0, (height - len(lines)) // 2 - 1)
        return [self.strip(cut(((left, "text"), *line), width - 1, self.look.marks.cut)) for line in (*above, *lines)]
