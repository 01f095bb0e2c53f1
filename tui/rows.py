"""A worker, a job or a task as a row of cells, and the columns that these rows have. Pure: tones, no colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gristmill.supervisor.core import figures
from gristmill.supervisor.core.protocol import JobView, TaskView, WorkerView
from gristmill.supervisor.core.sanitise import plain
from gristmill.tui.columns import Column
from gristmill.tui.marks import Marks, Runs, tone_of
from gristmill.tui.present import OPEN, task_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """What a row needs besides its own value: the daemon's time and the characters to draw with."""

    now: float
    marks: Marks


@dataclass(frozen=True, slots=True)
class Cell(Generic[T]):
    """A column, and how a value is shown in it within so many cells."""

    column: Column
    show: Callable[[T, Context, int], Runs]


@dataclass(frozen=True, slots=True)
class Layout(Generic[T]):
    """All columns of one kind of row."""

    cells: tuple[Cell[T], ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns alone, for fitting."""
        return tuple(cell.column for cell in self.cells)


def _text(text: str, tone: str = "text") -> Runs:
    return ((text, tone),)


def _worker_progress(worker: WorkerView, context: Context, width: int) -> Runs:
    if worker.progress is None:
        return ()
    part = max(0.0, min(1.0, worker.progress))
    if width < 9:
        return _text(f"{part:.0%}", "run")
    return (*context.marks.progress(part, width - 5), (f"{part:>5.0%}", "text"))


def _worker_time(worker: WorkerView, context: Context, _: int) -> Runs:
    return _text(figures.clock_span(context.now - worker.started_at)) if worker.started_at and worker.task else ()


def _heat(worker: WorkerView) -> str:
    return "strong" if worker.cpu_percent >= 90 else "text" if worker.cpu_percent >= 10 else "muted"


WORKERS: Layout[WorkerView] = Layout((
    Cell(Column("#", 2, right=True), lambda worker, _, __: _text(str(worker.worker), "muted")),
    Cell(Column("STATE", 6), lambda worker, context, _: context.marks.state(worker.state)),
    Cell(Column("TASK", 14, most=28, share=2), lambda worker, _, __: _text(task_name(worker), "strong")),
    Cell(Column("CPU%", 4, right=True, rank=3),
         lambda worker, _, __: _text(f"{worker.cpu_percent:.0f}", _heat(worker)) if worker.task else ()),
    Cell(Column("MEM", 5, right=True, rank=4),
         lambda worker, _, __: _text(figures.size(worker.memory_bytes)) if worker.task else ()),
    Cell(Column("TIME", 7, right=True, rank=1), _worker_time),
    Cell(Column("PROGRESS", 11, most=26, rank=2), _worker_progress),
    Cell(Column("LAST LINE", 18, most=400, share=5, rank=5),
         lambda worker, _, __: _text(plain(worker.last_line) if worker.task else "", "muted")),
))  # fmt: skip


def job_bar(job: JobView, marks: Marks, width: int) -> Runs:
    """Done and failed items as one bar; failed ones at the end of what is done, in their own tone."""
    if not job.items or width < 3:
        return ()
    ended = job.items_done + job.items_failed
    tone = "run" if job.state in OPEN else "muted" if job.state == "canceled" else "ok"
    bar, rest = marks.progress(ended / job.items, width, tone)
    if not job.items_failed:
        return (bar, rest)
    lost = min(len(bar[0]), max(1, round(job.items_failed / job.items * width)))
    keep = len(bar[0]) - lost
    return ((bar[0][:keep], tone), (bar[0][keep:], "fail"), rest)


def _job_done(job: JobView, _: Context, __: int) -> Runs:
    return ((figures.count(job.items_done), "text"), (f"/{figures.count(job.items)}", "muted"))


def _job_left(job: JobView, context: Context, _: int) -> Runs:
    if job.state in OPEN:
        return _text(figures.about(job.eta_s), "text")
    return _text(figures.wall_clock(job.ended_at, context.now), "muted")


def _job_why(job: JobView, _: Context, __: int) -> Runs:
    if job.reason:
        return _text(job.reason, "fail" if job.state == "failed" else "text")
    if job.tasks_running:
        return _text(f"{figures.count(job.tasks_running)} running", "muted")
    if job.ended_at and job.started_at:
        return _text(f"took {figures.clock_span(job.ended_at - job.started_at)}", "muted")
    return ()


JOBS: Layout[JobView] = Layout((
    Cell(Column("ID", 3, most=5, right=True, rank=4), lambda job, _, __: _text(str(job.id), "muted")),
    Cell(Column("STATE", 6), lambda job, context, _: context.marks.state(job.state)),
    Cell(Column("NAME", 13, most=30, share=2),
         lambda job, _, __: _text(job.name, "strong" if job.state in OPEN else "text")),
    Cell(Column("PROGRESS", 8, most=24, rank=2, share=2),
         lambda job, context, width: job_bar(job, context.marks, width)),
    Cell(Column("DONE", 11, right=True, rank=1), _job_done),
    Cell(Column("FAIL", 4, most=5, right=True, rank=3),
         lambda job, _, __: _text(figures.count(job.items_failed), "fail") if job.items_failed else ()),
    Cell(Column("LEFT", 6, right=True, rank=1), _job_left),
    Cell(Column("WHY", 18, most=400, share=6, rank=5), _job_why),
))  # fmt: skip


def task_time(task: TaskView, now: float) -> str:
    """How long a task ran, or runs."""
    if task.started_at is None:
        return ""
    return figures.clock_span((task.ended_at if task.ended_at is not None else now) - task.started_at)


def task_exit(task: TaskView) -> Runs:
    """The exit code or the signal, in the tone of what it means."""
    word = figures.exit_word(task.exit_code, task.signal)
    return _text(word, "muted" if word == "0" else "fail")


def parameters(task: TaskView) -> str:
    """The parameters of a task on one line."""
    return " ".join(f"{name}={value}" for name, value in task.params.items())


def _task_note(task: TaskView, _: Context, __: int) -> Runs:
    if task.reason:
        return _text(task.reason, "fail" if tone_of(task.state) == "fail" else "text")
    return _text(parameters(task), "muted")


def _task_tries(task: TaskView, _: Context, __: int) -> Runs:
    return _text(str(task.attempts), "warn" if task.attempts > 1 else "muted") if task.attempts else ()


def task_place(task: TaskView) -> str:
    """Where a task runs, if not in a worker here: host, or engine as long as it waits, and what that calls it."""
    if task.where == "local":
        return ""
    return " ".join(filter(None, (task.host or task.where, task.engine_id)))


def _task_where(task: TaskView, context: Context, width: int) -> Runs:
    place = task_place(task) or "here"
    if len(place) > width:  # of a long number the end tells it from others
        place = f"{task.host or task.where} {context.marks.cut}"
        place += task.engine_id[-max(1, width - len(place)) :]
    return _text(place, "muted")


TASKS: Layout[TaskView] = Layout((
    Cell(Column("TASK", 6, right=True), lambda task, _, __: _text(str(task.number), "strong")),
    Cell(Column("STATE", 7), lambda task, context, _: context.marks.state(task.state)),
    Cell(Column("ITEMS", 9, most=12, right=True, rank=3),
         lambda task, _, __: _text(figures.item_range(task.start, task.count))),
    Cell(Column("TIME", 8, right=True, rank=1), lambda task, context, _: _text(task_time(task, context.now))),
    Cell(Column("EXIT", 5, right=True, rank=1), lambda task, _, __: task_exit(task)),
    Cell(Column("TRY", 3, right=True, rank=4), _task_tries),
    Cell(Column("PEAK", 5, right=True, rank=2), lambda task, _, __: _text(figures.size(task.memory_peak_bytes))),
    Cell(Column("WHY", 8, most=400, rank=5), _task_note),
))  # fmt: skip
TASKS_BEYOND: Layout[TaskView] = Layout((
    *TASKS.cells[:3],
    Cell(Column("WHERE", 13, most=20, rank=3), _task_where),
    *TASKS.cells[3:],
))
"""The same of a job whose tasks need not run on this machine."""
