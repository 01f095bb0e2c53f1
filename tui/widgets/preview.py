"""The last lines of the log of whatever is selected, beside the lists."""

from __future__ import annotations

from functools import partial

from rich.segment import Segment
from textual.strip import Strip

from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.sanitise import colour_runs
from gristmill.tui.columns import rule
from gristmill.tui.errands import asking, is_out, send
from gristmill.tui.logfile import open_log
from gristmill.tui.widgets.lines import Lines

ASK_EVERY = 3
"""Updates between two questions for the log of the same target: a task may end, another of the job may begin."""


class Preview(Lines):
    """Follows a target, which is a job or a task; what it shows is read anew at each update."""

    target: str | None = None
    label = ""
    _path: str | None = None
    _shown_task: str | None = None
    _note = ""
    _state = ""
    _live = True
    _turn = 0

    def follow(self, target: str | None, name: str, state: str = "") -> None:
        """Show the log of this job or task, called `name`; read what was added since. In another state, ask anew."""
        changed = (target, state) != (self.target, self._state)
        self.target, self.label, self._state = target, name, state
        self._turn += 1
        if changed:
            self._path, self._shown_task, self._live, self._turn = None, None, True, 0
            self._note = "asking for the log …" if target else "nothing selected that has a log"
        due = self._turn % ASK_EVERY == 0 and (self._live or self._path is None) and not is_out(self, "preview")
        if target is not None and (changed or due):
            send(self, partial(self._look_up, target), "preview", f"log of {target}", only=True)
        self.renew()

    async def _look_up(self, target: str) -> None:
        app = asking(self)
        try:
            task = await app.task_of(target)
            data = await app.ask("log", task=task) if task is not None else {}
        except GristError as error:
            data, task = {}, None
            self._note = str(error)
        else:
            still = "nothing written yet" if data.get("live") else "nothing was written"
            self._note = still if task else "no task has started yet"
        if target == self.target:
            self._path, self._shown_task, self._live = data.get("path"), task, bool(data.get("live"))
            self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """A title and the tail of the log."""
        marks = self.look.marks
        named = self._shown_task is not None and self.target is not None and "/" in self.target
        number = "" if named or not self._shown_task else "/" + self._shown_task.rpartition("/")[2]
        title = f"Log  {self.label}{number}" if self.label else "Log"
        lines = [self.strip(rule(((title, "muted"),), (), width, marks.rule))]
        note, tail = self._note, []
        try:
            log = open_log(self._path)
            if log is not None:
                with log:
                    tail = log.last_lines(max(0, height - 1))
        except OSError as error:
            note = f"can't read the log: {error.strerror}"
        if not tail:
            lines.append(self.strip(((f"  {note}", "muted"),)))
        palette = self.look.palette
        for line in tail:
            segments = [Segment(text, palette.sgr(look)) for text, look in colour_runs(line)]
            lines.append(Strip([Segment("  ", self.tone("text")), *segments]).crop(0, width))
        return lines
