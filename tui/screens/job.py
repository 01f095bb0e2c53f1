"""One job: its head, its tasks page by page and live, all about the task under the cursor, and the job in depth.

A wide screen shows all of it at once, a narrow one an aspect at a time.
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Resize

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.errors import GristError
from gristmill.supervisor.core.protocol import JobView, TaskView
from gristmill.tui.commands import bindings
from gristmill.tui.errands import is_out, send
from gristmill.tui.pages import PAGE, TaskPages
from gristmill.tui.present import OPEN, Mill
from gristmill.tui.rows import TASKS, TASKS_BEYOND, Context
from gristmill.tui.screens.chosen import ListScreen
from gristmill.tui.widgets.details import JobHead, TaskDetails
from gristmill.tui.widgets.preview import Preview
from gristmill.tui.widgets.studies import ASPECTS as STUDIES
from gristmill.tui.widgets.studies import LifeGraph, Study
from gristmill.tui.widgets.table import Table

ASPECTS = ("tasks", "task", *STUDIES)
"""What a narrow screen shows one after the other."""
STATES = ("", "running", "failed", "queued", "done")
"""The choices that `s` goes through; the empty one is all."""
KNOWN = ("queued", "waiting", "held", "starting", "running", "paused", "done", "failed", "timeout", "oom", "canceled",
         "lost", "interrupted")  # fmt: skip


class Answer(msgspec.Struct):
    """What `tasks` answers."""

    job: JobView
    tasks: list[TaskView]
    total: int


class JobScreen(ListScreen):
    """The tasks of a job."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("rows", "job")
    ROOMS = ("rows", "job")
    CSS_PATH: ClassVar[list[str]] = ["base.tcss", "job.tcss"]  # type: ignore[assignment]

    def __init__(self, job: int, task: str | None = None) -> None:
        super().__init__()
        self.job = job
        self.view: JobView | None = None
        self.pages = TaskPages()
        self.state = ""
        self._sought = task
        self._drawn: JobView | None = None
        self._stale = True
        self.aspect = "tasks"
        self.study = ""
        """The study that is shown, or was last; "" until the first is chosen by what there is to tell."""

    def compose_body(self) -> ComposeResult:
        """Head, tasks, and to the right what is known of one of them."""
        yield JobHead(id="head")
        with Horizontal(id="middle"):
            with Vertical(id="left"):
                yield Table[TaskView](TASKS, id="tasks")
                yield Study(id="study")
            with Vertical(id="side"):
                yield TaskDetails(id="details")
                yield LifeGraph(id="life")
                yield Preview(id="preview")

    def on_mount(self) -> None:
        """The list has the keys."""
        super().on_mount()
        table = self.home()
        table.empty = "No tasks in this state."
        table.focus()

    def home(self) -> Table[TaskView]:
        """The list of tasks."""
        return self.query_one("#tasks", Table)

    def show(self, mill: Mill) -> None:
        """Show this state, and ask for the tasks again where they may have changed."""
        self.view = mill.jobs.get(self.job, self.view)
        note = "asking for the job …" if self.view is None else ""
        self.query_one(JobHead).show(self.view, mill.time, note)
        self._show_tasks(mill)
        if self.view is None or self.view.state in OPEN or self.view != self._drawn or self._stale:
            self._drawn = self.view
            self.refresh_tasks()

    def _show_tasks(self, mill: Mill) -> None:
        name = f"  {self.state} only" if self.state else ""
        title = (("Tasks", "title"), (f"  {figures.count(len(self.pages))}{name}", "muted"))
        table = self.home()
        table.columns = TASKS if self.view is None or self.view.where == "local" else TASKS_BEYOND
        table.show(self.pages, Context(mill.time, self.mill_app.marks), title)
        self._show_side()

    @property
    def wide(self) -> bool:
        """Whether there is room for everything at once."""
        return self.size.width >= 120 and self.size.height >= 30

    def _arrange(self) -> None:
        """Show what the size and the aspect allow."""
        study = self.query_one(Study)
        self.set_class(self.wide and self.aspect == "tasks", "wide")
        self.home().display = self.aspect == "tasks"
        study.display = self.aspect in STUDIES or self.has_class("wide")
        self.query_one("#left").display = self.aspect != "task"
        self.query_one("#side").display = self.aspect == "task" or self.has_class("wide")
        study.hint = "z zoom" if self.has_class("wide") else "z back"

    def _show_side(self) -> None:
        self._arrange()
        mill, task, study = self.mill_app.shown, self.home().current, self.query_one(Study)
        if mill is None:
            return
        if self.query_one("#side").display:
            self.query_one(TaskDetails).show(task, mill.time, self.view.attempts if self.view else 1)
            live = task is not None and task.state in ("running", "paused")
            self.query_one(LifeGraph).follow(task.id if task else None, task.attempts if task else 0, live)
            self.query_one(Preview).follow(*self.selection(), task.state if task is not None else "")
        if study.display and self.view is not None:
            self.study = self.study or self._telling()
            stamp = (self.view.state, self.view.items_done, self.view.items_failed)
            study.follow(self.job, self.study, stamp, mill.time)

    def _telling(self) -> str:
        """The study that has most to tell."""
        first = self.pages.row(0)
        if self.view is not None and self.view.items_failed:
            return "failures"
        return "sweep" if first is not None and first.params else "timeline"

    def on_resize(self, _: Resize) -> None:
        """A wide screen has room for more."""
        if self.wide and self.aspect != "tasks":
            self._look_at("tasks")
        self._show_side()

    def _look_at(self, aspect: str) -> None:
        self.aspect = aspect
        self.study = aspect if aspect in STUDIES else self.study
        self._show_side()
        (self.query_one(Study) if aspect in STUDIES else self.home()).focus()

    def _turn(self, by: int) -> None:
        if self.has_class("wide"):
            names = list(STUDIES)
            self.study = names[(names.index(self.study or names[0]) + by) % len(names)]
            self._show_side()
        else:
            self._look_at(ASPECTS[(ASPECTS.index(self.aspect) + by) % len(ASPECTS)])

    def action_next_panel(self) -> None:
        """The next aspect of the job."""
        self._turn(+1)

    def action_last_panel(self) -> None:
        """The one before."""
        self._turn(-1)

    def action_zoom(self) -> None:
        """The study on the whole screen, and back."""
        self._look_at("tasks" if self.aspect in STUDIES else self.study or self._telling())

    def refresh_tasks(self) -> None:
        """Ask for the pages on the screen, unless an answer is still to come."""
        if self.home().source is not self.pages:
            return
        if is_out(self, "tasks"):
            self._stale = True
            return
        self._stale = False
        send(self, self._fetch, "tasks", f"tasks of {self.job}")

    async def _fetch(self) -> None:
        table, state, sought = self.home(), self.state, self._sought
        place = _by_number(sought) if sought is not None else table.top
        first = place - 1 if sought is not None else place
        numbers = self.pages.wanted(first, place + max(1, table.visible_rows), len(self.pages) or place + 1)
        found: dict[int, list[TaskView]] = {}
        total = 0
        for number in numbers[:3]:
            try:
                data = await self.ask("tasks", job=str(self.job), offset=number * PAGE, limit=PAGE, state=state or None)
            except GristError as error:
                self.query_one(JobHead).show(self.view, table.context.now if table.context else 0, str(error))
                return
            answer = msgspec.convert(data, Answer)
            total = answer.total
            if state and len(answer.tasks) < PAGE:  # a daemon may count all tasks where it lists one state
                total = min(total, number * PAGE + len(answer.tasks))
            found[number] = answer.tasks
            if self.view is None:
                self.view = answer.job
        if state == self.state and self.mill_app.shown is not None and not self.mill_app.is_frozen:
            self.pages.renew(total, dict(found))
            if sought is not None and sought == self._sought:
                self._sought = None
                table.go_to_key(sought)
            self._show_tasks(self.mill_app.shown)
            if self.view is not None:
                self.query_one(JobHead).show(self.view, self.mill_app.shown.time)

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        event.stop()
        self._show_side()
        table = self.home()
        if any(self.pages.row(index) is None
               for index in range(table.top, min(table.top + table.visible_rows, len(self.pages)))):  # fmt: skip
            self.refresh_tasks()

    def selection(self) -> tuple[str | None, str]:
        """The task under the cursor, as an id and as people call it."""
        task = self.home().current
        if task is None:
            return None, ""
        return task.id, f"{self.view.name if self.view else self.job}/{task.number}"

    def marked(self) -> list[str]:
        """The ids of the marked tasks, in order."""
        return sorted(self.home().marked, key=_by_number)

    def action_open(self) -> None:
        """In, to the log."""
        self.action_log()

    def action_sort(self) -> None:
        """Next choice of states."""
        place = STATES.index(self.state) if self.state in STATES else -1
        self._choose(STATES[(place + 1) % len(STATES)])

    def action_filter(self) -> None:
        """Type a state, or the number of a task."""
        self.open_prompt("a state (run, fail, queued …) or the number of a task", self.state)

    def entered(self, text: str) -> None:
        """Go to the task, or show one state only."""
        text = text.strip().casefold().removeprefix("state:")
        if re.fullmatch(r"\d{1,12}", text):
            self._go_to(int(text))
            return
        state = next((state for state in KNOWN if text and state.startswith(text)), "")
        if text and not state:
            self.say(f"{text}: no such state", "warn")
            return
        self._choose(state)

    def _go_to(self, number: int) -> None:
        self._sought = f"{self.job}/{number}"
        self.refresh_tasks()

    def _choose(self, state: str) -> None:
        if state == self.state:
            return
        self.state = state
        self.pages = TaskPages()
        if self.mill_app.shown is not None:
            self._show_tasks(self.mill_app.shown)
        self.refresh_tasks()

    def action_back(self) -> None:
        """Back to the tasks, clear the choice and the marks, then one screen out."""
        table = self.home()
        if self.aspect != "tasks":
            self._look_at("tasks")
        elif self.state or table.marked:
            table.marked.clear()
            self._choose("")
            table.renew()
        else:
            super().action_back()


def _by_number(task: str) -> int:
    return int(task.rpartition("/")[2])
