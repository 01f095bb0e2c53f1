"""What is asked of the daemon in depth, and drawn: a study of a job, and the life of a task.

Each asks by itself while it is on the screen, and not again before something can have changed.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import msgspec
from textual.strip import Strip

from gristmill.supervisor.core.answers import (
    CausesView,
    LifeView,
    SweepView,
    TimelineView,
)
from gristmill.supervisor.core.errors import GristError
from gristmill.tui import study
from gristmill.tui.columns import cut, rule
from gristmill.tui.errands import asking, is_out, send
from gristmill.tui.marks import Runs
from gristmill.tui.widgets.lines import Lines
from gristmill.tui.widgets.scrolled import Scrolled

ASPECTS = {"failures": "causes", "sweep": "sweep", "timeline": "timeline"}
"""The studies of a job, and what each is called where it is asked for."""
_VIEWS: dict[str, Any] = {"failures": CausesView, "sweep": SweepView, "timeline": TimelineView}
PAUSE_S, TIMES = 4.0, 25
"""Seconds between two questions, or so many times what the last answer took if that is longer: the daemon may have to
walk through its records for it."""


class Study(Scrolled):
    """One aspect of one job."""

    job = 0
    aspect = "failures"
    hint = ""
    _asked: tuple[str, object] | None = None
    _asked_at = 0.0
    _pause = PAUSE_S
    _note = ""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._known: dict[str, Any] = {}

    def follow(self, job: int, aspect: str, stamp: object, now: float) -> None:
        """Show this aspect; `stamp` is another one when something has ended, `now` the daemon's time."""
        if aspect != self.aspect:
            self.top = 0
        self.job, self.aspect = job, aspect
        due = aspect not in self._known or (self._asked != (aspect, stamp) and now - self._asked_at >= self._pause)
        if due and not is_out(self, "study"):
            self._asked, self._asked_at = (aspect, stamp), now
            send(self, partial(self._look_up, job, aspect), "study", f"{aspect} of {job}")
        self.renew()

    async def _look_up(self, job: int, aspect: str) -> None:
        began = time.monotonic()
        try:
            data = await asking(self).ask(ASPECTS[aspect], job=str(job))
            self._known[aspect] = msgspec.convert(data, _VIEWS[aspect])
            self._note, self._pause = "", max(PAUSE_S, TIMES * (time.monotonic() - began))
        except (GristError, msgspec.ValidationError) as error:
            self._note = str(error)
        self.renew()

    def text(self, width: int) -> list[Runs]:
        """A title, then all of it."""
        marks = self.look.marks
        others = "  ".join(name for name in ASPECTS if name != self.aspect)
        tone = "title" if self.has_focus else "muted"
        title: Runs = ((self.aspect.capitalize(), tone), (f"  Tab: {others}", "faint"))
        lines = [rule(title, ((self.hint, "faint"),) if self.hint else (), width, marks.rule)]
        view = self._known.get(self.aspect)
        if view is None:
            return [*lines, ((f"  {self._note or 'asking the daemon …'}", "muted"),)]
        match view:
            case SweepView():
                return [*lines, *study.sweep(view, width, marks)]
            case CausesView():
                return [*lines, *study.causes(view, width, marks)]
        return [*lines, *study.timeline(view, width, min(16, self.size.height - 1), marks)]

    def watch_has_focus(self, value: bool) -> None:
        """The title shows the focus."""
        super().watch_has_focus(value)
        self.renew()


class LifeGraph(Lines):
    """What one task used over its life."""

    task_id: str | None = None
    _attempt = 0
    _live = False
    _view: LifeView | None = None
    _note = ""
    _due = True

    def follow(self, task: str | None, attempt: int, live: bool) -> None:
        """Show this attempt; while it runs, ask again at each update."""
        changed = (task, attempt) != (self.task_id, self._attempt)
        if changed:
            self._view, self._note, self._due = None, "asking …" if task and attempt else "has not run", True
        self._due = self._due or live or self._live
        self.task_id, self._attempt, self._live = task, attempt, live
        if task is not None and attempt and self._due and not is_out(self, "life"):
            self._due = False
            send(self, partial(self._look_up, task, attempt), "life", f"life of {task}")
        self.renew()

    async def _look_up(self, task: str, attempt: int) -> None:
        try:
            view = msgspec.convert(await asking(self).ask("life", task=task, attempt=attempt), LifeView)
        except (GristError, msgspec.ValidationError) as error:
            view, note = None, str(error)
        else:
            note = ""
        if (task, attempt) == (self.task_id, self._attempt):
            self._view, self._note = view, note
            self.renew()

    def draw(self, width: int, height: int) -> list[Strip]:
        """A title, then the two graphs."""
        marks = self.look.marks
        lines: list[Runs] = [rule((("CPU and memory over its life", "muted"),), (), width, marks.rule)]
        if self._view is None:
            lines.append(((f"  {self._note}", "muted"),))
        else:
            lines += study.life(self._view, width, height - 1, marks)
        return [self.strip(cut(line, width, marks.cut)) for line in lines[:height]]
