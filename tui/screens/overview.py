"""The overview: the machine, the workers, the jobs, and where there is room the log of what is selected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.events import Resize

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.protocol import JobView, WorkerView
from gristmill.supervisor.core.sanitise import safe
from gristmill.tui.commands import bindings, footer
from gristmill.tui.present import (
    JOB_ORDERS,
    OPEN,
    WORKER_ORDERS,
    Filter,
    Mill,
    pick_jobs,
    pick_workers,
    task_name,
)
from gristmill.tui.rows import JOBS, WORKERS, Context
from gristmill.tui.screens.chosen import ListScreen
from gristmill.tui.widgets.bars import Footer
from gristmill.tui.widgets.graphs import Graphs
from gristmill.tui.widgets.lobby import Lobby
from gristmill.tui.widgets.preview import Preview
from gristmill.tui.widgets.table import Listed, Table

BARS = 3
"""Lines of header and footer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who gets which lines of the screen; a height of 0 is not shown."""

    graphs: int
    panels: int
    workers: int
    preview: bool


def plan(width: int, height: int, workers: int) -> Plan:
    """Share the screen: graphs by its size, then as many lines for workers as there are, up to half."""
    if width < 60:
        graphs = 0
    elif height < 24:
        graphs = 1
    else:
        graphs = 4 if height < 30 else 6 if height < 40 else 8
    rest = height - BARS - graphs
    most = max(3, rest // 2 + (1 if rest % 2 else 0))
    shown = max(3, min(workers + 2 + (1 if height >= 30 else 0), most))
    return Plan(graphs, 3 if width >= 120 else 2, shown, width >= 100 and height >= 30)


class Overview(ListScreen):
    """The first screen."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("rows", "overview")
    ROOMS = ("rows", "overview")
    CSS_PATH: ClassVar[list[str]] = ["base.tcss", "overview.tcss"]  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.orders = {"workers": 0, "jobs": 0}
        self.filters = {"workers": Filter(), "jobs": Filter()}
        self.panel = "workers"
        self.mill: Mill | None = None
        self._plan: Plan | None = None
        self.zoomed = False
        self._zoomed = ""

    def compose_body(self) -> ComposeResult:
        """Graphs, workers, jobs beside the preview; or how to start a daemon."""
        yield Lobby(self.mill_app.jobs_dir, id="lobby")
        yield Graphs(id="graphs")
        yield Table[WorkerView](WORKERS, id="workers")
        with Horizontal(id="below"):
            yield Table[JobView](JOBS, id="jobs")
            yield Preview(id="preview")

    def on_mount(self) -> None:
        """Say what empty lists mean."""
        super().on_mount()
        self.set_class(True, "nobody")
        self.query_one("#footer", Footer).commands = footer("nobody")
        self.query_one("#jobs", Table).empty = f"No jobs. What you drop into {safe(self.mill_app.jobs_dir)} runs."
        workers = cast("Table[WorkerView]", self.table("workers"))
        workers.empty = "No workers yet."
        workers.tag = lambda worker: worker.task

    def table(self, name: str) -> Table[JobView] | Table[WorkerView]:
        """One of the two lists."""
        return self.query_one(f"#{name}", Table)

    def home(self) -> Table[JobView] | Table[WorkerView]:
        """The list that has the keys."""
        return self.table(self.panel)

    def show(self, mill: Mill) -> None:
        """Show this state."""
        first, self.mill = self.mill is None, mill
        self.set_class(False, "nobody")
        self._arrange(len(mill.workers))
        context = Context(mill.time, self.mill_app.marks)
        self._show_workers(mill, context)
        self._show_jobs(mill, context)
        if first:
            bar = self.query_one("#footer", Footer)
            bar.commands = footer(*self.ROOMS, read_only=self.mill_app.read_only)
            bar.renew()
            self.panel = "workers" if any(worker.task for worker in mill.workers) else "jobs"
            self.home().focus()
        self.query_one(Graphs).show(mill, self._plan.panels if self._plan else 2)
        self._show_preview()

    def _show_workers(self, mill: Mill, context: Context) -> None:
        order, chosen = WORKER_ORDERS[self.orders["workers"]], self.filters["workers"]
        rows = pick_workers(mill.workers, order, chosen)
        busy = sum(worker.task is not None for worker in mill.workers)
        found = f", /{chosen.text} finds {len(rows)}" if chosen.text else ""
        title = (("Workers", "title"), (f"  {busy} of {len(mill.workers)} busy{found}", "muted"))
        aside = ((f"by {order.name}", "faint"),) if self.orders["workers"] else ()
        listed = Listed(rows, lambda worker: str(worker.worker))
        cast("Table[WorkerView]", self.table("workers")).show(listed, context, title, aside)

    def _show_jobs(self, mill: Mill, context: Context) -> None:
        order, chosen = JOB_ORDERS[self.orders["jobs"]], self.filters["jobs"]
        rows = pick_jobs(mill.jobs.values(), order, chosen)
        still = sum(job.state in OPEN for job in mill.jobs.values())
        found = f", /{chosen.text} finds {figures.count(len(rows))}" if chosen.text else ""
        more = f", {figures.count(mill.jobs_more)} more wait" if mill.jobs_more else ""
        counts = f"  {figures.count(still)} open, {figures.count(len(mill.jobs) - still)} ended{more}{found}"
        title = (("Jobs", "title"), (counts, "muted"))
        aside = ((f"by {order.name}", "faint"),) if self.orders["jobs"] else ()
        listed = Listed(rows, lambda job: str(job.id))
        cast("Table[JobView]", self.table("jobs")).show(listed, context, title, aside)

    def _arrange(self, workers: int) -> None:
        wanted = plan(*self.size, workers)
        zoomed = self.panel if self.zoomed else ""
        if (wanted, zoomed) == (self._plan, self._zoomed):
            return
        self._plan, self._zoomed = wanted, zoomed
        if zoomed:
            self.query_one(Graphs).display = False
            self.query_one("#workers").display = zoomed == "workers"
            self.query_one("#below").display = zoomed == "jobs"
            self.query_one("#workers").styles.height = "1fr"
            self.query_one(Preview).display = False
            return
        self.query_one("#workers").display = self.query_one("#below").display = True
        graphs, table = self.query_one(Graphs), self.query_one("#workers", Table)
        graphs.display = wanted.graphs > 0
        graphs.styles.height = max(1, wanted.graphs)
        table.styles.height = wanted.workers
        self.query_one(Preview).display = wanted.preview

    def on_resize(self, _: Resize) -> None:
        """Another size is another plan."""
        if self.mill is not None:
            self.show(self.mill)

    def _show_preview(self) -> None:
        preview = self.query_one(Preview)
        if preview.display:
            row = self.home().current
            preview.follow(*self.selection(), row.state if row is not None else "")

    def selection(self) -> tuple[str | None, str]:
        """The task or job under the cursor, as an id and as people call it."""
        row = self.home().current
        if isinstance(row, WorkerView):
            return row.task, task_name(row)
        if isinstance(row, JobView):
            return str(row.id), row.name
        return None, ""

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        event.stop()
        if event.table.has_focus and event.table.id:
            self.panel = event.table.id
        if event.table is self.home():
            self._show_preview()

    def marked(self) -> list[str]:
        """The ids of the marked jobs that are listed, or of the marked tasks that run."""
        marked = self.home().marked
        if self.mill is None:
            return []
        if self.panel == "jobs":
            return [key for key in sorted(marked, key=int) if int(key) in self.mill.jobs]
        return [worker.task for worker in self.mill.workers if worker.task is not None and worker.task in marked]

    def action_open(self) -> None:
        """To the job, with the cursor on the worker's task."""
        row = self.home().current
        if isinstance(row, WorkerView) and row.job is not None:
            self.mill_app.open_job(row.job, row.task)
        elif isinstance(row, JobView):
            self.mill_app.open_job(row.id)

    def action_next_panel(self) -> None:
        """The other list."""
        self.panel = "workers" if self.panel == "jobs" else "jobs"
        self._again()
        self.home().focus()

    action_last_panel = action_next_panel

    def action_zoom(self) -> None:
        """The list that has the keys on the whole screen, and back."""
        self.zoomed = not self.zoomed
        self._again()

    def action_sort(self) -> None:
        """Next order of the list that has the keys."""
        orders = WORKER_ORDERS if self.panel == "workers" else JOB_ORDERS
        self.orders[self.panel] = (self.orders[self.panel] + 1) % len(orders)
        self._again()

    def action_filter(self) -> None:
        """Type words that the rows must have."""
        self.open_prompt(f"filter {self.panel}: words, state:fail, !word", self.filters[self.panel].text)

    def typed(self, text: str) -> None:
        """Filter while typing."""
        self.filters[self.panel] = Filter(text)
        self._again()

    def entered(self, text: str) -> None:
        """The filter stays; none where the text is empty."""
        self.typed(text)

    def action_back(self) -> None:
        """Clear what is filtered or marked; there is nothing further out."""
        self.filters[self.panel] = Filter()
        self.home().marked.clear()
        self._again()

    def _again(self) -> None:
        if self.mill is not None:
            self.show(self.mill)
